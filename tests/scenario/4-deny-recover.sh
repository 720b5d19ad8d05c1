#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# A PCR changes under a running nginx: every handshake fails at once with its
# reason, and when the machine is good again they succeed without a restart.

. "$(dirname "$(readlink -f "$0")")/lib.sh"
. "$(dirname "$(readlink -f "$0")")/nginx.sh"

machine snp
configure snp
enroll snp "p['session_max_age_s'] = 1"
make_token
make_keys
certificates
way_direct
export NGINX_LISTEN=reuseport

pcr_named() {
	local pcr='PCR 8 = [0-9a-f]{64}'
	grep -E "denied: TPM-14 .*expected $pcr, got $pcr" etc-snp/log
}

check "nginx starts" nginx_start direct
check "handshakes succeed in both workers" everywhere

ctl snp pcr extend 8 "another kernel command line" >/dev/null
check "handshakes fail soon after PCR 8 changed" \
    until_true 10 nowhere
for k in rsa ec; do
	for v in 1.2 1.3; do
		refuse "$k over TLS $v fails and does not hang" handshake $k $v
	done
done
check "error.log has the reason" \
    grep -iE 'key function not permitted|reason\(104\)' nginx/error.log
check "the log names PCR, expected and found" pcr_named
check "cvm-token status says it too" says "PCR 8" token status
refuse "and exits with 1" token status
check "a new session finds no private key" \
    lacks "Private Key" p11 --login --pin "$PIN" -O
check "C_Login says CKR_DEVICE_ERROR" says CKR_DEVICE_ERROR user -O

ctl snp tpm reboot >/dev/null
check "after a reboot into the good state handshakes succeed by themselves" \
    until_true 20 everywhere
recovered() {
	local worker
	pgrep -P "$NGINX_PID" >workers
	while read -r worker; do
		grep -F "[$worker]" etc-snp/log | grep denied || return 1
		grep -F "[$worker]" etc-snp/log | tail -n 1 | grep admitted ||
		    return 1
	done <workers
}
check "the log tells of the recovery of each worker" recovered
check "nginx stops" nginx_stop

# The other taste: a token that disappears.
edit etc-snp/config.json "p['tokens'][0]['on_denial'] = 'fail'"
check "on_denial fail: the token is there while all is well" \
    says "Private Key" user -O
ctl snp pcr extend 8 "another kernel command line" >/dev/null
check "on_denial fail: pkcs11-tool says that the token is not present" \
    says CKR_TOKEN_NOT_PRESENT user --sign -m ECDSA --id 02 -i pin -o x.sig
ctl snp tpm reboot >/dev/null
check "on_denial fail: and it comes back" \
    until_true 20 says "Private Key" user -O
