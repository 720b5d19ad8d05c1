#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# bind "operation": every use of a key is an admission of its own, and a
# machine that turns bad cannot sign once more, however young its session.

. "$(dirname "$(readlink -f "$0")")/lib.sh"
. "$(dirname "$(readlink -f "$0")")/nginx.sh"

machine snp
configure snp
enroll snp "p['bind'] = 'operation'; p['session_max_age_s'] = 86400"
make_token
make_keys
certificates
openssl rand 32 >digest

# quotes COMMAND...: how many TPM quotes (TPM2_CC_Quote, 0x158) it took.
quotes() {
	ctl snp counters reset >/dev/null
	"$@" >quoted.out 2>&1 || { cat quoted.out; return 1; }
	ctl snp counters | awk '$1 == "tpm.command.0x158" { print $2 }'
}
sign() { user --sign -m ECDSA --id 02 --signature-format openssl -i digest \
    -o ec.sig; }
rsa() { user --sign -m SHA256-RSA-PKCS --id 01 -i digest -o rsa.sig; }
decrypt() {
	openssl pkeyutl -encrypt -pubin -inkey rsa.pub -in digest -out box &&
	    user --decrypt -m RSA-PKCS --id 01 -i box -o plain &&
	    cmp digest plain
}
more() { [ "$(quotes "$2")" -gt "$(quotes "$1")" ]; }
list() { user -O; }

check "an ECDSA signature" sign
check "which OpenSSL verifies" openssl pkeyutl -verify -pubin -inkey ec.pub \
    -in digest -sigfile ec.sig
check "an RSA signature in parts" rsa
check "a decryption" decrypt
check "signing takes a quote that listing does not take" more list sign
check "so does decrypting" more list decrypt

# A worker whose session was admitted a moment ago, and may be a day old.
way_direct
check "nginx starts" nginx_start direct
check "handshakes succeed" everywhere
ctl snp pcr extend 8 "another kernel command line" >/dev/null
check "the very next handshakes fail, in both workers" nowhere
ctl snp tpm reboot >/dev/null
check "and succeed again after a reboot into the good state" \
    until_true 20 everywhere
check "nginx stops" nginx_stop
