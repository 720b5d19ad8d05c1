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

# platform NAME OPTION...
platform() {
	local name=$1
	shift
	machine "$name" "$@"
	configure "$name"
	enroll "$name"
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

platform snp-v2-milan --platform snp --report-version 2
platform snp-v3-genoa --platform snp --product genoa
platform snp-v5-turin --platform snp --product turin --report-version 5
platform snp-vlek --platform snp --endorser vlek
platform tdx-v4 --platform tdx --quote-version 4
platform tdx-v5 --platform tdx --quote-version 5
platform tdx-v5-td10 --platform tdx --quote-version 5 --quote-body 1.0
platform tdx-processor-ca --platform tdx --pck-ca processor
platform sev --platform sev
