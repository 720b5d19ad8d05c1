#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# What "meson install" puts where, and that p11-kit and systemd take it.  Looks
# at $CVM_STAGE, into which $CVM_BUILD was installed.

# shellcheck source=tests/style/lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"

stage=${CVM_STAGE-} build=${CVM_BUILD-}
if [ -z "$stage" ] || [ -z "$build" ]; then
	echo "1..0 # SKIP CVM_BUILD and CVM_STAGE name no installed build"
	exit 0
fi

option() {
	meson introspect --buildoptions "$build" |
	    jq -r --arg name "$1" '.[] | select(.name == $name).value'
}
skipped() {
	rules=$((rules + 1))
	echo "ok $rules - $1 # SKIP $2"
}

prefix=$(option prefix)
libdir=$prefix/$(option libdir)
mandir=$prefix/$(option mandir)
share=$prefix/$(option datadir)/cvm-pkcs11
configs=$(pkg-config --variable=p11_module_configs p11-kit-1)
if [ "$prefix" != "$(pkg-config --variable=prefix p11-kit-1)" ]; then
	configs=/etc/pkcs11/modules
fi

wanted="$prefix/$(option bindir)/cvm-token
$prefix/$(option includedir)/cvm-pkcs11.h
$libdir/pkcs11/cvm-pkcs11.so
$configs/cvm-pkcs11.module
$share/examples/config.json
$share/examples/nginx.conf.example
$share/examples/openssl-pkcs11.cnf
$share/examples/ssh.example
$share/schema/config.schema.json
$share/schema/policy.schema.json
$mandir/man1/cvm-token.1
$mandir/man5/cvm-pkcs11-policy.5
$mandir/man5/cvm-pkcs11.conf.5
$mandir/man8/cvm-pkcs11.8
$prefix/lib/systemd/system/cvm-pkcs11-collateral.service
$prefix/lib/systemd/system/cvm-pkcs11-collateral.timer
$prefix/lib/systemd/system/cvm-pkcs11.socket
$prefix/lib/systemd/system/cvm-pkcs11@.service
$prefix/lib/sysusers.d/cvm-pkcs11.conf
$prefix/lib/tmpfiles.d/cvm-pkcs11.conf
$prefix/lib/udev/rules.d/70-cvm-pkcs11.rules"
for name in conf/examples/policy-*.json; do
	wanted+=$'\n'$share/examples/$(basename "$name")
done
found=$(cd "$stage" && find . -type f -o -type l | sed 's/^\.//')
diff <(sort <<<"$wanted") <(sort <<<"$found") |
    sed -n 's/^< /missing: /p; s/^> /installed too: /p' |
    rule "everything is in its place, and nothing else"

{
	find "$stage" ! -type d -perm /022
	find "$stage" -type f -perm /111 ! -path "*/bin/cvm-token" \
	    ! -name "cvm-pkcs11.so"
	find "$stage" -perm /7000
} | rule "modes are plain"

grep -rlE '@[A-Z]{3,}@|@CHECKS@' "$stage" --include='*.module' \
    --include='*.so*' --include='*.conf' --include='*.cnf' \
    --include='*.service' --include='*.socket' --include='*.timer' \
    --include='*.[158]' |
    rule "no place holder is left"

# mandoc knows sections; the text is checked in the source.
for page in "$stage$mandir"/man*/*; do
	mandoc -T lint -W error "$page" 2>&1
done | rule "manual pages are readable"

for file in "$stage$share"/examples/policy-*.json; do
	"$stage$prefix/bin/cvm-token" policy check "$file" 2>&1 >/dev/null
done | rule "cvm-token reads the example policies"

units=("$stage$prefix"/lib/systemd/system/*)
if command -v systemd-analyze >/dev/null; then
	# The programs of the units are not installed there; manual pages need
	# a database.
	systemd-analyze verify --man=no "${units[@]}" 2>&1 |
	    grep -F cvm-pkcs11 |
	    grep -vE 'is not executable|No such file or directory' |
	    rule "systemd takes the units"
else
	skipped "systemd takes the units" "systemd-analyze is missing"
fi
# of UNIT KEY: its values, one a line, sorted.
of() { sed -n "s/^$2=//p" "$1" | sort; }
state=$(sed -n 's/^d \([^ ]*\) .*/\1/p;' \
    "$stage$prefix/lib/tmpfiles.d/cvm-pkcs11.conf" | head -n 1)
for unit in "$stage$prefix"/lib/systemd/system/*.service; do
	name=$(basename "$unit")
	# What both are denied, and the whole of what both may write to.
	for line in User=cvm-pkcs11 NoNewPrivileges=yes ProtectSystem=strict \
	    ProtectHome=yes ProtectKernelTunables=yes PrivateTmp=yes \
	    DevicePolicy=closed MemoryDenyWriteExecute=yes LimitCORE=0 \
	    CapabilityBoundingSet=CAP_DAC_OVERRIDE \
	    AmbientCapabilities=CAP_DAC_OVERRIDE; do
		grep -qxF "$line" "$unit" || echo "$name: no $line"
		[ "$(of "$unit" "${line%%=*}" | wc -l)" -eq 1 ] ||
		    echo "$name: ${line%%=*} more than once"
	done
	if [ "$name" = cvm-pkcs11@.service ]; then
		want="-/sys/kernel/config/tsm"$'\n'"$state"
		grep -qxF "ReadOnlyPaths=-$state/collateral" "$unit" ||
		    echo "$name: may write to the endorsements"
		grep -qxF PrivateNetwork=yes "$unit" ||
		    echo "$name: has a network"
	else
		want=-/sys/kernel/config/tsm
		[ "$(of "$unit" BindPaths)" = "-$state/collateral" ] &&
		    grep -qxF "TemporaryFileSystem=$state:ro" "$unit" ||
		    echo "$name: sees more of $state than the endorsements"
	fi
	[ "$(of "$unit" ReadWritePaths)" = "$want" ] ||
	    echo "$name: writes to $(of "$unit" ReadWritePaths | tr '\n' ' ')"
done | rule "the services may do what they need, and nothing else"

if command -v systemd-analyze >/dev/null; then
	for unit in "$stage$prefix"/lib/systemd/system/*.service; do
		systemd-analyze security --offline=true --threshold=25 \
		    --no-pager "$unit" >"$stage.security" 2>&1 ||
		    tail -n 3 "$stage.security"
	done | rule "systemd finds little exposure"
	rm -f "$stage.security"
else
	skipped "systemd finds little exposure" "systemd-analyze is missing"
fi
if command -v systemd-sysusers >/dev/null; then
	systemd-sysusers --dry-run \
	    "$stage$prefix/lib/sysusers.d/cvm-pkcs11.conf" \
	    >"$stage.users" 2>&1 ||
	    cat "$stage.users"
	rm -f "$stage.users"
fi | rule "systemd takes the users"

# installed COMMAND...: as if the stage were part of the system, and without a
# configuration of ours, in a mount name space.
installed() {
	# shellcheck disable=SC2016 # expanded by the inner shell
	unshare -m bash -c '
		for dir in /etc /usr /opt; do
			[ ! -d "$1$dir" ] || mount -t overlay -o \
			    "lowerdir=$1$dir:$dir" none "$dir" || exit 77
		done
		if [ -d /etc/cvm-pkcs11 ]; then
			mount -t tmpfs none /etc/cvm-pkcs11 || exit 77
		fi
		shift
		unset CVM_PKCS11_CONF
		"$@" </dev/null
	' bash "$stage" "$@"
}
if [ "$(id -u)" != 0 ] || ! installed true 2>/dev/null; then
	skipped "p11-kit finds the module" "no mount name space"
	skipped "without configuration it is silent" "no mount name space"
	skipped "with configuration there is a slot" "no mount name space"
	done_rules
fi

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
# Only ours: the lines of other modules are not of interest.
ours() {
	sed -n '/^cvm-pkcs11:\|^module: cvm-pkcs11/,/^[a-z0-9-]*:/p' \
	    "$work/out" | sed '1!{/^[a-z]/d}'
}
installed p11-kit list-modules >"$work/out" 2>"$work/err"
{
	ours | grep -q 'Keys for attested VMs' ||
	    { echo "not listed" && cat "$work/out" "$work/err"; }
} | rule "p11-kit finds the module"
{
	ours | grep -E 'token:'
	grep -i cvm "$work/err"
	installed pkcs11-tool --module "$libdir/pkcs11/cvm-pkcs11.so" -L \
	    >"$work/slots" 2>&1
	grep -vxE 'Available slots:|No slots\.?' "$work/slots"
} | rule "without configuration it is silent"

printf '{ "version": 1, "tokens": [ { "name": "found", "store": "%s/db",
    "policy": "%s/none" } ], "log": { "target": "none" } }' "$work" "$work" \
    >"$work/config.json"
installed env CVM_PKCS11_CONF="$work/config.json" p11-kit list-modules \
    >"$work/out" 2>"$work/err"
{
	ours | grep -q 'token: found' ||
	    { echo "no such token" && cat "$work/out"; }
	cat "$work/err"
} | rule "with configuration there is a slot"
done_rules
