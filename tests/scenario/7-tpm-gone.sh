#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# The TPM dies under nginx, or is not there when nginx starts: errors, never a
# hang or a crash, and service resumes by itself.

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

no_core() { ! grep -E 'signal (6|11)|core dumped' nginx/error.log; }

check "nginx starts" nginx_start direct
check "handshakes succeed in both workers" everywhere
ctl snp tpm kill >/dev/null
check "the TPM is gone: handshakes fail" \
    until_true 10 nowhere
check "error.log says device error" grep -iE 'device error|reason\(48\)' \
    nginx/error.log
check "pkcs11-tool says CKR_DEVICE_ERROR" says CKR_DEVICE_ERROR user -O
check "the log names the device" grep "tpmrm0" etc-snp/log
ctl snp tpm start >/dev/null
check "the TPM is back: handshakes succeed by themselves" \
    until_true 30 everywhere
check "no worker died" no_core
check "nginx stops" nginx_stop

# nginx_tries: it ends with a message or serves; it neither hangs nor crashes.
nginx_tries() {
	local rc
	: >nginx/error.log
	nginx_env >start.out 2>&1
	rc=$?
	cat start.out
	if [ "$rc" -eq 0 ]; then
		NGINX_PID=$(cat nginx/pid)
		daemons+=("$NGINX_PID")
		kill -QUIT "$NGINX_PID"
		until_true 20 not kill -0 "$NGINX_PID" || return 1
	fi
	# libp11 leaves nginx by SIGSEGV (139) after a failed C_Login: the
	# message comes first, and it is not our code that faults.
	[ "$rc" -ne 124 ] && { [ "$rc" -eq 0 ] || grep -q emerg start.out; }
}
ctl snp tpm kill >/dev/null
check "started while the TPM is down: ends with a message, or serves" \
    nginx_tries
ctl snp tpm start >/dev/null
until_true 30 user -O
ctl snp pcr extend 8 "another kernel" >/dev/null
check "started while the verdict is deny: the same" nginx_tries
ctl snp tpm reboot >/dev/null
check "and it starts when all is well" eval 'until_true 30 user -O &&
    nginx_start direct'
