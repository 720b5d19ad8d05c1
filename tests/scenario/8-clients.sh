#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# The other clients: OpenSSL's engine, p11tool, p11-kit's proxy and remoting,
# and a verifier who asks for evidence with nothing but pkcs11-tool.

. "$(dirname "$(readlink -f "$0")")/lib.sh"

machine tdx --platform tdx
configure tdx
enroll tdx
make_token
make_keys
openssl rand 32 >digest
uri() { echo "pkcs11:token=web;object=$1;type=private;pin-value=$PIN"; }

engine_conf "$MODULE"
# engine_sign KEY OUT: the way of "openssl pkeyutl -engine pkcs11".
engine_sign() {
	OPENSSL_CONF=$PWD/openssl.cnf timeout 30 \
	    openssl pkeyutl -engine pkcs11 -keyform engine \
	    -inkey "$(uri "$1")" -sign \
	    -pkeyopt digest:sha256 -in digest -out "$2"
}
engine_decrypt() {
	openssl pkeyutl -encrypt -pubin -inkey rsa.pub -in pin -out box &&
	    OPENSSL_CONF=$PWD/openssl.cnf timeout 30 openssl pkeyutl \
		-engine pkcs11 -keyform engine \
		-inkey "$(uri rsa)" -decrypt -in box -out unboxed &&
	    cmp pin unboxed
}
openssl_verify() {
	openssl pkeyutl -verify -pubin -inkey "$1.pub" \
	    -pkeyopt digest:sha256 -in digest -sigfile "$2"
}
for k in rsa ec; do
	check "the engine signs with $k" engine_sign $k engine-$k.sig
	check "and OpenSSL verifies" openssl_verify $k engine-$k.sig
done
check "the engine decrypts" engine_decrypt

# p11tool talks to one module that is named.
p11tool_() { GNUTLS_PIN=$PIN timeout 30 p11tool --provider="$MODULE" "$@"; }
check "p11tool lists the token" says "pkcs11:model=" p11tool_ --list-tokens
check "p11tool sees the private keys" says "type=private" \
    p11tool_ --login --list-privkeys "pkcs11:token=web"
check "p11tool tests a signature" says "ok" p11tool_ --login --test-sign \
    "pkcs11:token=web;object=rsa;type=private"

# p11-kit remoting: one process has the module, others have a socket.
(exec p11-kit server -f -n "$PWD/p11.sock" \
    --provider "$(readlink -f "$MODULE")" \
    "pkcs11:token=web" >server.log 2>&1 </dev/null) &
daemons+=($!)
until_true 10 test -S p11.sock
chmod 666 p11.sock
remote=$(pkg-config --variable=p11_module_path p11-kit-1)/p11-kit-client.so
export P11_KIT_SERVER_ADDRESS=unix:path=$PWD/p11.sock
remote_user() { P11_MODULE=$remote user "$@"; }
check "remoting lists the keys" says "Private Key" remote_user -O
check "remoting signs with RSA" remote_user --sign -m SHA256-RSA-PKCS \
    --id 01 -i digest -o remote.sig
check "OpenSSL verifies" openssl dgst -sha256 -verify rsa.pub \
    -signature remote.sig digest
check "remoting signs with ECDSA" remote_user --sign -m ECDSA --id 02 \
    --signature-format openssl -i digest -o remote-ec.sig
check "OpenSSL verifies it, too" openssl_verify ec remote-ec.sig
touch nobody.sig && chmod 666 nobody.sig
check "an unprivileged user signs through the socket" \
    setpriv --reuid=65534 --regid=65534 --clear-groups \
    env PATH="$PATH" pkcs11-tool --module "$remote" --login --pin "$PIN" \
    --sign -m ECDSA --id 02 -i digest -o nobody.sig
refuse "who by himself reaches no device" \
    setpriv --reuid=65534 --regid=65534 --clear-groups \
    env PATH="$PATH" pkcs11-tool --module "$MODULE" --login --pin "$PIN" \
    --sign -m ECDSA --id 02 -i digest -o /dev/null

# A verifier's challenge through standard calls.
check "cvm-token attest answers a nonce" token attest \
    --nonce 00112233445566778899aabbccddeeff --out bundle.json
check "cvm-token verify admits the bundle" token verify bundle.json \
    --policy etc-tdx/policy.json --simulated \
    --nonce 00112233445566778899aabbccddeeff
refuse "not for another nonce" token verify bundle.json \
    --policy etc-tdx/policy.json --simulated \
    --nonce 00112233445566778899aabbccddee00
refuse "not where simulated machines are refused" token verify bundle.json \
    --policy etc-tdx/policy.json --nonce 00112233445566778899aabbccddeeff

# Misuse by the host program: a hostile OpenSSL configuration, exit without
# C_Finalize (the engine never calls it), and probing without configuration.
printf '%s\n' 'openssl_conf = x' '[x]' 'providers = y' '[y]' 'default = z' \
    '[z]' 'activate = 0' >hostile.cnf
hostile() {
	OPENSSL_CONF=$PWD/hostile.cnf user --sign -m ECDSA --id 02 -i digest \
	    -o hostile.sig
}
check "the host's OpenSSL configuration does not reach the module" hostile
without_config() { CVM_PKCS11_CONF=/nonexistent p11 -L; }
check "without a configuration there are no slots" \
    says "No slots" without_config

# AMD's chain and this attestation key are RSA, Intel's were EC: the engine as
# default must not matter.
machine snp
configure snp
edit etc-snp/config.json "p['tpm']['ak'] = 'gce-rsa'"
enroll snp
make_token
make_keys
for k in rsa ec; do
	check "on SEV-SNP the engine signs with $k" engine_sign $k snp-$k.sig
	check "and OpenSSL verifies it" openssl_verify $k snp-$k.sig
done
