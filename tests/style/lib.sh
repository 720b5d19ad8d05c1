# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# For the style checks.  Each check takes the tree to look at as its argument
# (this source tree if there is none), prints one TAP line for each rule, and
# a "# " line for each fault.
# shellcheck disable=SC2034 # the checks read these
style_dir=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
tree=$(readlink -f "${1:-$style_dir/../..}")
cd "$tree" || exit 1
export LC_ALL=C.UTF-8
# rule runs last in a pipe and counts in this shell.
shopt -s lastpipe
rules=0
broken=0

# The tree's files whose name matches one of the shell patterns: what git
# tracks or would track; all files where there is no repository.
files() {
	local name pattern
	{
		if [ -e .git ]; then
			git -c safe.directory='*' ls-files --cached --others \
			    --exclude-standard --deduplicate
		else
			find . -type f -printf '%P\n'
		fi
	} | sort | while read -r name; do
		for pattern; do
			# shellcheck disable=SC2053 # a pattern it is
			if [[ $name == $pattern && -f $name ]]; then
				echo "$name"
				break
			fi
		done
	done
}

# The tree's shell scripts, by name or by first line.
shell_scripts() {
	local name
	files '*' | while read -r name; do
		case $name in
		*.sh) echo "$name" ;;
		*.c | *.h | *.bin | *.der | *.pem | *.json) ;;
		*)
			if head -c 64 "$name" | head -n 1 |
			    grep -aqE '^#! ?/(usr/)?bin/(env )?(ba)?sh'; then
				echo "$name"
			fi
			;;
		esac
	done
}

# rule NAME: stdin has one fault a line, and none if the rule is kept.
rule() {
	local faults
	faults=$(cat)
	rules=$((rules + 1))
	if [ -z "$faults" ]; then
		echo "ok $rules - $1"
	else
		broken=$((broken + 1))
		echo "not ok $rules - $1"
		printf '%s\n' "$faults" | sed 's/^/# /'
	fi
}

# Ends a check: the plan, and the exit status.
done_rules() {
	echo "1..$rules"
	[ "$broken" = 0 ]
	exit
}
