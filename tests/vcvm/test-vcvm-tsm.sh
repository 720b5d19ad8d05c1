#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# The virtual CVM's configfs-tsm and evidence, in TAP.  VCVM names the program.

here=$(dirname "$(readlink -f "$0")")
export VCVM=${VCVM:-${CVM_BUILD:?}/tests/vcvm/vcvm} PYTHONDONTWRITEBYTECODE=1
work=$(mktemp -d "${CVM_TMP:-/tmp}/vcvm.XXXXXX") || exit 1
chmod 755 "$work"
clean_up() {
	local machine
	for machine in "$work"/machines/*/; do
		"$VCVM" stop "$machine"
	done
	rm -rf --one-file-system "$work"
}
trap clean_up EXIT
mkdir "$work/machines"
python3 "$here/check-tsm.py" "$work/machines" "${VCVM_PKI:-$work/pki}"
