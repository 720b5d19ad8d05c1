#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# PyKCS11, the Python binding.

. "$(dirname "$(readlink -f "$0")")/lib.sh"

machine snp --platform snp
configure snp
enroll snp
make_token
make_keys

pykcs11() {
	timeout 100 /usr/bin/python3 "$CVM_SOURCE/tests/scenario/pykcs11.py" \
	    "$MODULE" "$PIN"
}
check "a Python program uses the token" pykcs11
check "OpenSSL verifies its RSA signature" openssl dgst -sha256 \
    -verify rsa.pub -signature rsa.sig message
check "OpenSSL verifies its PSS signature" openssl dgst -sha256 \
    -verify rsa.pub -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 \
    -signature pss.sig message
