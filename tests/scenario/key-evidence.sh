#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# Evidence of how a key was born: through standard calls in process, through
# p11-kit's remoting, with nothing but pkcs11-tool, and from cvm-token; and
# verified elsewhere.

. "$(dirname "$(readlink -f "$0")")/lib.sh"

machine snp
configure snp
enroll snp
make_token
make_keys
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out outside.pem
token key import outside.pem --label outside --id 0a --pin-file pin \
    >import.out 2>&1

openssl rand 16 >nonce
hex=$(od -An -tx1 nonce | tr -d ' \n')
fingerprint() { openssl pkey -pubin -in "$1" -outform DER | sha256sum |
    cut -d' ' -f1; }
ec=$(fingerprint ec.pub)

# away BUNDLE [OPTION...]: verified elsewhere.
away() { CVM_PKCS11_CONF=/nowhere token verify --simulated \
    --policy etc-snp/policy.json --key-bundle "$@"; }
# told TEXT BUNDLE: with this nonce, and what it says of the key.
told() { says "$1" away "$2" --nonce "$hex" && away "$2" --nonce "$hex"; }

# challenge COMMAND URI OUT: a verifier's nonce in, evidence out.
challenge() {
	"$1" --write-object nonce --type data \
	    --application-label "cvm-pkcs11 challenge" --label "$2" \
	    --read-object --output-file "$3" >tool.out 2>&1
	test -s "$3" || { cat tool.out; return 1; }
}
uri="pkcs11:object=ec;type=private"

check "pkcs11-tool asks about a key" challenge user "$uri" tool.json
check "which was generated here" told \
    "Key $ec, private: generated in this token, never extractable" \
    tool.json
check "the fingerprint is asked for" away tool.json --nonce "$hex" \
    --key-fingerprint "$ec"
refuse "not for another key" away tool.json --nonce "$hex" \
    --key-fingerprint "$(fingerprint rsa.pub)"
refuse "not for another nonce" away tool.json --nonce "00$hex"
check "a key by its id" challenge user "pkcs11:id=%01" rsa.json
check "is that key" told "Key $(fingerprint rsa.pub)" rsa.json
check "a key from outside" challenge user "pkcs11:object=outside" outside.json
check "says so" told "private: imported, not extractable now" outside.json
refuse "no such key" challenge user "pkcs11:object=none" none.json
refuse "a key that is not seen without a PIN" challenge p11 "$uri" hidden.json
refuse "a name that is none" challenge user "pkcs11:objct=ec" bad.json
check "no key at all" challenge user "a label" plain.json
refuse "is no evidence of a key" away plain.json --nonce "$hex"

# The same over RPC: the module runs elsewhere.
(exec p11-kit server -f -n "$PWD/p11.sock" --provider "$(readlink -f \
    "$MODULE")" "pkcs11:token=web" >server.log 2>&1 </dev/null) &
daemons+=($!)
until_true 10 test -S p11.sock
remote_user() {
	P11_KIT_SERVER_ADDRESS=unix:path=$PWD/p11.sock \
	    P11_MODULE=$(pkg-config --variable=p11_module_path \
	    p11-kit-1)/p11-kit-client.so user "$@"
}
check "over p11-kit's remoting" challenge remote_user "$uri" remote.json
check "it is the same" told "Key $ec, private: generated" remote.json

check "cvm-token asks by URI" token attest --key "$uri" --nonce "$hex" \
    --out attest.json
check "and gets the same" told "Key $ec, private: generated" attest.json
check "by label" token attest --key outside --nonce "$hex" --out attest.json
check "of the other key" told "imported" attest.json

# lie PYTHON: the bundle with one thing changed.
lie() {
	cp tool.json lie.json
	edit lie.json "$1"
	fails away lie.json --nonce "$hex"
}
for change in "origin:'imported'" "local:False" "always_sensitive:False" \
    "never_extractable:False" "sensitive:False" "extractable:True" \
    "bind_operation:True" "serial:'0'" "class:'secret'" "key_type:'0x0'" \
    "key_gen_mechanism:'0x0'" "fingerprint:'$(fingerprint rsa.pub)'" \
    "origin:'born'" "local:'true'" "more:1"; do
	check "a lie: $change" lie \
	    "p['key']['${change%%:*}'] = ${change#*:}"
done
check "a lie: nothing" lie "del p['key']"
check "a lie: a member less" lie "del p['key']['origin']"
check "an independent verifier" env PYTHONDONTWRITEBYTECODE=1 \
    /usr/bin/python3 "$CVM_SOURCE/tests/unit/check-protocol.py" \
    "$PWD/tool.json" "$PWD/remote.json" "$PWD/outside.json"
