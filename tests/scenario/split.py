#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
"""Evidence of a bundle as files of its own.

usage: split.py BUNDLE DIR

DIR gets tee_report, hcl_report, svsm_manifest, tpm_quote, tpm_signature,
ak_public, ak_cert, event_log and ccel as far as they are there, pcrs.json, and
in report_data and qualifying what a verifier expects, in hex.
"""

import base64
import importlib.util
import json
import os
import sys

spec = importlib.util.spec_from_file_location("protocol", os.path.join(
    os.path.dirname(os.path.realpath(__file__)), "..", "unit",
    "check-protocol.py"))
protocol = importlib.util.module_from_spec(spec)
spec.loader.exec_module(protocol)

with open(sys.argv[1], encoding="utf-8") as f:
    bundle = json.load(f)
where = sys.argv[2]
os.makedirs(where, exist_ok=True)
evidence = bundle["evidence"]


def put(name, data):
    with open(os.path.join(where, name), "wb") as f:
        f.write(data)


def part(name):
    return base64.b64decode(evidence.get(name, ""))


for name in ("tee_report", "hcl_report", "svsm_manifest", "tpm_quote",
             "tpm_signature", "ak_public", "ak_cert", "event_log",
             "ccel"):
    if part(name):
        put(name, part(name))
values = {k: v for k, v in evidence["pcrs"].items() if k != "bank"}
put("pcrs.json", json.dumps(values).encode())
put("report_data", protocol.report_data({
    "root": bundle["admission"]["tee_root"],
    "ak_name": protocol.ak_name(part("ak_public")).hex(),
    "policy_digest": bundle["policy_digest"]}).hex().encode())
put("qualifying", protocol.extra_data(part("tpm_quote")).hex().encode())
