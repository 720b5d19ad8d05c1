#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# A machine of Azure's: the TEE's report belongs to the paravisor, which puts
# what it is asked for, and the vTPM's key, into runtime data.

. "$(dirname "$(readlink -f "$0")")/lib.sh"

openssl rand 32 >digest
sign() { user --sign -m ECDSA --id 02 --signature-format openssl -i digest \
    -o ec.sig; }
# status ID: what became of that check, in the last appraisal.
result() {
	token --json status >status.json 2>/dev/null
	/usr/bin/python3 -c 'import json, sys
p = json.load(open("status.json"))["appraisal"]["checks"]
print([c["result"] for c in p if c["id"] == sys.argv[1]][0])' "$1"
}
result_is() { [ "$(result "$1")" = "$2" ]; }

machine azure --cloud azure
configure azure
edit etc-azure/config.json "p['tpm']['ak'] = 'azure'"
check "no configfs-tsm, and none is missed" \
    test ! -e azure/root/sys/kernel/config/tsm

enroll azure
check "the proposal trusts the paravisor" \
    grep -q '"trust": "azure"' etc-azure/policy.json
check "and passes policy check" token policy check etc-azure/policy.json
make_token
make_keys
check "the key signs" sign
check "OpenSSL verifies" openssl pkeyutl -verify -pubin -inkey ec.pub \
    -in digest -sigfile ec.sig
for id in BIND-01 HCL-01 HCL-03 HCL-04 HCL-06 SNP-14 TPM-11; do
	check "$id passes" result_is "$id" pass
done

### Evidence for others

openssl rand -hex 32 >nonce
token attest --nonce "$(cat nonce)" --out bundle.json >attest.out 2>&1 ||
    sed 's/^/# /' attest.out
check "the bundle has the paravisor's report" grep -q hcl_report bundle.json
check "and is verified elsewhere" token verify --nonce "$(cat nonce)" \
    --simulated --policy etc-azure/policy.json bundle.json
cp bundle.json other.json
edit other.json "del p['evidence']['hcl_report']"
refuse "without the report it is not" token verify --nonce "$(cat nonce)" \
    --simulated --policy etc-azure/policy.json other.json
refuse "nor for another nonce" token verify --nonce "$(openssl rand -hex 32)" \
    --simulated --policy etc-azure/policy.json bundle.json

### The same in files

/usr/bin/python3 "$CVM_SOURCE/tests/scenario/split.py" bundle.json parts
# files HCL OPTION...
files() {
	token verify --hcl-report "$1" --quote parts/tpm_quote \
	    --signature parts/tpm_signature --ak-public parts/ak_public \
	    --pcr-values parts/pcrs.json --event-log parts/event_log \
	    --collateral azure/collateral "${@:2}"
}
by_policy() {
	files "$1" --policy etc-azure/policy.json --qualifying \
	    "$(cat parts/qualifying)" --report-data "$2"
}
data=$(cat parts/report_data)
check "the paravisor's report as a file is admitted" by_policy \
    parts/hcl_report "$data"
refuse "not for other user data" by_policy parts/hcl_report "00${data:2}"
check "by BIND-01" says BIND-01 by_policy parts/hcl_report "00${data:2}"
cp parts/hcl_report turned
printf 'x' | dd of=turned bs=1 seek=1300 conv=notrunc status=none
check "runtime data changed are denied by HCL-04" says HCL-04 \
    by_policy turned "$data"
check "a policy that does not look at it" says "--hcl-report" \
    files parts/hcl_report --policy "$CVM_SOURCE/conf/examples/policy-snp.json"

### Receipts

edit etc-azure/config.json "p['tokens'][0]['receipts'] = {'log': 'all',
    'path': '$CVM_TMP/web.receipts', 'on_failure': 'refuse'}"
prove() { token receipt verify --simulated --policy etc-azure/policy.json \
    web.receipts; }
check "a key signs with a receipt" sign
check "which proves itself elsewhere" prove
check "with the paravisor's report in it" grep -q hcl_report web.receipts
check "and receipts and bundle to an independent verifier" /usr/bin/python3 \
    "$CVM_SOURCE/tests/unit/check-protocol.py" web.receipts bundle.json

### Misbehaviour

edit etc-azure/config.json "p['evidence']['timeout_ms'] = 20000"
ctl azure set tsm.stale 1 >/dev/null
check "a write that the paravisor missed is repeated" sign
edit etc-azure/config.json "p['evidence']['timeout_ms'] = 3000"
ctl azure set tsm.stale -1 >/dev/null
refuse "without new reports nothing signs" sign
ctl azure reset >/dev/null
check "with them it does" until_true 20 sign
ctl azure set debug on >/dev/null
refuse "a debuggable machine does not sign" sign
check "and SNP-30 says why" result_is SNP-30 fail
ctl azure reset >/dev/null
check "heals" until_true 20 sign

### Policy

cp etc-azure/policy.json policy.good
id=$(ctl azure facts | /usr/bin/python3 -c \
    'import json, sys; print(json.load(sys.stdin)["vm_id"])')
edit etc-azure/policy.json "p['tpm']['ak']['vm'] = {'secure_boot': 'require',
    'ids': ['$id']}"
check "Secure Boot and this VM are there" result_is HCL-07 pass
check "and named" result_is HCL-09 pass
edit etc-azure/policy.json "p['tpm']['ak']['vm'] = {'secure_boot': 'forbid',
    'console': 'forbid', 'ids': ['00000000-0000-0000-0000-000000000000']}"
for id in HCL-07 HCL-08 HCL-09; do
	check "$id denies what is not wanted" result_is "$id" fail
done
cp policy.good etc-azure/policy.json

### Another boot, another machine

"$VCVM" stop "$CVM_TMP/azure" >/dev/null 2>&1
refuse "nothing signs when the machine is off" sign
machine azure
check "after a boot it does" until_true 20 sign
machine gce
edit etc-azure/config.json \
    "p['tpm']['tcti'] = 'device:$CVM_TMP/gce/root/dev/tpmrm0'"
token status >status.out 2>&1
check "a machine that is not Azure's is told so" \
    grep -q "0x81000003\|0x01400001" status.out
