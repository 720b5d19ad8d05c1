#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# No promise of later work, and nothing about how the work was done: the tree
# speaks of the project alone.  Letters stand in brackets so that this file
# does not find itself.

# shellcheck source=tests/style/lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"

mapfile -t text < <(files '*.c' '*.h' '*.in' '*.def' '*.sh' '*.py' '*.build' \
    '*.md' '*.txt' '*.map' '*.[158]' '*.json' tests/run tests/fuzz/run \
    tests/packages .ci/run)
search() {
	[ ${#text[@]} -eq 0 ] || grep -nE "$@" "${text[@]}" /dev/null
}

search -w 'TO[D]O|FIX[M]E|XX[X]|HA[C]K|WI[P]|TB[D]' |
    rule "no promises of later work"
search -i 'not (yet )?implemented [y]et|not yet implemente[d]|stubbe[d] out' |
    rule "nothing unfinished"
search -i -e 'desig[n]\.md|house.styl[e]|attest-check[s]\.md|/tmp/brie[f]' \
    -e '(^|[^a-z])/wor[k]/|this chang[e] set|as requeste[d]|per revie[w]' |
    rule "no words of process"
done_rules
