#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# Shell scripts parse, and shellcheck finds nothing in them.

# shellcheck source=tests/style/lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"

mapfile -t scripts < <(shell_scripts)
for name in "${scripts[@]}"; do
	bash -n "$name" 2>&1
done | rule "scripts parse"

# SC1091: sourced files are checked for themselves.
# SC2317: functions called by traps only are not unreachable.
for name in "${scripts[@]}"; do
	shellcheck -x -e SC1091,SC2317 -f gcc "$name"
done | rule "shellcheck"

for name in "${scripts[@]}"; do
	head -n 1 "$name" | grep -q '^#!' || continue
	[ -x "$name" ] || echo "$name: not executable"
done | rule "scripts are executable"
done_rules
