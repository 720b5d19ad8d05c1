#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# The module exports the three entry points of PKCS#11 and nothing else, and
# links to no library that it must not need.  Looks
# at cvm-pkcs11.so in the directory given, or in $CVM_BUILD/module.

# shellcheck source=tests/style/lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"

module=${1:-${CVM_BUILD-}/module}/cvm-pkcs11.so
if [ -z "${1-}" ] && [ ! -e "$module" ]; then
	echo "1..0 # SKIP no module is built: CVM_BUILD names no build of it"
	exit 0
fi
printf '%s\n' C_GetFunctionList C_GetInterface C_GetInterfaceList |
    diff - <(nm -D --defined-only "$module" | awk '{ print $3 }' | sort) |
    sed -n 's/^< /missing: /p; s/^> /exported too: /p' |
    rule "exported symbols"

readelf -d "$module" | grep -E 'NEEDED.*(p11-kit|RPATH|RUNPATH)' |
    rule "does not link to p11-kit"

readelf -d "$module" | grep -E 'NEEDED.*(curl|gnutls|nghttp|libssl)' |
    rule "links to nothing that knows the network"

{
	readelf -lW "$module" | grep -q GNU_RELRO || echo "no RELRO"
	readelf -d "$module" | grep -qE 'BIND_NOW|FLAGS.*NOW' || echo "no NOW"
	readelf -lW "$module" | grep -E 'GNU_STACK.*RWE'
	readelf -d "$module" | grep -E 'TEXTREL|RPATH|RUNPATH'
} | rule "hardened"
done_rules
