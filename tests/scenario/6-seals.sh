#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# What opens a store: this vTPM, in these states, under this policy, or the
# recovery code; and nothing else.

. "$(dirname "$(readlink -f "$0")")/lib.sh"

machine snp
configure snp
enroll snp
make_token
make_keys
openssl rand 32 >digest
sign() { user --sign -m ECDSA --id 02 --signature-format openssl -i digest \
    -o ec.sig; }
check "the key signs" sign

# A thief's machine: its own vTPM, a policy that accepts it, our store.
mkdir thief
machine other
configure other
enroll other
cp etc-snp/web.db etc-other/web.db
check "the thief's machine itself is admitted" \
    says "admitted" token status
refuse "our store does not open on its vTPM" sign
check "and its log says why" grep -E 'another TPM|no seal' etc-other/log
export CVM_PKCS11_CONF=$CVM_TMP/etc-snp/config.json
check "at home it does" sign

# One byte of the policy.
cp etc-snp/policy.json good-policy.json
sed 's/"name": "web"/"name": "wed"/' good-policy.json >etc-snp/policy.json
refuse "a policy that was edited by one byte opens nothing" sign
check "the log says that the policy changed" grep -i 'policy' etc-snp/log
check "cvm-token reseal is the way" \
    token reseal --pin-file pin --so-pin-file so-pin
check "then it opens" sign
cp good-policy.json etc-snp/policy.json
refuse "the old policy is now the edited one" sign
check "reseal for it again" token reseal --pin-file pin --so-pin-file so-pin

# A kernel update: seal beforehand for what will be measured.
echo '{"cmdline": "root=/dev/mapper/root ro quiet v2",
       "kernel": "vmlinuz 2"}' >next.json
echo '{}' >current.json
check "the next kernel is booted to learn its PCRs" ctl snp boot next.json
enroll_next() {
	rm -f next-proposal.json
	token enroll --own-roots --out next-proposal.json || return 1
	/usr/bin/python3 - <<-'END'
	import json
	p = json.load(open("good-policy.json"))
	n = json.load(open("next-proposal.json"))
	s = n["tpm"]["pcr_sets"][0]
	s["label"] = "next"
	p["tpm"]["pcr_sets"].append(s)
	json.dump(p, open("both-policy.json", "w"), indent=2)
	END
}
check "cvm-token enroll proposes them" enroll_next
check "back to the current kernel" ctl snp boot current.json
check "which still signs" sign
cp both-policy.json etc-snp/policy.json
check "sealed for both, before the update" \
    token reseal --pin-file pin --so-pin-file so-pin
check "seal list shows both" says next token seal list
check "the current kernel signs" sign
check "the next kernel is booted" ctl snp boot next.json
check "and signs, without anybody's help" sign
edit etc-snp/policy.json "p['tpm']['pcr_sets'] = p['tpm']['pcr_sets'][1:]"
check "the old set is dropped" \
    token reseal --pin-file pin --so-pin-file so-pin
check "the next kernel signs on" sign
check "the old kernel is booted" ctl snp boot current.json
refuse "and is denied" sign
check "by its PCRs" says "TPM-14" token status

# Everything changed: another TPM, another policy, another kernel.
cp etc-snp/web.db etc-other/web.db
export CVM_PKCS11_CONF=$CVM_TMP/etc-other/config.json
refuse "on another machine nothing opens" sign
printf 'AAAAA-AAAAA-AAAAA-AAAAA-AAAAA-AAAAA-AAAAA-AAAAA-AAAAA-AAAAA-AAAAA\n' \
    >bad-code
refuse "nor by another recovery code" token recover --code-file bad-code \
    --pin-file pin --so-pin-file so-pin
check "the recovery code opens it and seals it anew" token recover \
    --code-file code --pin-file pin --so-pin-file so-pin
check "and the key signs there" sign
check "with the same key" openssl pkeyutl -verify -pubin -inkey ec.pub \
    -in digest -sigfile ec.sig
