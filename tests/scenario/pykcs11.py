# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
"""pykcs11.py MODULE PIN: what a Python program does with a token.

Leaves message, rsa.sig and pss.sig in the working directory.
"""

import hashlib
import sys

import PyKCS11
from PyKCS11 import PyKCS11Error

P = PyKCS11
MESSAGE = b"attested"


def refused(value, call, *args):
    try:
        call(*args)
    except PyKCS11Error as e:
        assert e.value == value, e
    else:
        raise AssertionError("not refused")


def key(session, cls, label):
    (found,) = session.findObjects([(P.CKA_CLASS, cls),
                                    (P.CKA_LABEL, label)])
    return found


def save(name, data):
    with open(name, "wb") as f:
        f.write(bytes(data))


def sign(s):
    rsa = key(s, P.CKO_PRIVATE_KEY, "rsa")
    public = key(s, P.CKO_PUBLIC_KEY, "rsa")
    m = P.Mechanism(P.CKM_SHA256_RSA_PKCS, None)
    signature = s.sign(rsa, MESSAGE, m)
    assert s.verify(public, MESSAGE, signature, m)
    assert not s.verify(public, b"attacked", signature, m)
    save("rsa.sig", signature)
    pss = P.RSA_PSS_Mechanism(P.CKM_SHA256_RSA_PKCS_PSS, P.CKM_SHA256,
                              P.CKG_MGF1_SHA256, 32)
    save("pss.sig", s.sign(rsa, MESSAGE, pss))
    save("message", MESSAGE)
    ec = key(s, P.CKO_PRIVATE_KEY, "ec")
    m = P.Mechanism(P.CKM_ECDSA_SHA256, None)
    assert s.verify(key(s, P.CKO_PUBLIC_KEY, "ec"), MESSAGE,
                    s.sign(ec, MESSAGE, m), m)


def decrypt(s):
    rsa = key(s, P.CKO_PRIVATE_KEY, "rsa")
    public = key(s, P.CKO_PUBLIC_KEY, "rsa")
    oaep = P.RSAOAEPMechanism(P.CKM_SHA256, P.CKG_MGF1_SHA256)
    box = s.encrypt(public, MESSAGE, oaep)
    assert bytes(s.decrypt(rsa, box, oaep)) == MESSAGE
    box[7] ^= 1
    refused(P.CKR_ENCRYPTED_DATA_INVALID, s.decrypt, rsa, box, oaep)


def secret(s):
    aes = s.generateKey([(P.CKA_CLASS, P.CKO_SECRET_KEY),
                         (P.CKA_KEY_TYPE, P.CKK_AES),
                         (P.CKA_VALUE_LEN, 32), (P.CKA_TOKEN, False),
                         (P.CKA_ENCRYPT, True), (P.CKA_DECRYPT, True)])
    m = P.AES_GCM_Mechanism(b"\0" * 12, MESSAGE, 128)
    box = s.encrypt(aes, b"\0" * 100, m)
    assert bytes(s.decrypt(aes, box, m)) == b"\0" * 100
    (value,) = s.getAttributeValue(aes, [P.CKA_VALUE], True)
    assert value is None
    s.destroyObject(aes)


def objects(s):
    data = s.createObject([(P.CKA_CLASS, P.CKO_DATA), (P.CKA_TOKEN, True),
                           (P.CKA_LABEL, "note"), (P.CKA_VALUE, MESSAGE)])
    assert bytes(s.getAttributeValue(data, [P.CKA_VALUE])[0]) == MESSAGE
    s.destroyObject(data)
    assert s.findObjects([(P.CKA_LABEL, "note")]) == []


def main():
    lib = PyKCS11.PyKCS11Lib()
    lib.load(sys.argv[1])
    (slot,) = lib.getSlotList(tokenPresent=True)
    info = lib.getTokenInfo(slot)
    assert info.label.rstrip("\0 ") == "web", info.label
    s = lib.openSession(slot, P.CKF_SERIAL_SESSION | P.CKF_RW_SESSION)
    assert not s.findObjects([(P.CKA_CLASS, P.CKO_PRIVATE_KEY)])
    refused(P.CKR_PIN_INCORRECT, s.login, "wrong")
    s.login(sys.argv[2])
    refused(P.CKR_USER_ALREADY_LOGGED_IN, s.login, sys.argv[2])
    sign(s)
    decrypt(s)
    secret(s)
    objects(s)
    assert len(set(bytes(s.generateRandom(32)) for i in range(100))) == 100
    sha256 = P.Mechanism(P.CKM_SHA256, None)
    assert bytes(s.digest(MESSAGE, sha256)) == \
        hashlib.sha256(MESSAGE).digest()
    s.logout()
    assert not s.findObjects([(P.CKA_CLASS, P.CKO_PRIVATE_KEY)])
    s.closeSession()
    refused(P.CKR_SESSION_HANDLE_INVALID, s.generateRandom, 8)


main()
