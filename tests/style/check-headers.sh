#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# Each header compiles alone, with the project's warnings, under gcc and clang,
# and has an include guard.

# shellcheck source=tests/style/lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/base"
if [ -e base/build.h.in ]; then
	sed -E 's/@VERSION_M[A-Z]*@/0/; s/@[A-Z_]+@/x/' base/build.h.in \
	    >"$work/base/build.h"
fi
read -ra packages < <(pkg-config --cflags libcrypto libcjson sqlite3 \
    p11-kit-1 tss2-esys cmocka fuse3 | sed 's/-I/-isystem/g')
flags=(-std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -Werror -Wshadow
	-Wcast-qual -Wwrite-strings -Wstrict-prototypes -Wpointer-arith -Wundef
	-Wvla -Wno-unused-function -fsyntax-only -I. "-I$work")

mapfile -t headers < <(files '*.h')
for compiler in gcc clang; do
	for name in "${headers[@]}"; do
		printf '#include "%s"\nint header_alone;\n' "$name" |
		    $compiler "${flags[@]}" "${packages[@]}" -x c - 2>&1 |
		    grep -E 'error|warning' | head -n 3
	done | rule "headers compile alone ($compiler)"
done

for name in "${headers[@]}"; do
	grep -qE '^#(ifndef|pragma once)' "$name" ||
	    echo "$name: no include guard"
done | rule "include guards"
done_rules
