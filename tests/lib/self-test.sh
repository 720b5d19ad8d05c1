#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# The runner itself: what it must count as failed, and what it must end.
set -u
shopt -s lastpipe
here=$(dirname "$(readlink -f "$0")")
top=$(mktemp -d) || exit 1
trap 'rm -rf "$top"' EXIT
number=0
status=0

report() {
	number=$((number + 1))
	if [ "$1" = "$2" ]; then
		echo "ok $number - $3"
	else
		echo "not ok $number - $3: expected $1, got $2"
		status=1
	fi
}

# counts EXPECTED STATUS WHAT: tallies stdin as a program's output.
counts() {
	local total
	rm -rf "$top/count"
	mkdir "$top/count"
	cat >"$top/count/output"
	/usr/bin/python3 "$here/tally.py" output "$top/count" a "$2" \
	    "$top/count/output" >/dev/null
	total=$(cut -d ' ' -f 1-3 "$top/count/counts")
	report "$1" "$total" "$3"
}

# total EXPECTED_STATUS WHAT: the verdict over what was tallied last.
total() {
	/usr/bin/python3 "$here/tally.py" sum "$top/count" >/dev/null
	report "$1" $? "$2"
}

printf 'ok 1 - a\nok 2 - b\n1..2\n' | counts "2 0 0" 0 "late plan"
total 0 "passed tests are success"
printf '1..2\nok 1 - a\nnot ok 2 - b\n' | counts "1 1 0" 1 "failed test"
total 1 "a failed test is failure"
printf '1..2\nok 1 - a\nnot ok 2 # SKIP b\n' | counts "1 0 1" 0 "cmocka skip"
printf '1..0 # SKIP no\n' | counts "0 0 1" 0 "skipped whole"
total 1 "nothing passed is failure"
printf '1..3\nok 1 - a\n' | counts "1 1 0" 0 "plan not reached"
printf '1..3\nok 1\nnot ok 2\n' | counts "1 2 0" 134 "died after a failure"
printf 'ok 1 - a\n' | counts "1 1 0" 0 "no plan"
printf '1..1\nok 1 - a\n' | counts "1 1 0" 99 "leak after the last test"
printf '1..1\nok 1 - a\nBail out! no\n' | counts "1 1 0" 0 "bail out"
printf 'ok 1\nnot ok 2 # SKIP b\n1..2\n' | counts "1 0 1" 0 "skipped in part"
/usr/bin/python3 "$here/tally.py" sum "$top/count" |
    grep -q '^ *1 skipped in a$'
report 0 $? "the summary says in what"
counts "1 0 0" 0 "silent success" </dev/null
counts "0 1 0" 3 "silent failure" </dev/null
counts "0 0 1" 77 "silent skip" </dev/null

# logged EXPECTED STATUS WHAT: tallies stdin as meson's log.
logged() {
	rm -rf "$top/count"
	mkdir "$top/count"
	cat >"$top/count/log"
	/usr/bin/python3 "$here/tally.py" meson "$top/count" a "$2" \
	    "$top/count/log" >/dev/null 2>&1
	report "$1" "$(cut -d ' ' -f 1-3 "$top/count/counts" 2>/dev/null |
	    paste -s -d +)" "$3"
}
passed='{"name":"a:u / b","returncode":0,"result":"OK","stdout":"1..1\nok 1"}'
logged "1 0 0" 0 "a program that passed" <<<"$passed"
logged "1 0 0+0 1 0" 1 "meson fails, and no program" <<<"$passed"
logged "0 1 0" 1 "a program out of time" \
    <<<'{"name":"a:u / b","returncode":0,"result":"TIMEOUT","stdout":""}'
logged "0 1 0" 0 "no program ran" </dev/null
logged "" 0 "a log that is cut off counts nothing" <<<'{"name":"a:u / b",'

contain() {
	/usr/bin/python3 "$here/contain.py" "$1" "$top/log" bash -c "$2"
}
contain 10 'exit 5'
report 5 $? "exit status passes through"
contain 1 'sleep 60'
report 124 $? "time limit"
# shellcheck disable=SC2016 # expanded by the inner shell
contain 10 'kill -9 $$'
report 137 $? "death by signal"

# shellcheck disable=SC2016 # expanded by the inner shell
contain 20 'pid=$(sleep 0.2 >/dev/null & echo $!)
    for ((i = 0; i < 50; i++)); do
	kill -0 "$pid" || exit 7
	sleep 0.1
    done'
report 7 $? "an orphan that ended is gone"

# A daemon that detached and ignores SIGTERM is ended all the same.
cat >"$top/daemon" <<'EOF'
trap '' TERM
echo $$ >"$1"
while :; do sleep 1; done
EOF
contain 20 "setsid bash '$top/daemon' '$top/pid' &
    while [ ! -s '$top/pid' ]; do sleep 0.1; done"
report 0 $? "a daemon is left running"
kill -0 "$(cat "$top/pid")" 2>/dev/null
report 1 $? "and is ended"
grep -q '^# left running: .*bash' "$top/log"
report 0 $? "and is named"

echo "1..$number"
exit $status
