#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
"""Puts the table of checks into a manual page.

usage: checks.py TREE PAGE.in
       checks.py TREE --count

PAGE.in goes to standard output with the line @CHECKS@ replaced by the rows of
attest/checks.def as mdoc.  --count prints how many checks each family has.
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
    "SRC": "Source of the evidence",
    "BIND": "Binding of nonce, report, quote and policy",
    "SNP": "AMD SEV-SNP",
    "TDX": "Intel TDX",
    "TPM": "TPM",
    "HCL": "Paravisor of Azure",
    "LOG": "Event logs",
}


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
            out.append(f".Ss {FAMILIES[name]}, {n} checks")
            out.append('.Bl -tag -width "BIND-00" -compact')
        out.append(f".It {r['id']}")
        out.append(plain(r["title"]))
        out.append(f".Pq {plain(r['reads'])}".replace(", ", " , "))
        if r["field"]:
            out.append(f".Bq Ic {r['field']}")
    return out + [".El"]


def count(rows):
    for name in FAMILIES:
        n = sum(r["id"].startswith(name + "-") for r in rows)
        print(name, n)
    print("all", len(rows))


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    rows = rows_of(sys.argv[1])
    if sys.argv[2] == "--count":
        count(rows)
        return
    with open(sys.argv[2], encoding="ascii") as f:
        page = f.read().split("\n")
    if page.count("@CHECKS@") != 1:
        sys.exit("checks.py: the page needs one line @CHECKS@")
    at = page.index("@CHECKS@")
    sys.stdout.write("\n".join(page[:at] + mdoc(rows) + page[at + 1:]))


if __name__ == "__main__":
    main()
