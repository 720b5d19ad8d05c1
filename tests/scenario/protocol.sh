#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# attest/PROTOCOL.md, read by somebody else: its vectors, and recorded bundles.

root=$(dirname "$(dirname "$(dirname "$(readlink -f "$0")")")")
export PYTHONDONTWRITEBYTECODE=1
exec /usr/bin/python3 "$root/tests/unit/check-protocol.py" \
    "$root"/tests/fuzz/seeds/bundle/*.json
