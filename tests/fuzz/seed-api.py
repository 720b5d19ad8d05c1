# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
"""Writes seeds/api: sequences of calls as applications make them, in the
encoding of fuzz-api.c, whose table of entry points is read from there."""

import os
import re

here = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(here, "fuzz-api.c")) as f:
    names = re.findall(r"^\tENTRY\((C_\w+),", f.read(), re.M)

S = b"\0"                                # the first session
RSA_PUB, RSA, EC_PUB, EC, AES, MAC = (bytes([i]) for i in range(6))
ROOM = bytes([240])                      # 600 bytes
MADE = bytes([160])                      # the object made first


def call(name, *args):
    return bytes([names.index(name)]) + b"".join(args)


def data(b):
    return b"\0" + bytes([len(b)]) + b


def mech(kind, shape=b"\0"):
    return b"\0" + bytes([200]) + kind.to_bytes(2, "big") + shape


def raw(b):
    return b"\1" + bytes([len(b)]) + b


IV = b"\2"                              # 16 bytes


def form(*spans, n=0, more=b""):
    """The structure that the mechanism has: its data, and a number."""
    return (b"\3" + b"".join(bytes([len(s)]) + s for s in spans) + bytes([n])
            + more)


def sp800(*parts):
    return (b"\3" + bytes([len(parts), 1])
            + b"".join(bytes(p[:2]) + p[2] for p in parts))


def template(*attrs):
    return b"\0" + bytes([len(attrs)]) + b"".join(attrs)


def boolean(which, v):
    return bytes([which, 1 if v else 0])


def number(which, v):
    return bytes([which, 64 + v])


CLASS, TOKEN, VALUE_LEN, KEY_TYPE = 0, 1, 21, 6
SENSITIVE, EXTRACTABLE, LABEL, VALUE = 8, 22, 3, 4
SECRET = (number(CLASS, 4), number(KEY_TYPE, 0x1f), boolean(TOKEN, False))
OUT = b"\0"                              # where a handle goes

signs = [
    (0x1, RSA, b"\0"), (0x40, RSA, b"\0"),
    (0x43, RSA, form(b"", b"")),
    (0xd, RSA, form(b"", b"")), (0x1041, EC, b"\0"),
    (0x1044, EC, b"\0"), (0x251, MAC, b"\0"), (0x252, MAC, form(b"z" * 8, b"")),
    (0x108a, AES, b"\0"),
]
ciphers = [
    (0x1, RSA_PUB, RSA, b"\0"), (0x9, RSA_PUB, RSA, form(b"tag")),
    (0x1082, AES, AES, IV), (0x1085, AES, AES, IV),
    (0x1086, AES, AES, form(b"", b"", n=64)),
    (0x1087, AES, AES, form(b"i" * 12, b"aad!")),
    (0x1088, AES, AES, form(b"i" * 12, b"aad!", more=b"\x20")),
    (0x1081, AES, AES, b"\0"), (0x2109, AES, AES, b"\0"),
    (0x210b, AES, AES, b"\0"),
]


def sign(kind, key, shape):
    text = b"t" * 32
    m = mech(kind, shape)
    yield (call("C_SignInit", S, m, key) + call("C_Sign", S, data(text), ROOM)
           + call("C_SignInit", S, m, key) + call("C_SignUpdate", S, data(text))
           + call("C_SignFinal", S, ROOM)
           + call("C_VerifyInit", S, m, key)
           + call("C_Verify", S, data(text), data(text * 2)))


def cipher(kind, to, of, shape):
    text = b"t" * 32
    m = mech(kind, shape)
    yield (call("C_EncryptInit", S, m, to)
           + call("C_Encrypt", S, data(text), ROOM)
           + call("C_DecryptInit", S, m, of)
           + call("C_Decrypt", S, data(text), ROOM)
           + call("C_DecryptInit", S, m, of)
           + call("C_DecryptUpdate", S, data(text), ROOM)
           + call("C_DecryptFinal", S, ROOM))


def others():
    yield (call("C_DigestInit", S, mech(0x250))
           + call("C_DigestUpdate", S, data(b"abc"))
           + call("C_DigestKey", S, MAC) + call("C_DigestFinal", S, ROOM))
    yield (call("C_GenerateKey", S, mech(0x1080),
                template(*SECRET[2:], number(VALUE_LEN, 32)), OUT)
           + call("C_EncryptInit", S, mech(0x1082, IV), MADE)
           + call("C_Encrypt", S, data(b"t" * 16), ROOM)
           + call("C_CopyObject", S, MADE, template(boolean(TOKEN, False)), OUT)
           + call("C_DestroyObject", S, MADE))
    yield (call("C_WrapKey", S, mech(0x2109), AES, AES, ROOM)
           + call("C_WrapKey", S, mech(0x1), RSA_PUB, AES, ROOM)
           + call("C_UnwrapKey", S, mech(0x2109), AES, data(b"w" * 40),
                  template(*SECRET), OUT))
    yield call("C_DeriveKey", S, mech(0x1050, form(b"", b"\4" + b"p" * 64,
                                                   n=1)), EC,
               template(*SECRET, number(VALUE_LEN, 32)), OUT)
    yield call("C_DeriveKey", S, mech(0x3ac, sp800((1, 32, b""), (4, 0, data(
        b"label")[1:]), (3, 33, b""))), MAC, template(
            *SECRET, number(VALUE_LEN, 32)), OUT)
    yield call("C_GenerateKey", S, mech(0x3b0, form(b"salt", b"password",
                                                    n=4)),
               template(*SECRET, number(VALUE_LEN, 32)), OUT)
    for kind, n in ((0x1087, 2), (0x1088, 2)):
        m = mech(kind, form(b"i" * 12, b"aad", n=n, more=b"\x20"))
        yield (call("C_WrapKey", S, m, AES, MAC, ROOM)
               + call("C_UnwrapKey", S, m, AES, data(b"w" * 48),
                      template(*SECRET), OUT))
    m = mech(0x1054, b"\3\1" + bytes([3]) + b"tag\0")
    yield (call("C_WrapKey", S, m, RSA_PUB, AES, bytes([250]))
           + call("C_UnwrapKey", S, m, RSA, data(b"w" * 200),
                  template(*SECRET), OUT))
    yield call("C_CreateObject", S, template(
        *SECRET, bytes([VALUE, 200, 16]) + b"k" * 16,
        boolean(SENSITIVE, True), boolean(EXTRACTABLE, False)), OUT)
    yield (call("C_FindObjectsInit", S, template(number(CLASS, 3)))
           + call("C_FindObjects", S, b"\0", b"\x10", b"\0")
           + call("C_FindObjectsFinal", S))
    yield call("C_GetAttributeValue", S, RSA,
               b"\0" + bytes([4, CLASS, 8, LABEL, 64, VALUE, 64, 16, 255]))
    yield (call("C_MessageEncryptInit", S, mech(0x1087), AES)
           + call("C_EncryptMessage", S, b"\0" + bytes([0, 12]), data(b"aad"),
                  data(b"t" * 20), ROOM)
           + call("C_MessageEncryptFinal", S))
    yield (call("C_MessageSignInit", S, mech(0x1044), EC)
           + call("C_SignMessage", S, b"\0" + bytes([255, 0]), data(b"t"), ROOM)
           + call("C_MessageSignFinal", S))
    yield (call("C_Login", S, b"\1", b"\0\xff") + call("C_Logout", S)
           + call("C_GenerateRandom", S, b"\x20")
           + call("C_SessionCancel", S, b"\xff"))


def main():
    out = os.path.join(here, "seeds", "api")
    os.makedirs(out, exist_ok=True)
    calls = [c for s in signs for c in sign(*s)]
    calls += [c for s in ciphers for c in cipher(*s)]
    calls += list(others())
    for i, c in enumerate(calls):
        for name, turn in (("admit", 255), ("deny", 1)):
            with open(os.path.join(out, "%02d-%s" % (i, name)), "wb") as f:
                f.write(bytes([turn]) + c)


main()
