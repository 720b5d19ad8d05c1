#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# Every kind of machine that is known: what cvm-token enroll proposes passes
# its own check, admits the machine, and lets it sign.

. "$(dirname "$(readlink -f "$0")")/lib.sh"

openssl rand 32 >digest
sign() { user --sign -m ECDSA --id 02 --signature-format openssl -i digest \
    -o ec.sig; }

# platform NAME AK OPTION...: AK is gce-ecc, gce-rsa, or own, which the policy
# then pins by its name, or own-tee: bound by the TEE report alone.
platform() {
	local name=$1 ak=$2 edits=
	shift 2
	machine "$name" "$@"
	configure "$name"
	edit "etc-$name/config.json" "p['tpm']['ak'] = '${ak%-tee}'"
	[ "$ak" = own-tee ] && edits="p['tpm']['ak'] = {'trust': 'tee'}"
	enroll "$name" "$edits"
	check "$name: the proposal passes policy check" \
	    token policy check "etc-$name/policy.json"
	make_token
	make_keys
	check "$name: the key signs" sign
	check "$name: OpenSSL verifies" openssl pkeyutl -verify -pubin \
	    -inkey ec.pub -in digest -sigfile ec.sig
	"$VCVM" stop "$CVM_TMP/$name" >/dev/null 2>&1
	refuse "$name: nothing signs when the machine is off" sign
}

platform snp-v2-milan gce-ecc --platform snp --report-version 2
platform snp-v3-genoa gce-rsa --platform snp --product genoa
platform snp-v5-turin own --platform snp --product turin --report-version 5
platform snp-vlek own-tee --platform snp --endorser vlek
platform tdx-v4 gce-ecc --platform tdx --quote-version 4
platform tdx-v5 gce-rsa --platform tdx --quote-version 5
platform tdx-v5-td10 own --platform tdx --quote-version 5 --quote-body 1.0
platform tdx-processor-ca own-tee --platform tdx --pck-ca processor
platform sev gce-ecc --platform sev
platform sev-rsa gce-rsa --platform sev
