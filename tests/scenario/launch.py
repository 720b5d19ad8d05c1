#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
"""Google's endorsement of a measurement, under a root of the test's own.

usage: launch.py DIR TECHNOLOGY MEASUREMENT SHAPE

TECHNOLOGY is snp or tdx. Writes DIR/google/launch/MEASUREMENT.binarypb, and
prints the SHA-256 of the root's SubjectPublicKeyInfo. Keys and certificates are
kept in DIR/../launch-pki, so that another call has the same root.
"""

import hashlib
import os
import subprocess
import sys
import time

where, technology, measurement, shape = sys.argv[1:]
where = os.path.realpath(where)
pki = os.path.join(os.path.dirname(where), "launch-pki")


def openssl(*args, data=None):
    return subprocess.run(("openssl",) + args, input=data, check=True,
                          capture_output=True, cwd=pki).stdout


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def number(field, n):
    return varint(field << 3) + varint(n)


def field(number_, data):
    return varint(number_ << 3 | 2) + varint(len(data)) + data


def make_pki():
    os.makedirs(pki)
    with open(os.path.join(pki, "ext"), "w") as f:
        f.write("basicConstraints=critical,CA:FALSE\n"
                "keyUsage=critical,digitalSignature\n"
                "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
    openssl("req", "-x509", "-newkey", "rsa:4096", "-nodes", "-keyout",
            "root.key", "-out", "root.pem", "-days", "30", "-subj", "/CN=root",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    openssl("req", "-newkey", "rsa:4096", "-nodes", "-keyout", "leaf.key",
            "-out", "leaf.csr", "-subj", "/CN=signer")
    openssl("x509", "-req", "-in", "leaf.csr", "-CA", "root.pem", "-CAkey",
            "root.key", "-set_serial", "2", "-days", "20", "-extfile", "ext",
            "-outform", "DER", "-out", "leaf.der")


def read(name):
    with open(os.path.join(pki, name), "rb") as f:
        return f.read()


if not os.path.exists(pki):
    make_pki()
tdx = technology == "tdx"
value = number(1, int(shape)) + field(3 if tdx else 2,
                                      bytes.fromhex(measurement))
golden = (field(1, number(1, int(time.time()) - 60)) + number(2, 4711)
          + field(4, read("leaf.der")) + field(6, read("root.pem"))
          + field(8 if tdx else 7, number(1, 5) + field(2, value)))
signature = openssl("dgst", "-sha256", "-sigopt", "rsa_padding_mode:pss",
                    "-sigopt", "rsa_pss_saltlen:32", "-sign", "leaf.key",
                    data=golden)
folder = os.path.join(where, "google", "launch")
os.makedirs(folder, exist_ok=True)
with open(os.path.join(folder, measurement + ".binarypb"), "wb") as f:
    f.write(field(1, golden) + field(2, signature))
public = openssl("x509", "-in", "root.pem", "-noout", "-pubkey")
print(hashlib.sha256(openssl("pkey", "-pubin", "-outform", "DER",
                             data=public)).hexdigest())
