#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# C sources and headers are what clang-format makes of them, and no line is
# longer than 80 columns.

# shellcheck source=tests/style/lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"

mapfile -t sources < <(files '*.c' '*.h')
for name in "${sources[@]}"; do
	clang-format --style="file:$style_dir/../../.clang-format" "$name" |
	    cmp -s - "$name" || echo "$name: run clang-format -i on it"
done | rule "formatting"

mapfile -t narrow < <(files '*.c' '*.h' '*.h.in' '*.def' '*.sh' '*.py' \
    tests/run .ci/run)
for name in "${narrow[@]}"; do
	expand -t 8 "$name" | grep -nE '^.{81,}' |
	    sed "s|^\([0-9]*\):.*|$name:\1: more than 80 columns|"
done | rule "80 columns"

mapfile -t text < <(files '*.c' '*.h' '*.h.in' '*.def' '*.sh' '*.py' \
    '*.build' '*.md')
for name in "${text[@]}"; do
	grep -nE '[[:blank:]]+$' "$name" |
	    sed "s|^\([0-9]*\):.*|$name:\1: blanks at the end|"
done | rule "no trailing blanks"
done_rules
