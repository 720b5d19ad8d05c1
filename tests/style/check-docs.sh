#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# README and cvm-pkcs11(8) say what the code's tables say.

# shellcheck source=tests/style/lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"

page=man/cvm-pkcs11.8.in

# differ WHAT-IS-SAID WHAT-IS: lists, one item a line, as faults.
differ() {
	diff <(sort -u <<<"$1") <(sort -u <<<"$2") |
	    sed -n 's/^< /not so: /p; s/^> /missing: /p'
}

# From "There are 172 checks" to the end of the table.
said=$(sed -n '/^There are [0-9]* checks/,/^$/p; /^| family | checks/,/^$/p' \
    README.md)
{
	table=$(/usr/bin/python3 man/checks.py . --readme 2>&1) ||
	    echo "$table"
	diff <(sed '/^$/d' <<<"$said") <(sed '/^$/d' <<<"$table") |
	    sed -n 's/^< /not so: /p; s/^> /missing: /p'
} | rule "README has the table of man/checks.py --update"

{
	if text=$(/usr/bin/python3 man/checks.py . "$page" 2>&1); then
		mandoc -T lint -W warning 2>&1 <<<"$text"
	else
		echo "$text"
	fi
} | rule "the page with the checks is correct"

# The names of the table, in whatever macro a row is written.
mechs=$(sed -n '/^static const struct mech mechs\[\]/,/^};/p' token/mech.c |
    grep -oE '\((CKM_[A-Z0-9_]+)' | tr -d '(')
said=$(sed -n '/^\.Ss Mechanisms/,/^\.Sh/p' "$page" |
    grep -oE 'CKM_[A-Z0-9_]+')
differ "$said" "$mechs" | rule "cvm-pkcs11(8) lists the mechanisms"

# What the module logs: literal texts up to the first conversion.
cat module/*.c token/*.c | tr -s '\n\t ' ' ' | sed 's/" "//g' |
    grep -oE '(log_line|say)\([^;"]*LOG_LEVEL_(ERROR|WARNING|NOTICE), "[^"]*"' |
    sed -E 's/.*"([^"]*)"/\1/; s/^token %s: //; s/%.*//; s/[:,] *$//' |
    sort -u | while read -r text; do
	[ -z "$text" ] || grep -qF -- "$text" "$page" ||
	    echo "$page does not explain: $text"
done | rule "cvm-pkcs11(8) explains the log"

# Commands as they are typed in the documents: "cvm-token --token web init".
commands=$(sed -nE 's/^COMMAND\("([a-z ]+)",.*/\1/p' tools/commands.def)
[ -n "$commands" ] || commands="no table of commands"
grep -nHoE '`?cvm-token( --(token|config) [^ ]+| --json)* [a-z]+( [a-z]+)?' \
    README.md SECURITY.md CONTRIBUTING.md "$page" tests/quickstart |
    while IFS=: read -r file line text; do
	words=$(sed -E 's/^`?cvm-token( --(token|config) [^ ]+| --json)* //' \
	    <<<"$text")
	while read -r command; do
		case "$words " in
		"$command "*) continue 2 ;;
		esac
	done <<<"$commands"
	# In prose another word may follow the name.
	case $words in
	does* | has* | says* | tells* | takes* | may* | can* | is* | and* | \
	    or*) ;;
	*) echo "$file:$line: no command: cvm-token $words" ;;
	esac
done | rule "documents name commands that exist"

# Paths of this tree, in links and in backticks.
# shellcheck disable=SC2016 # the backtick is Markdown's
grep -noE '\]\([^)#]+\)|`(tests|man|conf|p11-kit|attest|token)/[^` ]*' \
    README.md |
    sed -E 's/\]\(([^)]*)\)/\1/; s/`//' | while IFS=: read -r line path; do
	case $path in
	http*) ;;
	*) [ -e "$path" ] || echo "README.md:$line: no file: $path" ;;
	esac
done | rule "README names files that exist"

for name in conf/examples/policy-*.json; do
	grep -qF "$(basename "$name")" README.md || echo "not named: $name"
done | rule "README names the example policies"

wc -l <README.md | awk '$1 > 130 { print "README.md has " $1 " lines" }' |
    rule "README fits two screens"
done_rules
