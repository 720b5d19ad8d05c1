# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
"""Writes the seeds of ccel-table, svsm, receipt, tee-device and
collateral-sort. Keys and signatures are new each time; openssl(1) makes
them."""

import base64
import hashlib
import importlib.util
import json
import os
import struct
import subprocess
import tempfile

here = os.path.dirname(os.path.abspath(__file__))
spec = importlib.util.spec_from_file_location("protocol", os.path.join(
    here, "..", "unit", "check-protocol.py"))
protocol = importlib.util.module_from_spec(spec)
spec.loader.exec_module(protocol)


def write(target, name, data):
    folder = os.path.join(here, "seeds", target)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as f:
        f.write(data)


def ccel_table(kind=2, size=65536, address=0x7f000000):
    table = bytearray(struct.pack("<4sIBB6s8sI4sIBBHQQ", b"CCEL", 56, 1, 0,
                                  b"VENDOR", b"A TABLE ", 1, b"MADE", 1, kind,
                                  0, 0, size, address))
    table[9] = -sum(table) & 0xff
    return bytes(table)


def answer(data=b"", err=0, a=0, b=0, c=0):
    """Of an ioctl(2): errno, three numbers, bytes for the buffers."""
    return struct.pack("<BIIIH", err, a, b, c, len(data)) + data


def sev_answer(table=b"", status=0, size=1184, **more):
    report = struct.pack("<I", 5).ljust(1184, b"\xa5")
    return answer(struct.pack("<II24x", status, size) +
                  (report + bytes(4000 - 32 - 1184) + table
                   if table else report), **more)


def devices():
    target = "tee-device"
    table = (bytes.fromhex("63da758de6644564adc5f4b93be8accd") +
             struct.pack("<II24x", 48, 64) + b"\x30" * 64)
    quote = b"\4\0\2\0\x81\0\0\0".ljust(600, b"\x11")
    tdreport = answer(b"\x81".ljust(1024, b"\x22"))
    unknown = answer(err=25)
    sev = {
        "plain": sev_answer(),
        "table": sev_answer(table),
        "room": answer(err=5, b=1, c=20480) + sev_answer(table),
        "too-much-room": answer(err=5, b=1, c=131072) + sev_answer(),
        "no-more-room": answer(err=5, b=1, c=20480) + answer(err=22) +
        sev_answer(),
        "busy": answer(err=5, b=2),
        "firmware": answer(err=5, a=0x16),
        "status": sev_answer(status=0x16),
        "size": sev_answer(size=1183),
    }
    tdx = {
        "quote": tdreport + answer(quote, c=len(quote)),
        "last-number": tdreport + unknown * 3 + answer(quote, c=len(quote)),
        "no-number": tdreport + unknown * 4,
        "in-flight": tdreport + answer(a=2**32 - 1, b=2**32 - 1),
        "down": tdreport + answer(a=1, b=2**31),
        "too-long": tdreport + answer(quote, c=16361),
        "unchanged": tdreport + answer(b"\x81".ljust(1024, b"\x22"), c=1024),
    }
    for name, data in sev.items():
        write(target, "sev-" + name, b"\0" + data)
    for name, data in tdx.items():
        write(target, "tdx-" + name, b"\1" + data)


def ek(bits=2048, attributes=0x300b2, policy=b""):
    return struct.pack(">HHIH%dsHHHHHIH" % len(policy), 1, 0xb, attributes,
                       len(policy), policy, 6, 128, 0x43, 0x10, bits, 0,
                       bits // 8) + b"\xc3" * (bits // 8)


def log(*lines):
    """Text of a log; each line is a dictionary or makes one of those before
    it."""
    out, prev = [], "00" * 32
    for line in lines:
        if callable(line):
            line = line(out)
        body = json.dumps(line, separators=(",", ":"))[:-1]
        members = protocol.sums(body + ',"sums":""')
        body += ',"sums":"%s"' % members
        now = protocol.receipt_hash({"prev": prev, "body": body}).hex()
        out.append('%s,"prev":"%s","hash":"%s"}\n' % (body, prev, now))
        prev = now
    return "".join(out).encode()


FIRST = {"type": "log", "format": "cvm-pkcs11 receipt log/1", "token": "web",
         "time": "1790000000"}
GAP = {"type": "gap", "time": "1790000000", "rounds": "2", "bytes": "17",
       "why": "no room"}


def part(data, name=None):
    line = {"type": "endorsement" if name else "part",
            "sha256": hashlib.sha256(data).hexdigest()}
    if name:
        line["name"] = name
    line["data"] = base64.b64encode(data).decode()
    return line


LEAVES = [
    ("session", {"serial": "0123456789abcdef", "pid": 77, "fork_count": 1,
                 "random": "09" * 32}, protocol.session_leaf),
    ("operation", {"serial": "0123456789abcdef", "session_id": "05" * 16,
                   "counter": 3, "function": "C_Sign", "mechanism": 0x1041,
                   "parameter_digest": "06" * 32, "key_fingerprint": "07" * 32,
                   "input_digest": "08" * 32, "random": "09" * 32},
     protocol.operation_leaf),
    ("challenge", {"nonce": "0a" * 16, "key_fingerprint": "07" * 32},
     protocol.challenge_leaf),
    ("other", None, lambda v: b"\0\1xdata"),
]


def leaves(out):
    head = json.loads(out[-1])["hash"] if isinstance(out, list) else out
    made = [make(v) for _, v, make in LEAVES]
    return made + [protocol.chain_leaf({"head": head})], head


def round_line(evidence):
    def make(out):
        made, head = leaves(out)
        line = {"type": "round", "time": "1790000001", "pid": "77",
                "policy_digest": "0b" * 32,
                "verdict": "admit" if evidence else "none"}
        if not evidence:
            line["why"] = "the TPM does not answer"
        line.update(leaves=len(made),
                    root=protocol.tree_root(made).hex(), head=head,
                    head_path=protocol.tree_path(made, len(made) - 1).hex())
        if evidence:
            line.update(
                tee="snp", simulated=True, tee_root="0c" * 32, tee_age_s="5",
                tee_report=hashlib.sha256(b"report").hexdigest(),
                ak_public=hashlib.sha256(b"key").hexdigest(),
                tpm_quote=base64.b64encode(b"quote").decode(),
                tpm_signature=base64.b64encode(b"signature").decode(),
                pcrs={"bank": "sha256", "0": "0d" * 32, "23": "0e" * 32})
        return line
    return make


def admission(index):
    kind, v, _ = LEAVES[index]

    def make(out):
        r = json.loads([x for x in out if '"type":"round"' in x][-1])
        made, _ = leaves(r["head"])
        line = {"type": "admission", "root": r["root"], "index": index,
                "path": protocol.tree_path(made, index).hex(),
                "result": r["verdict"], "kind": kind}
        if kind == "other":
            line["leaf"] = base64.b64encode(made[index]).decode()
            return line
        names = {"session_id": "session", "key_fingerprint": "key"}
        for name, value in v.items():
            if name == "mechanism":
                value = hex(value)
            line[names.get(name, name)] = str(value)
        return line
    return make


def run(*args, **kwargs):
    return subprocess.run(("openssl",) + args, check=True,
                          capture_output=True, **kwargs).stdout


def certificate(cn):
    return run("req", "-x509", "-newkey", "ec", "-pkeyopt",
               "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key.pem",
               "-days", "3650", "-subj", "/O=fuzz/CN=" + cn)


def crl(cn):
    with open("ca.pem", "wb") as f:
        f.write(certificate(cn))
    with open("ca.cnf", "w") as f:
        f.write("[ca]\ndefault_ca=a\n[a]\ndatabase=index\ncertificate=ca.pem\n"
                "private_key=key.pem\ndefault_md=sha256\n"
                "default_crl_days=3650\n")
    open("index", "w").close()
    run("ca", "-config", "ca.cnf", "-gencrl", "-out", "crl.pem")
    with open("crl.pem", "rb") as f:
        pem = f.read()
    return pem, run("crl", "-in", "crl.pem", "-outform", "DER")


def collateral():
    target = "collateral-sort"
    documents = {}
    for name in ("tcb-info", "qe-identity"):
        with open(os.path.join(here, "seeds", "collateral", name), "rb") as f:
            documents[name] = f.read()
        write(target, name, documents[name])
    for cn in ("ARK-Milan", "SEV-Genoa", "SEV-VLEK-Turin",
               "Intel SGX TCB Signing", "Intel SGX PCK Platform CA",
               "somebody else"):
        write(target, cn.replace(" ", "-"), certificate(cn))
    for cn in ("ARK-Turin", "Intel SGX Root CA", "Intel SGX PCK Processor CA"):
        pem, der = crl(cn)
        write(target, "crl-" + cn.replace(" ", "-"), der)
        write(target, "crl-pem-" + cn.replace(" ", "-"), pem)
    info = json.loads(documents["tcb-info"])
    identity = json.loads(documents["qe-identity"])
    chain = certificate("Intel SGX TCB Signing").decode()
    write(target, "all-of-a-quote", json.dumps({
        "tcb_info": json.dumps(info["tcbInfo"]),
        "tcb_info_signature": info["signature"],
        "tcb_info_issuer_chain": chain,
        "qe_identity": json.dumps(identity["enclaveIdentity"]),
        "qe_identity_signature": identity["signature"],
        "qe_identity_issuer_chain": chain,
        "root_ca_crl": crl("Intel SGX Root CA")[1].hex(),
        "pck_crl": crl("Intel SGX PCK Platform CA")[0].decode(),
    }).encode())


def main():
    write("ccel-table", "tdx", ccel_table())
    write("ccel-table", "sev", ccel_table(kind=1))
    write("ccel-table", "no-log", ccel_table(address=0))
    devices()
    write("svsm", "ek", ek())
    write("svsm", "ek-policy", ek(policy=b"p" * 32))
    write("svsm", "ek-3072", ek(bits=3072))
    write("svsm", "signs", ek(attributes=0x50072))
    write("receipt", "first", log(FIRST))
    write("receipt", "gap", log(FIRST, GAP))
    write("receipt", "parts", log(FIRST, part(b"report"),
                                  part(b"crl", "amd/milan/crl-vcek.der")))
    write("receipt", "no-evidence", log(FIRST, round_line(False), admission(0),
                                        admission(3), GAP))
    write("receipt", "rounds", log(
        FIRST, part(b"report"), part(b"key"), round_line(True), admission(0),
        admission(1), admission(2), admission(3), round_line(True)))
    with tempfile.TemporaryDirectory() as work:
        os.chdir(work)
        collateral()


main()
