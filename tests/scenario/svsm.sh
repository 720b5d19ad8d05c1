#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# A guest below an SVSM: the vTPM is inside of the TEE, and the report names
# its endorsement key.

. "$(dirname "$(readlink -f "$0")")/lib.sh"

openssl rand 32 >digest
sign() { user --sign -m ECDSA --id 02 --signature-format openssl -i digest \
    -o ec.sig; }
result() {
	token --json status >status.json 2>/dev/null
	/usr/bin/python3 -c 'import json, sys
p = json.load(open("status.json"))["appraisal"]["checks"]
print([c["result"] for c in p if c["id"] == sys.argv[1]][0])' "$1"
}
result_is() { [ "$(result "$1")" = "$2" ]; }
# ek: the TPM name of the endorsement key.
ek() {
	ctl svsm facts | /usr/bin/python3 -c 'import hashlib, json, sys
b = bytes.fromhex(json.load(sys.stdin)["ek_public"])
print("000b" + hashlib.sha256(b).hexdigest())'
}
ak() {
	ctl svsm facts | /usr/bin/python3 -c 'import json, sys
print(json.load(sys.stdin)["aks"]["ak_ecc"]["name"])'
}

machine svsm --vmpl 2
configure svsm
enroll svsm "p['snp']['vmpl'] = 0; p['tpm']['ak'] = {'trust': 'svsm'}"
check "the policy passes policy check" token policy check etc-svsm/policy.json
make_token
make_keys
check "the key signs" sign
check "OpenSSL verifies" openssl pkeyutl -verify -pubin -inkey ec.pub \
    -in digest -sigfile ec.sig
for id in BIND-01 SNP-29 SVSM-01 SVSM-03 TPM-11; do
	check "$id passes" result_is "$id" pass
done

### Evidence for others: it has no proof that the key is in the TPM

openssl rand -hex 32 >nonce
verify() {
	token verify --nonce "$(cat nonce)" --simulated --policy "$1" "$2"
}
check "a bundle" token attest --nonce "$(cat nonce)" --out bundle.json
check "with the manifest" grep -q svsm_manifest bundle.json
refuse "is denied elsewhere" verify etc-svsm/policy.json bundle.json
check "by SVSM-03" says SVSM-03 verify etc-svsm/policy.json bundle.json
cp etc-svsm/policy.json named.json
edit named.json "p['tpm']['ak'].update(names=['$(ak)'], eks=['$(ek)'])"
check "unless the verifier's policy names the key" verify named.json \
    bundle.json
cp named.json known.json
edit named.json "p['tpm']['ak']['eks'] = ['000b' + 32 * 'ab']"
check "another endorsement key is denied by SVSM-02" says SVSM-02 \
    verify named.json bundle.json
cp bundle.json other.json
edit other.json "import base64
e = p['evidence']; m = bytearray(base64.b64decode(e['svsm_manifest']))
m[-1] ^= 1; e['svsm_manifest'] = base64.b64encode(m).decode()"
check "another manifest is denied by BIND-01" says BIND-01 \
    verify named.json other.json

### The same in files

/usr/bin/python3 "$CVM_SOURCE/tests/scenario/split.py" bundle.json parts
files() {
	token verify --report parts/tee_report --svsm-manifest "$1" \
	    --quote parts/tpm_quote --signature parts/tpm_signature \
	    --ak-public parts/ak_public --pcr-values parts/pcrs.json \
	    --event-log parts/event_log --collateral svsm/collateral \
	    --policy "$2" --qualifying "$(cat parts/qualifying)" \
	    --report-data "$3"
}
data=$(cat parts/report_data)
check "the manifest as a file is admitted" files parts/svsm_manifest \
    known.json "$data"
check "another one is denied by BIND-01" says BIND-01 \
    files parts/ak_public known.json "$data"
check "so is another nonce" says BIND-01 \
    files parts/svsm_manifest known.json "00${data:2}"
check "a key that nothing names, by SVSM-03" says SVSM-03 \
    files parts/svsm_manifest etc-svsm/policy.json "$data"

### Receipts

edit etc-svsm/config.json "p['tokens'][0]['receipts'] = {'log': 'all',
    'path': '$CVM_TMP/web.receipts', 'on_failure': 'refuse'}"
prove() { token receipt verify --simulated --policy "$1" web.receipts; }
check "a key signs with a receipt" sign
check "which proves itself where the key's name is known" prove known.json
refuse "and not elsewhere" prove etc-svsm/policy.json
check "and receipts and bundle to an independent verifier" /usr/bin/python3 \
    "$CVM_SOURCE/tests/unit/check-protocol.py" web.receipts bundle.json

### Misbehaviour

ctl svsm set tsm.wrong_nonce -1 >/dev/null
refuse "a report over another nonce" sign
check "is denied by BIND-01" result_is BIND-01 fail
ctl svsm reset >/dev/null
check "heals" until_true 20 sign
ctl svsm set tsm.ebusy 2 >/dev/null
check "a busy SVSM is waited for" sign
ctl svsm reset >/dev/null

### Another TPM than the SVSM's

machine other --vmpl 2
edit etc-svsm/config.json \
    "p['tpm']['tcti'] = 'device:$CVM_TMP/other/root/dev/tpmrm0'"
check "a TPM that is not the SVSM's is denied by SVSM-03" \
    result_is SVSM-03 fail
edit etc-svsm/config.json \
    "p['tpm']['tcti'] = 'device:$CVM_TMP/svsm/root/dev/tpmrm0'"

### A machine without an SVSM

machine plain
edit etc-svsm/config.json \
    "p['evidence']['tsm'] = '$CVM_TMP/plain/root/sys/kernel/config/tsm/report'"
check "a guest without SVSM is told so" says "SVSM" token status
