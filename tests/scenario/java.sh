#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# Java's SunPKCS11: keytool makes and lists keys, an application signs,
# decrypts and serves TLS, and is refused when the machine changes.

. "$(dirname "$(readlink -f "$0")")/lib.sh"

machine snp --platform snp
configure snp
enroll snp
make_token
export JAVA_TOOL_OPTIONS="-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
printf '%s\n' "name = cvm" "library = $MODULE" "slotListIndex = 0" >java.cfg

keytool_() {
	timeout 120 keytool "$@" -storetype PKCS11 -storepass "$PIN" \
	    -addprovider SunPKCS11 -providerarg "$PWD/java.cfg"
}
check "keytool makes an RSA key and its certificate" \
    keytool_ -genkeypair -keyalg RSA -keysize 2048 -alias rsa -dname CN=rsa
check "keytool makes an EC key" \
    keytool_ -genkeypair -keyalg EC -groupname secp256r1 -alias ec -dname CN=ec
check "keytool lists them" says "ec, PrivateKeyEntry" keytool_ -list
check "keytool makes a certificate request" \
    keytool_ -certreq -alias ec -file ec.csr
check "whose signature OpenSSL verifies" \
    openssl req -in ec.csr -verify -noout
check "pkcs11-tool sees the same keys" says "label:      ec" user -O
application() {
	timeout 200 java "$CVM_SOURCE/tests/scenario/Clients.java" \
	    "$PWD/java.cfg" "$PIN"
}
check "an application signs, decrypts, serves TLS" application

ctl snp pcr extend 8 "another kernel command line" >/dev/null
refuse "on a changed machine keytool is refused" \
    keytool_ -certreq -alias ec -file denied.csr
refuse "and makes no request" test -s denied.csr
