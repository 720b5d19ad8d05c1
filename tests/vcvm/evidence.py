# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# Reads and verifies what the virtual CVM produces: another implementation than
# the one under test in attest/, on the standard library and openssl(1).

import hashlib
import json
import os
import re
import struct
import subprocess
import tempfile


def le(data):
    return int.from_bytes(data, "little")


def openssl(*args, data=None):
    """Runs openssl; its output, or None when it fails."""
    done = subprocess.run(("openssl",) + args, input=data,
                          capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else None


class Scratch:
    """Files that live as long as one check."""

    def __enter__(self):
        self.dir = tempfile.TemporaryDirectory()
        self.n = 0
        return self

    def __exit__(self, *why):
        self.dir.cleanup()

    def put(self, data):
        self.n += 1
        path = os.path.join(self.dir.name, str(self.n))
        with open(path, "wb") as f:
            f.write(data)
        return path


def pem_of(der):
    return openssl("x509", "-inform", "DER", data=der)


def key_of(pem):
    return openssl("x509", "-pubkey", "-noout", data=pem)


def der_int(n):
    data = n.to_bytes(n.bit_length() // 8 + 1, "big")
    return b"\x02" + bytes([len(data)]) + data


def ecdsa_ok(key_pem, digest, message, r, s):
    sig = der_int(r) + der_int(s)
    sig = b"\x30" + bytes([len(sig)]) + sig
    with Scratch() as t:
        return openssl("dgst", "-" + digest, "-verify", t.put(key_pem),
                       "-signature", t.put(sig), t.put(message)) is not None


def chain_ok(leaf, intermediate, root, crls=(), strict=True):
    """PEM certificates, DER revocation lists."""
    with Scratch() as t:
        args = ["verify", "-CAfile", t.put(root), "-untrusted",
                t.put(intermediate)]
        if strict:
            args.append("-x509_strict")
        if crls:
            pems = [openssl("crl", "-inform", "DER", data=c) for c in crls]
            args += ["-crl_check_all" if len(crls) > 1 else "-crl_check",
                     "-CRLfile", t.put(b"".join(pems))]
        return openssl(*args, t.put(leaf)) is not None


def crl_signed_by(crl, issuer):
    with Scratch() as t:
        done = subprocess.run(
            ["openssl", "crl", "-inform", "DER", "-noout", "-CAfile",
             t.put(issuer)], input=crl, capture_output=True, check=False)
    return b"verify OK" in done.stderr


def revoked_serials(crl):
    text = openssl("crl", "-inform", "DER", "-noout", "-text", data=crl)
    return re.findall(rb"Serial Number: ([0-9A-F]+)", text)


class Snp:
    """An SNP attestation report with its certificate table."""

    GUIDS = {"63da758de6644564adc5f4b93be8accd": "vcek",
             "a8074bc2a25a483eaae639c045a0b8a1": "vlek",
             "4ab7b379bbac4fe4a02f05aef327c782": "ask",
             "c0b406a4a80349529743 3fb6014cd0ae".replace(" ", ""): "ark"}

    def __init__(self, report, table=b""):
        assert len(report) == 1184, len(report)
        self.raw = report
        self.version = le(report[0:4])
        self.policy = le(report[8:16])
        self.vmpl = le(report[0x30:0x34])
        self.signing_key = le(report[0x48:0x4c]) >> 2 & 7
        self.report_data = report[0x50:0x90]
        self.measurement = report[0x90:0xc0]
        self.host_data = report[0xc0:0xe0]
        self.report_id = report[0x140:0x160]
        self.current_tcb = report[0x38:0x40]
        self.reported_tcb = report[0x180:0x188]
        self.committed_tcb = report[0x1e0:0x1e8]
        self.fms = report[0x188:0x18b]
        self.chip_id = report[0x1a0:0x1e0]
        self.certs = dict(self.table(table))

    def table(self, table):
        at = 0
        while at < len(table) and any(table[at:at + 24]):
            off, size = struct.unpack("<II", table[at + 16:at + 24])
            assert off + size <= len(table)
            yield self.GUIDS[table[at:at + 16].hex()], table[off:off + size]
            at += 24

    def leaf(self):
        return self.certs.get("vcek") or self.certs.get("vlek")

    def signed_by(self, cert_der):
        r = le(self.raw[0x2a0:0x2e8])
        s = le(self.raw[0x2e8:0x330])
        assert not any(self.raw[0x330:])
        return ecdsa_ok(key_of(pem_of(cert_der)), "sha384", self.raw[:0x2a0],
                        r, s)

    def chain_ok(self, root_pem, crls=()):
        # V*EK certificates have no authority key identifier
        return chain_ok(pem_of(self.leaf()), pem_of(self.certs["ask"]),
                        root_pem, crls, strict=False)

    def hwid_in_cert(self, size=64):
        return self.chip_id[:size] in self.leaf()


def split_pems(pem):
    return re.findall(rb"-----BEGIN [^-]*-----.*?-----END [^-]*-----\n", pem,
                      re.S)


P256_SPKI = bytes.fromhex(
    "3059301306072a8648ce3d020106082a8648ce3d03010703420004")


class Tdx:
    """A TDX quote of version 4 or 5."""

    def __init__(self, quote):
        self.version, = struct.unpack("<H", quote[:2])
        self.body_type, size, at = 2, 584, 48
        if self.version == 5:
            self.body_type, size = struct.unpack("<HI", quote[48:54])
            at = 54
        assert (self.body_type, size) in ((2, 584), (3, 648))
        self.body = quote[at:at + size]
        self.signed = quote[:at + size]
        length, = struct.unpack("<I", quote[at + size:at + size + 4])
        self.sig = quote[at + size + 4:at + size + 4 + length]
        self.tail = quote[at + size + 4 + length:]
        assert len(self.sig) == length
        self.attributes = le(self.body[120:128])
        self.mrtd = self.body[136:184]
        self.rtmr = [self.body[328 + 48 * i:376 + 48 * i] for i in range(4)]
        self.report_data = self.body[520:584]
        self.tee_tcb_svn = self.body[:16]
        self.parse_certification()

    def parse_certification(self):
        kind, size = struct.unpack("<HI", self.sig[128:134])
        data = self.sig[134:]
        assert (kind, size) == (6, len(data))
        self.qe_report, self.qe_sig = data[:384], data[384:448]
        n, = struct.unpack("<H", data[448:450])
        self.auth = data[450:450 + n]
        kind, size = struct.unpack("<HI", data[450 + n:456 + n])
        pem = data[456 + n:]
        assert (kind, size) == (5, len(pem))
        self.leaf, self.ca, self.root = split_pems(pem)

    def signature_ok(self):
        key = openssl("pkey", "-pubin", "-inform", "DER",
                      data=P256_SPKI + self.sig[64:128])
        return ecdsa_ok(key, "sha256", self.signed,
                        int.from_bytes(self.sig[:32], "big"),
                        int.from_bytes(self.sig[32:64], "big"))

    def qe_ok(self):
        want = hashlib.sha256(self.sig[64:128] + self.auth).digest()
        return (self.qe_report[320:352] == want
                and not any(self.qe_report[352:])
                and ecdsa_ok(key_of(self.leaf), "sha256", self.qe_report,
                             int.from_bytes(self.qe_sig[:32], "big"),
                             int.from_bytes(self.qe_sig[32:], "big")))

    def chain_ok(self, root_pem, crls=()):
        return chain_ok(self.leaf, self.ca, root_pem, crls)


def signed_json_ok(text, member, chain_pem):
    """Intel signs the exact text of the member."""
    start = '{"%s":' % member
    end = text.rindex(',"signature"')
    assert text.startswith(start)
    sig = bytes.fromhex(json.loads(text)["signature"])
    return ecdsa_ok(key_of(chain_pem), "sha256",
                    text[len(start):end].encode(),
                    int.from_bytes(sig[:32], "big"),
                    int.from_bytes(sig[32:], "big"))


ALGORITHMS = {4: ("sha1", 20), 0xB: ("sha256", 32), 0xC: ("sha384", 48)}


def log_events(log):
    """Yields (register, type, {algorithm: digest}, data) after the Spec ID."""
    size, = struct.unpack("<I", log[28:32])
    at = 32 + size
    while at < len(log):
        register, kind, count = struct.unpack("<III", log[at:at + 12])
        if register == 0xFFFFFFFF:
            assert set(log[at:]) == {0xFF}
            return
        at += 12
        digests = {}
        for _ in range(count):
            alg, = struct.unpack("<H", log[at:at + 2])
            name, width = ALGORITHMS[alg]
            digests[name] = log[at + 2:at + 2 + width]
            at += 2 + width
        size, = struct.unpack("<I", log[at:at + 4])
        yield register, kind, digests, log[at + 4:at + 4 + size]
        at += 4 + size


def replay(log, algorithm):
    values = {}
    for register, kind, digests, _ in log_events(log):
        if kind == 3:
            continue
        old = values.get(register, bytes(len(digests[algorithm])))
        values[register] = hashlib.new(algorithm,
                                       old + digests[algorithm]).digest()
    return values
