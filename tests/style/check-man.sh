#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# Manual pages are correct mdoc.

# shellcheck source=tests/style/lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"

mapfile -t pages < <(files 'man/*.[1-8]' 'man/*.[1-8].in')
for name in "${pages[@]}"; do
	mandoc -T lint -W warning "$name" 2>&1
done | rule "manual pages"
done_rules
