#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# pkcs11-tool makes a token and keys, signs and decrypts; OpenSSL agrees.

. "$(dirname "$(readlink -f "$0")")/lib.sh"

machine snp --platform snp
configure snp
enroll snp

check "an uninitialised token is listed" says "uninitialized" p11 -L
check "pkcs11-tool initialises it" \
    p11 --init-token --label web --so-pin "$SO_PIN"
check "pkcs11-tool sets the user's PIN" \
    p11 --init-pin --login --login-type so --so-pin "$SO_PIN" --new-pin "$PIN"
refuse "a wrong PIN is refused" p11 --login --pin 9999 -O
check "the refusal is said by its name" \
    says CKR_PIN_INCORRECT p11 --login --pin 9999 -O

# Thread options: N gives C_Initialize NULL, L asks for locks, the rest is what
# the threads call.  The tool sleeps half a minute before it looks after its
# threads, hence all side by side, and beside the tests below.
forms=(IN IL INGISLT0 ILGISLT0) runs=${THREAD_RUNS:-50}
declare -A threads=()
test_threads() {
	local i pids=() status=0
	while [ ${#pids[@]} -lt "$runs" ]; do
		timeout 200 pkcs11-tool --module "$MODULE" \
		    --test-threads "$1" --test-threads "$1" \
		    >"threads.$1.${#pids[@]}" 2>&1 &
		pids+=($!)
	done
	for i in "${!pids[@]}"; do
		wait "${pids[i]}" || {
			status=$?
			cat "threads.$1.$i"
		}
	done
	return $status
}
collect() { wait "${threads[$1]}" || { cat "threads.$1" && return 1; }; }
for options in "${forms[@]}"; do
	test_threads "$options" >"threads.$options" 2>&1 &
	threads[$options]=$!
done

check "RSA-2048 is generated" \
    user --keypairgen --key-type RSA:2048 --label rsa --id 01
check "P-256 is generated" \
    user --keypairgen --key-type EC:prime256v1 --label ec --id 02
check "public keys can be read" public_key 01 rsa
check "EC points too" public_key 02 ec

echo "attested" >message
openssl dgst -sha256 -binary message >digest
check "PKCS#1 signature" user --sign -m SHA256-RSA-PKCS --id 01 \
    -i message -o rsa.sig
check "OpenSSL verifies it" openssl dgst -sha256 -verify rsa.pub \
    -signature rsa.sig message
check "PSS signature" user --sign -m RSA-PKCS-PSS --hash-algorithm SHA256 \
    --mgf MGF1-SHA256 --id 01 -i digest -o pss.sig
check "OpenSSL verifies PSS" openssl dgst -sha256 -verify rsa.pub \
    -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 \
    -signature pss.sig message
check "ECDSA signature" user --sign -m ECDSA --id 02 \
    --signature-format openssl -i digest -o ec.sig
check "OpenSSL verifies ECDSA" openssl dgst -sha256 -verify ec.pub \
    -signature ec.sig message
echo "another" >other
refuse "another message does not verify" openssl dgst -sha256 -verify ec.pub \
    -signature ec.sig other

check "OpenSSL encrypts to the key with OAEP" openssl pkeyutl -encrypt \
    -pubin -inkey rsa.pub -pkeyopt rsa_padding_mode:oaep \
    -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256 \
    -in message -out secret
check "the token decrypts it" user --decrypt -m RSA-PKCS-OAEP \
    --hash-algorithm SHA256 --mgf MGF1-SHA256 --id 01 -i secret -o plain
check "to the same bytes" cmp message plain

openssl req -x509 -newkey rsa:2048 -nodes -keyout /dev/null -subj /CN=x \
    -outform DER -out cert.der 2>/dev/null
check "a certificate is written" user --write-object cert.der --type cert \
    --label rsa --id 01
check "and listed" says "Certificate Object" user -O
# pkcs11-tool's status differs when it apologises: what it wrote counts.
user --read-object --type privkey --id 01 -o private >/dev/null 2>&1
refuse "the private key cannot be read out" test -s private
check "a key is deleted" user --delete-object --type privkey --id 02
refuse "and is gone" user --sign -m ECDSA --id 02 -i digest -o gone.sig

# pkcs11-tool's own tests, in all their forms.  Without --allow-sw it skips
# signatures of a token that does not call itself hardware.
check "pkcs11-tool --test" says "No errors" user --test
check "pkcs11-tool --test --allow-sw" says "No errors" user --test --allow-sw
for curve in secp256r1 secp384r1 secp521r1; do
	check "pkcs11-tool --test-ec with $curve" says "==> OK" user \
	    --test-ec --session-rw --key-type "EC:$curve" --id EC01 --label test
done
check "pkcs11-tool --test-fork" p11 --test-fork
for options in "${forms[@]}"; do
	check "pkcs11-tool --test-threads $options, $runs times two" \
	    collect "$options"
done
