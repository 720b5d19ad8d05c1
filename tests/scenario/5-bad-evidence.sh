#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# Each way of being another machine is denied, with the check that says so.

. "$(dirname "$(readlink -f "$0")")/lib.sh"

# denied MACHINE CHECK: cvm-token says deny, names the check, and pkcs11-tool
# finds no private key to sign with.
denied() {
	local m=$1 id=$2
	token --json status >status.json
	[ $? -eq 1 ] || { cat status.json; return 1; }
	/usr/bin/python3 - "$id" <<-'END' || return 1
	import json, sys
	checks = json.load(open("status.json"))["appraisal"]["checks"]
	failed = {c["id"]: c for c in checks if c["result"] == "fail"}
	for c in failed.values():
	    print(c["id"], c["title"], c["expected"], c["got"])
	assert sys.argv[1] in failed, "not " + sys.argv[1]
	assert failed[sys.argv[1]]["expected"] and failed[sys.argv[1]]["got"]
	END
	fails user --sign -m ECDSA --id 02 -i digest -o denied.sig &&
	    [ ! -s denied.sig ] && grep -q "denied: $id" "etc-$m/log"
}
admitted() { token status >status.out 2>&1 && user --sign -m ECDSA --id 02 \
    -i digest -o ok.sig; }

# misbehave MACHINE WHAT CHECK KEY VALUE
misbehave() {
	: >"etc-$1/log"
	ctl "$1" set "$4" "$5" >/dev/null || return 1
	check "$1: $2 is denied by $3" denied "$1" "$3"
	ctl "$1" reset >/dev/null
	check "$1: admitted again after $2" until_true 10 admitted
}

openssl rand 32 >digest

machine snp --platform snp
configure snp
enroll snp "p['tee_report_max_age_s'] = 0"
make_token
make_keys
check "snp: admitted as it is" admitted
zeros=$(printf '0%.0s' {1..95})
misbehave snp "a wrong measurement" SNP-28 measurement "${zeros}1"
misbehave snp "the debug bit" SNP-30 debug on
misbehave snp "a migration agent" SNP-31 migratable on
misbehave snp "an old TCB" SNP-24 tcb old
misbehave snp "a foreign vendor root" SNP-17 root foreign
misbehave snp "another chip" SNP-20 chip other
misbehave snp "a revoked intermediate" SNP-18 revoked ca
misbehave snp "a bad signature" SNP-11 signature bad
misbehave snp "another VMPL" SNP-29 vmpl 2
misbehave snp "a stale report" BIND-01 tsm.stale -1
misbehave snp "a report over another nonce" BIND-01 tsm.wrong_nonce -1
misbehave snp "the AK of another TPM" TPM-08 tpm.ak other

machine tdx --platform tdx
configure tdx
enroll tdx "p['tee_report_max_age_s'] = 0"
make_token
make_keys
check "tdx: admitted as it is" admitted
misbehave tdx "a wrong measurement" TDX-69 measurement "${zeros}1"
misbehave tdx "the debug bit" TDX-59 debug on
misbehave tdx "an old TCB" TDX-51 tcb old
misbehave tdx "a foreign vendor root" TDX-11 root foreign
misbehave tdx "a revoked intermediate" TDX-22 revoked ca
misbehave tdx "a bad signature" TDX-18 signature bad
misbehave tdx "expired collateral" TDX-22 collateral expired
misbehave tdx "a stale report" BIND-01 tsm.stale -1
misbehave tdx "a report over another nonce" BIND-01 tsm.wrong_nonce -1

# ccel_is PATH: the CCEL beside the log of the vTPM is another file.
ccel_is() {
	: >etc-tdx/log
	edit etc-tdx/config.json "p['evidence']['ccel'] = '$1'"
}
ccel=$CVM_TMP/tdx/root/sys/firmware/acpi/tables/data/CCEL
/usr/bin/python3 - "$ccel" <<-'END'
	import sys
	log = bytearray(open(sys.argv[1], "rb").read())
	open("torn.ccel", "wb").write(log[:1000])
	log[log.index(b"/vmlinuz")] ^= 1
	open("lie.ccel", "wb").write(log)
	end = len(log.rstrip(b"\xff"))
	event = (3).to_bytes(4, "little") + (13).to_bytes(4, "little") + \
	    (1).to_bytes(4, "little") + b"\x0c\0" + bytes(48) + bytes(4)
	log[end:end + len(event)] = event
	open("longer.ccel", "wb").write(log)
END
for row in "torn LOG-01" "longer LOG-04" "lie LOG-05"; do
	ccel_is "$CVM_TMP/${row% *}.ccel"
	check "tdx: a ${row% *} CCEL beside the TPM's log is denied" \
	    denied tdx "${row#* }"
done
ccel_is "$CVM_TMP/none"
check "tdx: without any the TPM's log does" admitted
check "tdx: and status says so" says "the machine has no CCEL" \
    token status
ccel_is "$ccel"
cp etc-tdx/policy.json mine.json
edit etc-tdx/policy.json "p['event_log']['ccel'] = 'require'"
check "tdx: the CCEL is there where the policy wants it" \
    lacks "no CCEL" token status
ccel_is "$CVM_TMP/none"
check "tdx: and without it there is no evidence" says "$CVM_TMP/none" \
    token status
ccel_is "$ccel"
cp mine.json etc-tdx/policy.json
check "tdx: admitted again with its own CCEL" until_true 10 admitted

# The same in files: what "present" is, where nobody asks the machine.
openssl rand -hex 32 >nonce
token attest --nonce "$(cat nonce)" --out bundle.json >attest.out 2>&1 ||
    sed 's/^/# /' attest.out
/usr/bin/python3 "$CVM_SOURCE/tests/scenario/split.py" bundle.json parts
# files OPTION...
files() {
	token verify --report parts/tee_report --quote parts/tpm_quote \
	    --signature parts/tpm_signature --ak-public parts/ak_public \
	    --ak-cert parts/ak_cert --pcr-values parts/pcrs.json \
	    --event-log parts/event_log --collateral tdx/collateral \
	    --qualifying "$(cat parts/qualifying)" \
	    --report-data "$(cat parts/report_data)" "$@"
}
# by_policy CCEL: as the machine's policy is but for event_log.ccel.
by_policy() {
	cp etc-tdx/policy.json by.json
	edit by.json "p['event_log']['ccel'] = '$1'"
	files --policy by.json "${@:2}"
}
# Who holds a key that a certificate names is not in these files.
whole="cannot tell: nothing in these files says that report and quote"
check "tdx: nothing is wrong with both logs in files" says "$whole" \
    by_policy require --ccel parts/ccel
check "tdx: the logs state the same" says "the same: Secure Boot" \
    by_policy present --ccel parts/ccel --all
check "tdx: nor without a CCEL by who does without" says "$whole" \
    by_policy present
check "tdx: which says so" says "no CCEL" by_policy present --all
check "tdx: not by who requires one" says "--ccel" by_policy require
check "tdx: nor with one by who ignores it" says "--ccel" \
    by_policy ignore --ccel parts/ccel
check "tdx: so do they without a policy" says "the same: Secure Boot" \
    files --ccel parts/ccel --all
for row in "torn LOG-01" "longer LOG-04" "lie LOG-05"; do
	check "tdx: a ${row% *} CCEL in a file is denied by ${row#* }" \
	    says "denied: ${row#* }" by_policy present --ccel "${row% *}.ccel"
done

machine sev --platform sev
configure sev
enroll sev
make_token
make_keys
check "sev: admitted as it is" admitted
misbehave sev "the AK of another TPM" TPM-08 tpm.ak other
