#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# Evidence of real machines that no test looks at proves nothing: every file of
# the manifest is read by some unit test. Cases and mutations are counted there.
set -u
: "${CVM_BUILD:?names the build directory}"
vectors=${VECTORS_DIR:-$CVM_SOURCE/../shared/vectors}
[ -e "$vectors/MANIFEST.json" ] || exit 77

# The unit tests have been run, or are run here.
if ! [ -s "${VECTORS_USED-}" ]; then
	export VECTORS_USED=$CVM_TMP/used CMOCKA_MESSAGE_OUTPUT=TAP
	for program in "$CVM_BUILD"/tests/unit/test-*; do
		if [ -f "$program" ] && grep -q VECTORS_USED "$program"; then
			"$program" >>"$CVM_TMP/log" 2>&1
		fi
	done
fi

/usr/bin/python3 - "$vectors/MANIFEST.json" "$VECTORS_USED" <<'END'
import json
import sys

with open(sys.argv[1], encoding="utf-8") as f:
    listed = [entry["path"] for entry in json.load(f)["files"]]
with open(sys.argv[2], encoding="utf-8") as f:
    used = set(f.read().splitlines())
left = [path for path in listed if path not in used]
print("1..1")
print(f"{'not ' if left else ''}ok 1 - {len(listed)} files are read by a test")
for path in left:
    print(f"# {path}")
sys.exit(bool(left))
END
