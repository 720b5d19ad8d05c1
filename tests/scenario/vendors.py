#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
"""AMD's Key Distribution Service, Intel's PCS and Google's storage, as far as
they are asked.

usage: vendors.py DIR WORK

Serves the collateral directory of a virtual CVM below the paths of both
services, on a port of 127.0.0.1 that it writes to WORK/port. WORK/log gets a
line for each request. With WORK/tls.pem, a key and a
certificate, it speaks https. WORK/faults, when it is there, has lines
"COUNT FAULT PART": the next COUNT requests whose path has PART go wrong.
"""

import http.server
import os
import pathlib
import re
import ssl
import sys
import time
import urllib.parse

source, work = map(pathlib.Path, sys.argv[1:])


def fault_of(path):
    """The fault for this request, counted down."""
    try:
        rows = (work / "faults").read_text().splitlines()
    except FileNotFoundError:
        return ""
    found = ""
    for i, row in enumerate(rows):
        count, fault, part = row.split(None, 2)
        if not found and int(count) > 0 and part in path:
            rows[i] = f"{int(count) - 1} {fault} {part}"
            found = fault
    (work / "faults").write_text("\n".join(rows) + "\n")
    return found


def read(name):
    return (source / name).read_bytes()


def vcek(line, chip, query):
    def spl(name):
        return int(query[name][0])

    zero = [0] * 8
    if line == "Turin":
        zero[0:4] = [spl(n) for n in ("fmcSPL", "blSPL", "teeSPL", "snpSPL")]
    else:
        zero[0:2] = [spl("blSPL"), spl("teeSPL")]
        zero[6] = spl("snpSPL")
    zero[7] = spl("ucodeSPL")
    return read(f"amd/vek/{chip}-{bytes(zero).hex()}.der")


def chained(name, chain, header):
    text = urllib.parse.quote(read(f"intel/{chain}").decode())
    return read(f"intel/{name}"), {header: text}


def answer(path, query):
    """Body and headers; KeyError, FileNotFoundError: there is none."""
    m = re.fullmatch(r"/(vcek|vlek)/v1/(Milan|Genoa|Turin)/(\w+)", path)
    if m:
        kind, line, what = m.groups()
        folder = f"amd/{line.lower()}"
        if what == "cert_chain":
            below = "ask" if kind == "vcek" else "asvk"
            return read(f"{folder}/{below}.pem") + read(f"{folder}/ark.pem"), {}
        if what == "crl":
            return read(f"{folder}/crl-{kind}.der"), {}
        return vcek(line, what, query), {}
    if path == "/tdx/certification/v4/tcb":
        return chained(f"tcbinfo-{query['fmspc'][0]}.json",
                       "tcbinfo-chain.pem", "TCB-Info-Issuer-Chain")
    if path == "/tdx/certification/v4/qe/identity":
        return chained("qe-identity.json", "qe-identity-chain.pem",
                       "SGX-Enclave-Identity-Issuer-Chain")
    if path == "/sgx/certification/v4/pckcrl" and query["encoding"] == ["der"]:
        return chained(f"pck-crl-{query['ca'][0]}.der", "pck-crl-chain.pem",
                       "SGX-PCK-CRL-Issuer-Chain")
    if path == "/IntelSGXRootCA.der":
        return read("intel/root-ca.crl"), {}
    if path == "/sgx/certification/v4/rootcacrl":
        return read("intel/root-ca.crl").hex().encode(), {}
    m = re.fullmatch(r"/ak/(issuer|root)\.crl", path)
    if m:
        return read(f"google-crl/{m.group(1)}.crl"), {}
    m = re.fullmatch(r"/gce_tcb_integrity/ovmf_x64_csm/(sevsnp|tdx)"
                     r"/([0-9a-f]{96}\.binarypb)", path)
    if m:
        return read(f"google/launch/{m.group(2)}"), {}
    raise KeyError(path)


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, format, *args):
        pass

    def reply(self, status, body=b"", headers=None):
        with open(work / "log", "a") as f:
            print(status, self.path, self.headers["User-Agent"], file=f)
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if "Content-Length" not in (headers or {}):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        fault = fault_of(self.path)
        try:
            body, headers = answer(url.path, urllib.parse.parse_qs(url.query))
        except (KeyError, FileNotFoundError):
            return self.reply(404)
        if fault in ("429", "503"):
            return self.reply(int(fault), b"later", {"Retry-After": "1"})
        if fault == "500":
            return self.reply(500)
        if fault == "huge-500":
            return self.reply(500, b"0" * (5 * 1024 * 1024))
        if fault == "redirect":
            return self.reply(302, b"", {"Location": self.path + "?again"})
        if fault == "truncated":
            body = body[:len(body) // 2]
        if fault == "cut":
            headers["Content-Length"] = str(len(body))
            body = body[:len(body) // 2]
        if fault == "empty":
            body = b""
        if fault == "huge":
            body = b"0" * (5 * 1024 * 1024)
        if fault == "other":
            body = read("google-crl/root.crl")
        if fault == "no-chain":
            headers = {}
        if fault == "flipped":
            body = bytearray(body)
            body[-20] ^= 0x01
            body = bytes(body)
        if fault == "hang":
            (work / "hanging").touch()
            time.sleep(20)
        return self.reply(200, body, headers)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
if (work / "tls.pem").exists():
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(work / "tls.pem")
    server.socket = tls.wrap_socket(server.socket, server_side=True)
(work / "port.new").write_text(str(server.server_address[1]))
os.rename(work / "port.new", work / "port")
try:
    server.serve_forever()
except BrokenPipeError:
    pass
