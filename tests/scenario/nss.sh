#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# NSS, as in Firefox and many servers of Fedora: modutil adds the module,
# certutil makes keys and certificates in it, pk12util imports, and a TLS
# handshake uses them.

. "$(dirname "$(readlink -f "$0")")/lib.sh"

machine snp --platform snp
configure snp
enroll snp
make_token
mkdir db
echo "$PIN" >nss-pin
echo abc >p12-password

check "a certificate store is made" certutil -N -d sql:db --empty-password
check "modutil adds the module" \
    modutil -dbdir sql:db -force -add cvm -libfile "$MODULE"
check "and finds the token" says "token: web" modutil -dbdir sql:db -list

nss() { # TOOL ARGUMENT...: on the token
	local tool=$1
	shift
	timeout 60 "$tool" -d sql:db -h web -f nss-pin "$@"
}
check "certutil makes an RSA key and its certificate" \
    nss certutil -S -n rsa -s CN=localhost -x -t ,, -k rsa -g 2048 \
    -z /bin/sh --extSAN dns:localhost
check "certutil makes an EC key" \
    nss certutil -S -n ec -s CN=ec -x -t ,, -k ec -q nistp256 -z /bin/sh
check "the keys belong to their certificates" says "web:ec" nss certutil -K
check "and the certificates to keys" says "u,u,u" nss certutil -L

openssl req -x509 -newkey rsa:2048 -nodes -keyout k.pem -out c.pem \
    -subj /CN=imported >/dev/null 2>&1
openssl pkcs12 -export -inkey k.pem -in c.pem -name imported -out x.p12 \
    -passout file:p12-password
check "pk12util imports a key" timeout 60 pk12util -i x.p12 -d sql:db -h web \
    -k nss-pin -w p12-password
check "which is there" says "imported" nss certutil -K
refuse "and cannot be exported" timeout 60 pk12util -o y.p12 -n web:rsa \
    -d sql:db -h web -k nss-pin -w p12-password

id=$(nss certutil -K | awk '/web:ec$/ { print $(NF - 1) }')
check "NSS signs a certificate request" \
    nss certutil -R -k "$id" -s CN=request -a -o request.pem
check "which OpenSSL verifies" openssl req -in request.pem -verify -noout

ctl snp pcr extend 8 "another kernel command line" >/dev/null
refuse "on a changed machine NSS is refused" nss certutil -S -n denied \
    -s CN=denied -x -t ,, -k ec -q nistp256 -z /bin/sh
check "and finds no key" lacks "web:ec" nss certutil -K
