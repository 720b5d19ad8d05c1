#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# cvm-token(1) has every command of the table with all of its options, and
# neither a command nor an option that the table has not.

# shellcheck source=tests/style/lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"

page=man/cvm-token.1

# "command: --option ..." for each row of the tables, sorted.
from_tables() {
	/usr/bin/python3 - <<-'END'
	import re
	options = dict(re.findall(r'OPTION\((\w+), "(--[a-z-]+)"',
	    open("tools/options.def").read()))
	text = open("tools/commands.def").read()
	for row in re.split(r"^COMMAND\(", text, flags=re.M)[1:]:
	    name = re.match(r'"([a-z ]+)"', row).group(1)
	    taken = sorted(options[o] for o in re.findall(r"\bO\((\w+)\)", row))
	    print(name + ":", *taken)
	print("all:", *sorted(options.values()))
	END
}

# The same from the page's items, whose first line has all options.
from_page() {
	/usr/bin/python3 - "$page" <<-'END'
	import re, sys
	text = open(sys.argv[1]).read()
	for line in re.findall(r"^\.It Ic (.*)$", text, flags=re.M):
	    name = re.match(r"[a-z]+( (add|check|diff|fetch|import|list|remove|"
	        r"rotate|show|status|verify))?", line).group(0)
	    print(name + ":", *sorted("-" + o for o in
	        re.findall(r"Fl (-[a-z-]+)", line)))
	print("all:", *sorted({"-" + o for o in
	    re.findall(r"Fl (-[a-z-]+)", text)}))
	END
}

diff <(from_tables | sort) <(from_page | sort) |
    sed -n 's/^</only in tools:/p; s/^>/only in the manual:/p' |
    rule "cvm-token(1) has the commands and options of the table"
done_rules
