#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# The virtual CVM's vTPM, in TAP.  VCVM names the program.

here=$(dirname "$(readlink -f "$0")")
export VCVM=${VCVM:-${CVM_BUILD:?}/tests/vcvm/vcvm} PYTHONDONTWRITEBYTECODE=1
work=$(mktemp -d "${CVM_TMP:-/tmp}/vcvm.XXXXXX") || exit 1
chmod 755 "$work"
trap '"$VCVM" stop "$work/machine"; rm -rf --one-file-system "$work"' EXIT
python3 "$here/check-tpm.py" "$work/machine" "${VCVM_PKI:-$work/pki}"
