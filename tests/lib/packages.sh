#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# Installs what tests/packages lists and this machine lacks: the groups that
# are named (build, quickstart, test), or all.  Needs root only when something
# is missing.  Says nothing when nothing is to be done.
set -eu

[ $# -gt 0 ] || set -- build quickstart test

list=$(dirname "$(readlink -f "$0")")/../packages
policy=/usr/sbin/policy-rc.d

# wanted GROUP: the names in it.
wanted() {
	sed -e 's/[[:space:]]*#.*//' -e '/^[[:space:]]*$/d' "$list" |
	    awk -v want="[$1]" '/^\[/ { group = $1; next }
		group == want { print; n++ } END { exit n == 0 }' ||
	    echo "tests/packages has no group '$1'" >&2
}

# missing GROUP...: the names in them that dpkg does not have installed.
missing() {
	local group name
	for name in $(for group; do wanted "$group"; done); do
		dpkg-query -W -f '${db:Status-Status}\n' "$name" 2>/dev/null |
		    grep -qx installed || echo "$name"
	done
}

# Freshly installed daemons must not start: nginx and sshd would take ports.
# invoke-rc.d and deb-systemd-invoke ask this script first; 101 forbids.
forbid_daemons() {
	if [ -e "$policy" ] || [ -L "$policy" ]; then
		mv "$policy" "$policy.cvm-pkcs11-saved"
	fi
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
}

allow_daemons() {
	rm -f "$policy"
	if [ -e "$policy.cvm-pkcs11-saved" ] ||
	    [ -L "$policy.cvm-pkcs11-saved" ]; then
		mv "$policy.cvm-pkcs11-saved" "$policy"
	fi
}

mapfile -t names < <(missing "$@")
[ ${#names[@]} -gt 0 ] || exit 0

if [ "$(id -u)" != 0 ]; then
	echo "packages are missing, and installing them needs root:" \
	    "${names[*]}" >&2
	exit 1
fi

echo "installing: ${names[*]}"
export DEBIAN_FRONTEND=noninteractive
trap allow_daemons EXIT
trap 'exit 130' INT TERM HUP
forbid_daemons
apt-get -q -y -o DPkg::Lock::Timeout=300 update </dev/null
apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
    install --no-install-recommends "${names[@]}" </dev/null
