#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# Each command of cvm-token as an administrator uses it, and as a hurried one
# does: what is refused is refused with the status that scripts rely on (0
# done, 1 refused, 2 cannot tell) and a message that says what is wrong.

. "$(dirname "$(readlink -f "$0")")/lib.sh"

# exits STATUS TEXT COMMAND...: ends with that status, and says TEXT.
exits() {
	local want=$1 text=$2 rc
	shift 2
	"$@" >exits.out 2>&1 </dev/null
	rc=$?
	[ "$rc" = "$want" ] && grep -qF -- "$text" exits.out && return 0
	cat exits.out
	echo "status $rc"
	return 1
}

# json FILE PYTHON: the expression about the document p is true.
json() {
	/usr/bin/python3 - "$1" "$2" <<-'END'
	import json, sys
	p = json.load(open(sys.argv[1]))
	sys.exit(not eval(sys.argv[2]))
	END
}

# to FILE COMMAND...: standard output into FILE, whatever the status.
to() {
	local file=$1
	shift
	"$@" >"$file"
}

# types LINES COMMAND...: on a terminal, where LINES are typed, one at each
# prompt; none of them is echoed.
types() {
	timeout 60 /usr/bin/python3 - "$@" <<-'END'
	import os, pty, select, sys, time
	lines = sys.argv[1].split("\n")
	pid, fd = pty.fork()
	if pid == 0:
	    os.execvp(sys.argv[2], sys.argv[2:])
	seen = b""
	while True:
	    try:
	        data = os.read(fd, 4096)
	    except OSError:
	        break
	    if not data:
	        break
	    seen += data
	    if seen.endswith(b": ") and lines:
	        time.sleep(0.1)
	        os.write(fd, lines.pop(0).encode() + b"\n")
	sys.stdout.write(seen.decode(errors="replace"))
	for line in sys.argv[1].split("\n"):
	    if line and line.encode() + b"\r\n" in seen:
	        sys.exit("echoed: " + line)
	sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
	END
}

# commits COMMAND...: how often it changes the token's file, into the file
# "commits" (SQLite counts in its header).
commits() {
	local before after rc
	before=$(od -An -tu4 --endian=big -j24 -N4 etc-snp/web.db)
	"$@"
	rc=$?
	after=$(od -An -tu4 --endian=big -j24 -N4 etc-snp/web.db)
	echo $((after - before)) >commits
	return $rc
}

# unprivileged COMMAND...: as nobody, who is in no group that helps.
unprivileged() {
	timeout 60 setpriv --reuid=nobody --regid=nogroup --clear-groups \
	    env CVM_PKCS11_CONF="$CVM_PKCS11_CONF" "$@"
}

machine snp --platform snp
configure snp
store=etc-snp/web.db

### The command line

check "--help lists the commands" says "seal remove" token --help
check "and each command's options" says "--so-pin-file FILE" token init --help
check "--version" says "cvm-token " token --version
check "no command" exits 2 "usage: cvm-token" token
check "an unknown command" exits 2 'no command "frobnicate"' token frobnicate
check "half a command" exits 2 '"seal add"' token seal
check "an unknown option" exits 2 'no option "--fast"' token status --fast
check "another command's option" exits 2 "does not take --pcrs" \
    token status --pcrs 0
check "an option without its value" exits 2 "--label lacks its value" \
    token init --label
check "an option twice" exits 2 "--out is given twice" \
    token enroll --out a --out=b
check "a flag with a value" exits 2 "--json takes no value" \
    token --json=yes status
check "an operand too many" exits 2 "too many" token policy diff a b
check "an operand too few" exits 2 "FILE is missing" token policy check
check "a configuration that is not there" exits 2 "/none.json" \
    token --config /none.json status
check "a token that is not configured" exits 2 '--token' \
    token --token other status
echo '{ "version": 1, "tokens": [], "tokens": [] }' >twice.json
check "a configuration that is refused" exits 2 "twice.json:1" \
    token --config twice.json status
check "help to a full disk" exits 2 "standard output" \
    sh -c "'$TOKEN' --help >/dev/full"

### Before there is anything

check "status without a policy" exits 2 "policy.json" token status
check "init without a policy" exits 2 "policy.json" \
    token init --so-pin-file so-pin --pin-file pin

### enroll

check "enroll writes a proposal" exits 0 "this is a proposal" \
    token enroll --own-roots --out proposal.json
check "which is a policy" token policy check proposal.json
check "that admits this machine" token policy diff proposal.json
check "enroll to standard output" to out.json token enroll --own-roots
check "is the same" cmp proposal.json out.json
check "never over a file that is there" exits 2 "File exists" \
    token enroll --own-roots --out proposal.json
check "nor where the policy in use is to be" exits 2 "not over the policy" \
    token enroll --own-roots --out etc-snp/../etc-snp/policy.json
[ ! -e etc-snp/policy.json ]
check "whatever the spelling" test $? -eq 0
check "a list of PCRs" to pcrs.json token enroll --own-roots --pcrs=8,9,4
check "is heeded" json pcrs.json \
    "set(p['tpm']['pcr_sets'][0]['pcrs']) == {'4', '8', '9'}"
check "without the facts that only PCR 0 and 7 prove" json pcrs.json \
    "'event_log' not in p"
check "a label for the sets, a bank" to bank.json \
    token enroll --own-roots --bank sha384 --label next
check "are heeded" json bank.json "p['tpm']['bank'] == 'sha384' and \
    p['tpm']['pcr_sets'][0]['label'] == 'next'"
check "the attestation key pinned by name" to pinned.json \
    token enroll --own-roots --ak pinned
check "is admitted" token policy diff pinned.json
check "or bound by the TEE" to tee.json token enroll --own-roots --ak tee
check "is admitted, too" token policy diff tee.json
check "the instance named" to instance.json \
    token enroll --own-roots --instance
check "is admitted as well" token policy diff instance.json
check "AMD's own roots do not admit a test machine" exits 0 "SNP-16" \
    token enroll
check "PCR 24" exits 2 "--pcrs" token enroll --pcrs 0,24
check "a PCR twice" exits 2 "--pcrs" token enroll --pcrs 4,4
check "no PCRs" exits 2 "--pcrs" token enroll --pcrs ,
check "a PCR that nothing extended" exits 2 "a PCR that was extended" \
    token enroll --pcrs 23
check "a bank of SHA-1" exits 2 "--bank" token enroll --bank sha1
check "another trust" exits 2 "--ak" token enroll --ak blind
check "the TEE of another vendor" exits 2 "tdx_guest" token enroll --tee tdx
check "an unknown TEE" exits 2 "none, sev, snp or tdx" token enroll --tee sgx
ctl snp set debug on >/dev/null
check "a debuggable machine may enrol, and is told" exits 0 "SNP-30" \
    token enroll --own-roots
ctl snp reset >/dev/null
check "no proposal to a full disk" exits 2 "No space left" \
    sh -c "'$TOKEN' enroll --own-roots >/dev/full"

vlek() {
	(
		machine vlek --platform snp --endorser vlek
		configure vlek
		token enroll --own-roots --out vlek.json &&
		    token policy diff vlek.json &&
		    json vlek.json "p['snp']['signing_keys'] == ['vlek'] and \
			len(p['snp']['csp_id']) == 1"
		rc=$?
		"$VCVM" stop "$CVM_TMP/vlek" >/dev/null 2>&1 </dev/null
		trap - EXIT
		exit $rc
	)
}
check "a VLEK machine names its cloud" vlek
old_report() {
	(
		machine old --platform snp --report-version 2 --product genoa
		configure old
		token enroll --own-roots --out old.json &&
		    token policy diff old.json &&
		    json old.json "p['snp']['products'] == ['genoa']" || exit 1
		# Nothing names the line when nobody sends certificates.
		ctl old set aux empty >/dev/null
		rm -rf old/collateral/amd/vek
		exits 2 "--product" token enroll --own-roots &&
		    token enroll --own-roots --product genoa --out new.json &&
		    json new.json "p['snp']['products'] == ['genoa']"
		rc=$?
		"$VCVM" stop "$CVM_TMP/old" >/dev/null 2>&1 </dev/null
		trap - EXIT
		exit $rc
	)
}
check "a report of version 2 gets its line from the certificate" old_report

### policy check, policy diff

cp proposal.json etc-snp/policy.json
edit etc-snp/policy.json "p['tee_report_max_age_s'] = 1"
cp etc-snp/policy.json good.json
check "policy check says what is left open" \
    says "warning: " token policy check good.json
to check.json token --json policy check good.json
check "and its digest" json check.json "p['digest'] == '$(sha256sum \
    good.json | cut -d' ' -f1)' and len(p['warnings']) >= 1"
cp good.json bad.json
edit bad.json "p['snp']['measurement'] = []"
check "an empty list" exits 1 "bad.json" token policy check bad.json
cp good.json bad.json
edit bad.json "p['snp']['measurment'] = 1"
check "an unknown name" exits 1 "measurment" token policy check bad.json
cp good.json bad.json
edit bad.json "p['tpm']['pcr_sets'][0]['pcrs']['4'] = 64 * 'f'"
check "a PCR of all ones" exits 1 "pcr_sets" token policy check bad.json
check "a file that is not there" exits 2 "/none.json" \
    token policy check /none.json

cp good.json other.json
edit other.json "s = p['tpm']['pcr_sets'][0]['pcrs']
for i in '4', '8', '9': s[i] = 64 * i"
check "policy diff denies" exits 1 "TPM-14" token policy diff other.json
to diff.out token policy diff other.json
every_pcr() {
	local i
	for i in 4 8 9; do
		grep -A1 "PCR $i " diff.out | grep -q "expected  $(printf \
		    "%64s" "" | tr ' ' "$i")" || return 1
	done
}
check "and names every PCR that differs" every_pcr
to diff.json token --json policy diff other.json
check "for programs, too" json diff.json "[d['index'] for d in \
    p['pcr_sets'][0]['differs']] == [4, 8, 9] and not p['admit']"
cp good.json other.json
edit other.json "p['snp']['measurement'] = [96 * '1']"
check "a measurement that differs" exits 1 \
    "$(printf '%096d' 0 | tr 0 1)" token policy diff other.json
check "a policy diff with a broken file" exits 2 "bad.json" \
    token policy diff bad.json

### init

printf '123' >short-pin
printf '87654321' >wrong-so-pin
printf '4321' >wrong-pin
nothing_made() {
	[ -z "$(find etc-snp -name 'web.db*' -print -quit)" ]
}
check "init with a user PIN that is too short" exits 2 "PIN" \
    token init --so-pin-file so-pin --pin-file short-pin
check "leaves nothing" nothing_made
check "init with a label that breaks URIs" exits 2 "label" \
    token init --label a:b --so-pin-file so-pin --pin-file pin
check "leaves nothing" nothing_made
ctl snp set debug on >/dev/null
check "init on a machine that is denied" exits 1 "SNP-30" \
    token init --so-pin-file so-pin --pin-file pin
ctl snp reset >/dev/null
check "leaves nothing" nothing_made
check "init without PINs and terminal" exits 2 "a terminal to ask on" \
    setsid "$TOKEN" init
check "and what takes them instead" exits 2 "--so-pin-file FILE" \
    setsid "$TOKEN" init
check "init with a PIN file that is not there" exits 2 "No such file" \
    token init --so-pin-file none --pin-file pin
check "leaves nothing" nothing_made

check "init asks on a terminal, without echo" types \
    "$SO_PIN
$SO_PIN
$PIN
$PIN" "$TOKEN" init
rm -f "$store"
check "PINs that differ are refused" not types "$SO_PIN
${SO_PIN}0" "$TOKEN" init
check "and leave nothing" nothing_made
both_from_stdin() {
	printf '%s\n%s\n' "$SO_PIN" "$PIN" |
	    token init --so-pin-file - --pin-file -
}
check "both PINs from standard input" both_from_stdin
rm -f "$store"

# With login "attestation" nobody needs an SO PIN, and none is asked for.
edit etc-snp/config.json "p['tokens'][0]['login'] = 'attestation'"
check "init says what became of the SO PIN" exits 0 "SO PIN: a random one" \
    setsid "$TOKEN" init
check "which the first reseal drops" exits 0 "The SO's seals are gone" \
    token reseal
check "and the second one sets" exits 0 "  so     tpm" \
    token reseal --so-pin-file so-pin
rm -f "$store"
check "nor is a word lost on one that was named" lacks "random" \
    token init --so-pin-file so-pin
rm -f "$store"
edit etc-snp/config.json "del p['tokens'][0]['login']"

until_true 10 token policy diff
check "init makes the token" \
    to init.json token --json init --so-pin-file so-pin --pin-file pin
check "and shows the recovery code, once" json init.json \
    "len(p['recovery_code']) > 50 and len(p['serial']) == 16"
/usr/bin/python3 -c 'import json
print(json.load(open("init.json"))["recovery_code"])' >code
not_again() { ! token --json status | grep -qF "$(cat code)"; }
check "and not again" not_again
check "init never by mistake" exits 1 "--replace" \
    token init --so-pin-file so-pin --pin-file pin
check "nor with the wrong SO PIN" exits 1 "PIN incorrect" \
    token init --replace --so-pin-file wrong-so-pin --pin-file pin
check "and the tries that are left are told" exits 1 \
    "PIN tries left: user 10, SO 8" \
    token init --replace --so-pin-file wrong-so-pin --pin-file pin
same_serial() {
	token --json status --no-appraisal >now.json
	json now.json \
	    "p['token']['serial'] == json.load(open('init.json'))['serial']"
}
check "the old token is there" same_serial
check "with the SO PIN it is replaced" \
    to init2.json token --json init --replace --so-pin-file so-pin \
    --pin-file pin
check "and kept" test -e "$store.old"
/usr/bin/python3 -c 'import json
print(json.load(open("init2.json"))["recovery_code"])' >code
check "the new one has another serial" not same_serial

### status

check "status admits" says "admitted" token status
to status.out token status
short_rows() { ! awk 'length > 140' status.out | grep -v "^machine\|  /" |
    grep .; }
check "its rows are short" short_rows
no_failures() { ! grep -E "expected|FAIL" status.out; }
check "what passed has no text of failures" no_failures
to status.json token status --json
check "--json has all of it" json status.json "p['appraisal']['admit'] and \
    p['simulated'] and len(p['seals']) >= 3 and p['token']['initialised'] and \
    p['policy']['tee'] == 'snp' and p['exit_status'] == 0 and \
    all(d['accessible'] for d in p['devices'] if d['needed'])"
to quiet.json token --json status --no-appraisal
check "--no-appraisal asks for no evidence" json quiet.json \
    "'appraisal' not in p"
ctl snp set debug on >/dev/null
check "a debuggable machine is denied" exits 1 "SNP-30" token status
to status.json token --json status
check "with expected and got" json status.json "[c for c in \
    p['appraisal']['checks'] if c['id'] == 'SNP-30'][0]['expected'] != ''"
ctl snp reset >/dev/null

### Devices that are missing, and people who may not use them

sed -i "s|/sys/kernel/config/tsm/report|/sys/kernel/config/none|" \
    etc-snp/config.json
check "no configfs-tsm: which module, which package" exits 2 \
    "modprobe sev-guest" token status
check "and which file" exits 2 "MISSING" token status
check "and the device of older kernels" exits 2 "/dev/sev-guest" token status
sed -i "s|/sys/kernel/config/none|/sys/kernel/config/tsm/report|" \
    etc-snp/config.json
ctl snp tpm kill >/dev/null
check "no TPM: evidence source unreachable" exits 2 "unreachable" token status
ctl snp tpm start >/dev/null
until_true 20 token status

tpm=$CVM_TMP/snp/root/dev/tpmrm0
ctl snp chmod dev/tpmrm0 0660 >/dev/null || chmod 0660 "$tpm"
ctl snp chown dev/tpmrm0 root tss >/dev/null 2>&1 || chown root:tss "$tpm"
chmod 755 etc-snp
check "nobody has no access to the TPM: which group" exits 2 \
    "usermod -aG tss nobody" unprivileged "$TOKEN" status
check "nor to configfs-tsm: p11-kit server" exits 2 "p11-kit server" \
    unprivileged "$TOKEN" status
chmod 600 "$store"
check "nor to the store: who has, and what to do" exits 2 \
    "nobody has no access (owner uid 0" unprivileged "$TOKEN" status
check "and which file it is" exits 2 "$store cannot be opened" \
    unprivileged "$TOKEN" status
mv "$store" kept
unopened() {
	exits "$1" "$store cannot be opened" token status \
	    --no-appraisal && grep -qF -- "$2" exits.out
}
echo "no database" >"$store"
check "a store that is none: a backup" unopened 1 "put a backup in its place"
rm -f "$store"
mkdir "$store"
check "a directory in its place" unopened 2 "move away what is there"
rmdir "$store"
mv kept "$store"
chmod 666 "$store"
check "a store for everybody to write" unopened 2 "chmod o-w"
mv etc-snp/policy.json kept
check "without a policy: how to get one" exits 2 "cvm-token enroll --out" \
    token status
check "and the store's trouble all the same" unopened 2 "got 0666"
mv kept etc-snp/policy.json
chmod 600 "$store"
chmod 664 etc-snp/policy.json
check "a policy for a group to write" exits 2 \
    "chmod g-w $CVM_TMP/etc-snp/policy.json" token status
chmod 644 etc-snp/policy.json
chmod 775 etc-snp
check "and one in a group's directory" exits 2 "chmod g-w $CVM_TMP/etc-snp" \
    token status
chmod 700 etc-snp
check "nor to the configuration, when its directory is closed" exits 2 \
    "config.json" unprivileged "$TOKEN" status
chmod 755 etc-snp

### seal

to seals.json token --json seal list
check "seal list" json seals.json "sorted((s['purpose'], s['kind']) \
    for s in p) == [('so', 'tpm'), ('token', 'recovery'), ('token', 'tpm'), \
    ('user', 'recovery'), ('user', 'tpm')] and \
    all(s['policy_is_current'] for s in p if s['kind'] == 'tpm')"
check "seal add of a set that is there" exits 1 "exists" \
    token seal add current --pin-file pin
check "seal add of a set that the policy has not" exits 2 "pcr_sets" \
    token seal add next --pin-file pin
check "seal add of nothing" exits 2 "--recovery" token seal add
check "seal add of both" exits 2 "--recovery" \
    token seal add current --recovery
check "seal add with the wrong PIN" exits 1 "PIN incorrect" \
    token seal add --recovery --pin-file wrong-pin
check "seal add --recovery gives a second code" \
    to code2 token seal add --recovery --pin-file pin
check "which is another one" not cmp -s code code2
check "a code that goes nowhere" exits 2 "their code is lost" \
    sh -c "'$TOKEN' seal add --recovery --pin-file pin >/dev/full"
check "or to no file at all" exits 2 "their code is lost" \
    sh -c "'$TOKEN' --json seal add --recovery --pin-file pin >&-"
for words in status "--json status" "seal list" "--json seal list" uri \
    "policy check etc-snp/policy.json" "policy diff" "--json policy diff" \
    "attest --nonce 0123456789abcdef"; do
	check "$words, to a full disk" exits 2 "standard output" \
	    sh -c "'$TOKEN' $words >/dev/full"
	check "$words, to nowhere" exits 2 "standard output" \
	    sh -c "'$TOKEN' $words >&-"
done
to seals2.json token --json seal list
to code3.json token --json seal add --recovery --pin-file pin
check "and a third one to programs" json code3.json \
    "list(p) == ['recovery_code'] and len(p['recovery_code']) == 65"
to seals3.json token --json seal list
for id in $(/usr/bin/python3 -c 'import json
old, new = (json.load(open(f"seals{i}.json")) for i in (2, 3))
print(*{s["id"] for s in new} - {s["id"] for s in old})'); do
	to removed.json token --json seal remove "$id"
	check "which is taken back" json removed.json "p == {'removed': 1}"
done
cp etc-snp/policy.json one-set.json
edit etc-snp/policy.json "import copy
s = copy.deepcopy(p['tpm']['pcr_sets'][0])
s['label'] = 'next'
p['tpm']['pcr_sets'].append(s)"
check "a second set" token reseal --pin-file pin --so-pin-file so-pin
commits to removed.json token --json seal remove --set next
check "a set goes at once" test "$(cat commits)" = 1
check "seal remove tells programs" json removed.json "p == {'removed': 3}"
to added.json token --json seal add next --pin-file pin --so-pin-file so-pin
check "seal add tells programs" json added.json \
    "p == {'label': 'next', 'so': True}"
check "and the set goes again" says "removed 3 seals" \
    token seal remove --set next
cp one-set.json etc-snp/policy.json
check "one set again" token reseal --pin-file pin --so-pin-file so-pin
check "seal remove of nothing" exits 2 "--set" token seal remove
check "seal remove of no id" exits 2 "32 hexadecimal" token seal remove abc
check "seal remove of an unknown id" exits 2 "seal id" \
    token seal remove 00000000000000000000000000000000
check "seal remove of an unknown set" exits 2 "that PCR set" \
    token seal remove --set next
check "seal remove --set takes the set away" \
    says "removed 3 seals" token seal remove --set current
check "and nothing opens" exits 1 "no seal opens" token status
check "until recovered" exits 0 "sealed for policy" token recover \
    --code-file code2 --pin-file pin --so-pin-file so-pin
check "then everything does" token status

### reseal

edit etc-snp/policy.json "p['name'] = 'edited'"
check "an edited policy opens nothing" exits 1 "policy digest" token status
check "seal list marks the seals" says "ANOTHER policy" token seal list
check "reseal with the wrong PIN" exits 1 "PIN incorrect" \
    token reseal --pin-file wrong-pin --so-pin-file so-pin
check "reseal with the wrong SO PIN" exits 1 "PIN incorrect" \
    token reseal --pin-file pin --so-pin-file wrong-so-pin
check "reseal without a PIN" exits 2 "user PIN" setsid "$TOKEN" reseal
ctl snp set debug on >/dev/null
check "reseal on a machine that is denied" exits 1 "SNP-30" \
    token reseal --pin-file pin --so-pin-file so-pin
ctl snp reset >/dev/null
check "nothing was sealed meanwhile" exits 1 "policy digest" token status
check "reseal seals" says "sealed for policy" \
    token reseal --pin-file pin --so-pin-file so-pin
check "and everything opens" token status
edit etc-snp/policy.json "p['name'] = 'again'"
check "without the SO PIN the SO's seals go, and it says so" \
    says "SO's seals are gone" token reseal --pin-file pin
edit etc-snp/policy.json "p['name'] = 'and again'"
check "with one, an SO PIN is set anew" \
    to reseal.json token --json reseal --pin-file pin --so-pin-file so-pin
check "as --json says" json reseal.json \
    "'so' in [s['purpose'] for s in p['seals']]"
check "reseal asks on a terminal" types "$PIN" "$TOKEN" reseal \
    --so-pin-file so-pin

### recover

check "recover with a code that is mistyped" exits 1 "recovery code" \
    sh -c "echo AAAAA-BBBBB | '$TOKEN' recover --code-file - --pin-file pin"
check "recover without a code" exits 2 "recovery code" \
    setsid "$TOKEN" recover --pin-file pin
ctl snp set debug on >/dev/null
check "recover on a machine that is denied" exits 1 "SNP-30" \
    token recover --code-file code --pin-file pin
ctl snp reset >/dev/null
printf 'another' >new-pin
check "recover sets new PINs" token recover --code-file code \
    --pin-file new-pin --so-pin-file so-pin
check "which are the ones" exits 1 "PIN incorrect" \
    token seal add --recovery --pin-file pin
check "recover again" token recover --code-file code2 --pin-file pin \
    --so-pin-file so-pin

### attest, verify

nonce=$(openssl rand -hex 32)
check "attest" token attest --nonce "$nonce" --out bundle.json
check "verify admits" says "admitted" token verify bundle.json \
    --policy etc-snp/policy.json --nonce "$nonce" --simulated
check "on a machine without configuration" env CVM_PKCS11_CONF=/none.json \
    "$TOKEN" verify bundle.json --policy etc-snp/policy.json \
    --nonce "$nonce" --simulated
to verify.json token verify --json bundle.json --simulated \
    --policy etc-snp/policy.json --nonce "$nonce"
check "--json" json verify.json "p['admit'] and p['nonce_checked'] and \
    p['machine_has_this_policy']"
check "--all shows each check" says "TPM-04" token verify bundle.json \
    --policy etc-snp/policy.json --nonce "$nonce" --simulated --all
check "a simulated machine is not a real one" exits 1 "SRC-02" \
    token verify bundle.json --policy etc-snp/policy.json --nonce "$nonce"
check "unless one says so" grep -q "try: --simulated" exits.out
check "another nonce" exits 1 "nonce" token verify bundle.json --simulated \
    --policy etc-snp/policy.json --nonce "$(openssl rand -hex 32)"
check "another policy" exits 1 "SNP-28" token verify bundle.json \
    --policy other.json --nonce "$nonce" --simulated
check "thirty years later" exits 1 "denied" token verify bundle.json \
    --policy etc-snp/policy.json --simulated --time 2056-01-31T12:00:00Z
cp bundle.json forged.json
edit forged.json "import base64
q = bytearray(base64.b64decode(p['evidence']['tpm_quote']))
q[-1] ^= 1
p['evidence']['tpm_quote'] = base64.b64encode(q).decode()"
check "one bit of the quote" exits 1 "TPM-" token verify forged.json \
    --policy etc-snp/policy.json --nonce "$nonce" --simulated
check "no policy" exits 2 "--policy" token verify bundle.json
for more in "--report-data $(printf '%0128d' 0)" "--quote bundle.json" \
    "--pcr-values bundle.json"; do
	# shellcheck disable=SC2086 # words
	check "what a bundle is not compared with: ${more%% *}" exits 2 \
	    "not for a bundle" token verify bundle.json --simulated \
	    --policy etc-snp/policy.json --nonce "$nonce" $more
done
check "a key of raw files" exits 2 "of a bundle" token verify --key-bundle \
    --report bundle.json
# The same evidence in files: report and quote are no longer held together.
/usr/bin/python3 - <<'END'
import base64, json
e = json.load(open("bundle.json"))["evidence"]
for name in "tee_report", "tpm_quote", "tpm_signature", "ak_public":
    open(name, "wb").write(base64.b64decode(e[name]))
open("report_data", "w").write(base64.b64decode(e["tee_report"])[80:144].hex())
q = base64.b64decode(e["tpm_quote"])
at = 8 + int.from_bytes(q[6:8], "big")
n = int.from_bytes(q[at:at + 2], "big")
open("qualifying", "w").write(q[at + 2:at + 2 + n].hex())
json.dump({k: v for k, v in e["pcrs"].items() if k != "bank"},
    open("values.json", "w"))
END
raw() {
	token verify --report tee_report --report-data "$(cat report_data)" \
	    --policy "$1" --collateral "$CVM_TMP/snp/collateral" \
	    --quote tpm_quote --signature tpm_signature --ak-public ak_public \
	    --pcr-values values.json --qualifying "$(cat qualifying)" "${@:2}"
}
cp etc-snp/policy.json raw.json
edit raw.json "p.pop('event_log', None)
p['tpm']['ak'] = {'trust': 'tee'}"
check "a key that a report from elsewhere may not name" exits 1 "TPM-11" \
    raw raw.json
edit raw.json "import hashlib
name = '000b' + hashlib.sha256(open('ak_public', 'rb').read()).hexdigest()
p['tpm']['ak'] = {'trust': 'pinned', 'names': [name]}"
check "a report and a quote, of one machine or two" exits 2 \
    "one machine's" raw raw.json
check "a policy that is refused" exits 2 "bad.json" \
    token verify bundle.json --policy bad.json
check "no bundle" exits 2 "code" token verify code \
    --policy etc-snp/policy.json
check "a time that is none" exits 2 "--time" token verify bundle.json \
    --policy etc-snp/policy.json --time 2026-02-30T12:00:00Z
check "a fingerprint without a nonce" exits 2 "without --nonce" \
    token verify bundle.json --policy etc-snp/policy.json \
    --key-fingerprint "$nonce"
check "attest without a nonce" exits 2 "--nonce" token attest
check "a nonce of 7 bytes" exits 2 "--nonce" token attest \
    --nonce 00010203040506
check "a nonce that is not hex" exits 2 "--nonce" token attest \
    --nonce 0001020304050607zz
check "a key that is not there" exits 2 "private or secret key" token attest \
    --nonce "$nonce" --key nobody
ctl snp set debug on >/dev/null
check "a machine that is denied still gives evidence" exits 1 "SNP-30" \
    token attest --nonce "$nonce" --out denied.json
ctl snp reset >/dev/null
check "which is denied elsewhere" exits 1 "SNP-30" token verify denied.json \
    --policy etc-snp/policy.json --nonce "$nonce" --simulated
until_true 10 token status

### key import

openssl genrsa -out rsa.pem 2048 2>/dev/null
openssl rsa -in rsa.pem -traditional -out rsa-pkcs1.pem 2>/dev/null
openssl ecparam -name prime256v1 -genkey -noout -out ec.pem
openssl pkey -in ec.pem -outform DER -out ec.der
openssl ecparam -name secp384r1 -genkey -noout |
    openssl pkcs8 -topk8 -v2 aes-256-cbc -passout pass:geheim -out enc.pem
openssl ecparam -name secp384r1 -genkey -noout |
    openssl pkcs8 -topk8 -v2 aes-256-cbc -passout pass:geheim -outform DER \
	-out enc.der
openssl genpkey -algorithm ed25519 -out ed.pem
openssl pkey -in rsa.pem -pubout -out public.pem
openssl ecparam -name sect163k1 -genkey -noout -out curve.pem
openssl genpkey -algorithm rsa -pkeyopt rsa_keygen_bits:2048 \
    -pkeyopt rsa_keygen_primes:3 -out primes.pem 2>/dev/null
openssl req -x509 -key rsa.pem -subj /CN=rsa -out rsa-cert.pem 2>/dev/null
openssl x509 -in rsa-cert.pem -outform DER -out rsa-cert.der
cat rsa-cert.pem rsa.pem >both.pem
printf geheim >passphrase
import() { token key import "$@" --pin-file pin; }

check "an RSA key with its certificate" commits import rsa.pem \
    --label web-rsa --cert rsa-cert.pem
with_objects=$(cat commits)
commits import rsa.pem --label again >again.out 2>&1
check "which come in together" test "$with_objects" = $(($(cat commits) + 1))
check "an EC key (DER)" import ec.der --label web-ec --id 0a0b
check "an encrypted key" import enc.pem --label enc \
    --passphrase-file passphrase
check "an encrypted key (DER)" import enc.der --label enc-der \
    --passphrase-file passphrase
check "an encrypted key, asked for on a terminal" types "geheim" "$TOKEN" \
    key import enc.pem --label enc2 --id 0c --pin-file pin
check "a key behind a certificate, from standard input" sh -c \
    "'$TOKEN' key import - --label both --id 0d --pin-file pin <both.pem"
check "PKCS#1, and a certificate in DER" import rsa-pkcs1.pem --label pkcs1 \
    --id 0e --cert rsa-cert.der
echo attested >message
openssl dgst -sha256 -binary message >digest
openssl pkey -in ec.pem -pubout -out ec.pub
check "the imported RSA key signs" user --sign -m SHA256-RSA-PKCS \
    --label web-rsa -i message -o rsa.sig
check "as the file would" openssl dgst -sha256 -verify public.pem \
    -signature rsa.sig message
check "the imported EC key signs" user --sign -m ECDSA --id 0a0b \
    --signature-format openssl -i digest -o ec.sig
check "as the file would" openssl dgst -sha256 -verify ec.pub \
    -signature ec.sig message
check "the certificate has the key's id" says "Certificate Object" \
    p11 -O --label web-rsa

check "the same key again" exits 1 "exists already" \
    import rsa.pem --label again
check "no label" exits 2 "--label" import rsa.pem
check "an id that is not hex" exits 2 "--id" import rsa.pem --label x --id xyz
check "a public key" exits 2 "a private key" import public.pem --label x
check "a file of nothing" exits 2 "some bytes" import /dev/null --label x
check "no file" exits 2 "none.pem" import none.pem --label x
check "an Ed25519 key" exits 2 "RSA or EC" import ed.pem --label x
check "a curve that nobody uses" exits 2 "cvm-token: " \
    import curve.pem --label x
check "an RSA key of three primes" exits 2 "two" import primes.pem --label x
check "a wrong passphrase" exits 1 "passphrase" import enc.pem --label x \
    --passphrase-file pin
check "no passphrase, no terminal" exits 2 "--passphrase-file" \
    setsid "$TOKEN" key import enc.pem --label x --pin-file pin
check "another key's certificate" exits 2 "the one of the private key" \
    import ec.pem --label x --id 0f --cert rsa-cert.pem
check "a certificate that is none" exits 2 "X.509" \
    import rsa.pem --label x --id 0f --cert message
openssl genrsa -out small.pem 1024 2>/dev/null
check "a key that is too small" exits 2 "1024" import small.pem --label x
check "and what was to come in" exits 2 \
    'nothing of small.pem was imported as "x"' import small.pem --label x
check "a wrong PIN" exits 1 "PIN incorrect" token key import rsa.pem \
    --label x --id 0f --pin-file wrong-pin
left_behind() { p11 -O | grep "label: *x$"; }
check "nothing is left of what failed" not left_behind

### attest with a key

fingerprint=$(openssl pkey -pubin -in ec.pub -outform DER | sha256sum |
    cut -d' ' -f1)
check "evidence bound to a key" token attest --nonce "$nonce" --key web-ec \
    --out key.json
check "is verified with its fingerprint" token verify key.json --simulated \
    --policy etc-snp/policy.json --nonce "$nonce" \
    --key-fingerprint "$fingerprint"
check "which it says itself" says "Key $fingerprint, private" token verify \
    key.json --simulated --policy etc-snp/policy.json --nonce "$nonce"
check "not with another's" exits 1 "key.fingerprint" token verify key.json \
    --simulated \
    --policy etc-snp/policy.json --nonce "$nonce" --key-fingerprint "$nonce"
check "a key by its id" token attest --nonce "$nonce" --key 0a0b \
    --out key.json

### uri

to uri.json token --json uri --pin-file pin --pin-source "$CVM_TMP/pin"
check "uri names each key" json uri.json \
    "{'web-rsa', 'web-ec', 'enc'} <= {k['label'] for k in p}"
to uri.out token uri --pin-file pin --pin-source "$CVM_TMP/pin"
module=$(readlink -f "$CVM_BUILD/module/cvm-pkcs11.so")
engine_conf "$module"
# line KIND LABEL: what uri prints for the key, without the kind.
line() {
	sed -n "/^$2 /,/^  ssh/s/^  $1 *//p" uri.out
}
openssl_line() {
	local command
	command=$(line OpenSSL web-ec | sed 's/-sign$//')
	OPENSSL_CONF=openssl.cnf timeout 60 sh -c \
	    "$command -sign -in digest -out uri.sig" </dev/null &&
	    openssl pkeyutl -verify -pubin -inkey ec.pub -in digest \
		-sigfile uri.sig
}
check "the OpenSSL line signs" openssl_line
nginx_line() {
	mkdir -p logs
	cat >nginx.conf <<-END
	daemon off;
	pid nginx.pid;
	error_log error.log;
	env OPENSSL_CONF;
	env CVM_PKCS11_CONF;
	events { }
	http { server {
	  listen unix:$CVM_TMP/nginx.sock ssl;
	  ssl_certificate rsa-cert.pem;
	  $(line nginx web-rsa)
	} }
	END
	OPENSSL_CONF=$CVM_TMP/openssl.cnf timeout 60 nginx -p "$CVM_TMP" \
	    -c nginx.conf -t </dev/null
}
check "the nginx line is taken" nginx_line
ssh_line() {
	[ "$(basename "$(line ssh web-rsa)")" = cvm-pkcs11.so ] &&
	    timeout 60 ssh-keygen -D "$module" </dev/null | grep ssh-rsa
}
check "ssh finds the keys in the module" ssh_line
check "without the PIN, public keys stand for the pairs" \
    says "object=web-ec" token uri
check "uri with a wrong PIN" exits 1 "PIN incorrect" \
    token uri --pin-file wrong-pin
check "a PIN source that is not absolute" exits 2 "absolute" \
    token uri --pin-source pin
check "uri takes no operand" exits 2 "too many" token uri web
ctl snp set debug on >/dev/null
check "uri on a machine that is denied" exits 1 "SNP-30" token uri
ctl snp reset >/dev/null
