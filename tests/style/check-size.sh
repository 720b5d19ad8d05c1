#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# A function has at most 80 lines and a file at most 1000.  Prints the
# distribution of function lengths.

# shellcheck source=tests/style/lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"

mapfile -t sources < <(files '*.c' '*.h')
lengths=$(mktemp) || exit 1
trap 'rm -f "$lengths"' EXIT
if [ ${#sources[@]} -gt 0 ]; then
	ctags -o - --languages=C --langmap=C:.c.h --kinds-C=f \
	    --fields=+ne --_xformat='%{end} %n %F %N' -x "${sources[@]}" |
	    awk '$1 != "" { print $1 - $2 + 1, $3 ":" $2, $4 }' |
	    sort -n >"$lengths"
fi

awk '$1 > 80 { print $2 ": " $3 "() has " $1 " lines, at most 80" }' \
    "$lengths" | rule "function size"
awk '{ n[NR] = $1; f[$1 > 55]++ }
    function at(p) { i = int(NR * p + 0.999); return n[i < 1 ? 1 : i] }
    END { if (NR) printf "# %d functions: median %d, p95 %d, longest %d; " \
	"%d over 55 lines\n", NR, at(0.5), at(0.95), n[NR], f[1] }' "$lengths"

for name in "${sources[@]}"; do
	lines=$(wc -l <"$name")
	[ "$lines" -le 1000 ] || echo "$name: $lines lines, at most 1000"
done | rule "file size"
done_rules
