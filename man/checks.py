#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
"""Puts the table of checks into a manual page and into README.md.

usage: checks.py TREE PAGE.in
       checks.py TREE --readme
       checks.py TREE --update

PAGE.in goes to standard output with the line @CHECKS@ replaced by the rows of
attest/checks.def as mdoc.  --readme prints the table of families that README.md
must have; --update writes it there.
What does not look like the table of checks ends the program: a page that lacks
rows is worse than none.
"""

import os
import re
import sys

ROW = re.compile(
    r'CHECK\((?P<enum>\w+),\s*"(?P<id>[A-Z]+-\d\d)",\s*'
    r'(?P<group>GROUP_\w+(?:\s*\|\s*GROUP_\w+)*),\s*'
    r'"(?P<title>[^"]+)",\s*"(?P<reads>[^"]+)",\s*"(?P<field>[^"]*)"\)')
INCLUDE = re.compile(r'^#include "([^"]+)"$', re.M)
FAMILIES = {
    "SRC": ("Source of the evidence", "where the evidence came from"),
    "BIND": ("Binding of nonce, report, quote and policy",
             "nonce, report, TPM key, quote and policy are one"),
    "COL": ("Memory of collateral",
            "no collateral is older than what was verified before"),
    "SNP": ("AMD SEV-SNP", "AMD report, certificates, revocation, TCB, guest "
            "policy, measurement"),
    "TDX": ("Intel TDX",
            "Intel quote, PCK chain, collateral, TCB, TD, RTMRs"),
    "TPM": ("TPM",
            "quote, attestation key and its certificate, PCRs, clock"),
    "HCL": ("Paravisor of Azure",
            "Azure's paravisor: its report, runtime data and attestation key"),
    "SVSM": ("vTPM of an SVSM",
             "an SVSM's manifest, its endorsement key, attestation key"),
    "LOG": ("Event logs",
            "event logs: replay, Secure Boot, authorities, command line"),
}
# What it replaces in README.md.
README = re.compile(r"There are \d+ checks, .*?\n(?=\n[^|])", re.S)


def text_of(tree, name):
    with open(os.path.join(tree, name), encoding="ascii") as f:
        text = f.read()
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    return INCLUDE.sub(lambda m: text_of(tree, m.group(1)), text)


def rows_of(tree):
    text = text_of(tree, "attest/checks.def")
    rows = [m.groupdict() for m in ROW.finditer(text)]
    rest = ROW.sub("", text).strip()
    if rest or not rows:
        sys.exit(f"checks.py: not a row of the table: {rest[:80]!r}")
    for r in rows:
        if r["id"].split("-")[0] not in FAMILIES:
            sys.exit(f"checks.py: family of {r['id']} has no name here")
    return rows


def plain(s):
    """Text that mdoc reads as text, wherever it stands in a line."""
    s = s.replace("\\", "\\e")
    return "\\&" + s if s[0] in ".'" else s


def mdoc(rows):
    out, family = [], None
    for r in rows:
        name = r["id"].split("-")[0]
        if name != family:
            if family:
                out.append(".El")
            family = name
            n = sum(x["id"].startswith(name + "-") for x in rows)
            out.append(f".Ss {FAMILIES[name][0]}, {n} checks")
            out.append('.Bl -tag -width "BIND-00" -compact')
        out.append(f".It {r['id']}")
        out.append(plain(r["title"]))
        out.append(f".Pq {plain(r['reads'])}".replace(", ", " , "))
        if r["field"]:
            out.append(f".Bq Ic {r['field']}")
    return out + [".El"]


def readme(rows):
    out = [f"There are {len(rows)} checks, each with an id that log and "
           "`cvm-token status` name; see",
           "[cvm-pkcs11(8)](man/cvm-pkcs11.8.in):", "",
           "| family | checks | about |", "|---|---|---|"]
    for name, (_, about) in FAMILIES.items():
        n = sum(r["id"].startswith(name + "-") for r in rows)
        out.append(f"| {name} | {n} | {about} |")
    return "\n".join(out) + "\n"


def update(tree, rows):
    name = os.path.join(tree, "README.md")
    with open(name, encoding="utf-8") as f:
        text, n = README.subn(lambda m: readme(rows), f.read())
    if n != 1:
        sys.exit("checks.py: README.md has no place for the table")
    with open(name, "w", encoding="utf-8") as f:
        f.write(text)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    rows = rows_of(sys.argv[1])
    if sys.argv[2] == "--readme":
        sys.stdout.write(readme(rows))
        return
    if sys.argv[2] == "--update":
        update(sys.argv[1], rows)
        return
    with open(sys.argv[2], encoding="ascii") as f:
        page = f.read().split("\n")
    if page.count("@CHECKS@") != 1:
        sys.exit("checks.py: the page needs one line @CHECKS@")
    at = page.index("@CHECKS@")
    sys.stdout.write("\n".join(page[:at] + mdoc(rows) + page[at + 1:]))


if __name__ == "__main__":
    main()
