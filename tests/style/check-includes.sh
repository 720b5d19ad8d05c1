#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# Folders are layers: an include names its folder, and none points upward.
# The virtual CVM stands for hardware: it shares no line with the project, and
# its files include each other by bare name.

# shellcheck source=tests/style/lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"

# Each folder, and the folders that it may include.
allowed='base      base
conf      base conf
attest    base conf attest
token     base conf attest token
module    base conf attest token module
tools     base conf attest token module tools
tests/unit   base conf attest token module tools tests/unit tests/vcvm
tests/fuzz   base conf attest token module tools tests/fuzz
tests/bench  base conf attest token module tests/unit tests/bench
tests/scenario   tests/scenario
tests/vcvm   tests/vcvm'

# FILE LINE INCLUDED for each #include "...".
quoted_includes() {
	files '*.c' '*.h' '*.def' | while read -r name; do
		grep -nE '^[[:blank:]]*#[[:blank:]]*include[[:blank:]]+"' \
		    "$name" |
		    sed -E "s|^([0-9]+):[^\"]*\"([^\"]*)\".*|$name \1 \2|"
	done
}

includes=$(mktemp) || exit 1
quoted_includes >"$includes"
trap 'rm -f "$includes"' EXIT

while read -r name line included; do
	case $name:$included in
	*:*/*) [ -e "$included" ] || [ -e "$included.in" ] ||
	    echo "$name:$line: \"$included\" is no file of this tree" ;;
	tests/vcvm/*) ;;
	*) echo "$name:$line: \"$included\" does not name its folder" ;;
	esac
done <"$includes" | rule "includes name their folder"

while read -r name line included; do
	from=$(dirname "$name")
	to=$(dirname "$included")
	[ "$to" != . ] || to=$from
	may=$(printf '%s\n' "$allowed" | awk -v f="$from" \
	    '$1 == f { $1 = ""; print $0 " "; found = 1 }
	    END { if (!found) print "?" }')
	case $may in
	'?') echo "$name:$line: $from/ is no known layer" ;;
	*" $to "*) ;;
	*) echo "$name:$line: $from/ must not include $to/" ;;
	esac
done <"$includes" | rule "no include points upward"
done_rules
