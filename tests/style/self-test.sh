#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# Each style check refuses what it exists to refuse, for the reason that it
# gives, and accepts the nearest tree that is right.
set -u
here=$(dirname "$(readlink -f "$0")")
top=$(mktemp -d) || exit 1
trap 'rm -rf "$top"' EXIT
number=0
status=0
head='/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
'

report() {
	number=$((number + 1))
	if [ "$1" = 0 ]; then
		echo "ok $number - $2"
	else
		echo "not ok $number - $2"
		printf '%s\n' "$3" | sed 's/^/# /'
		status=1
	fi
}

# tree: an empty tree to put files into.
tree() {
	dir=$top/tree
	rm -rf "$dir"
	mkdir -p "$dir"/{base,conf,attest,token,module,tests/vcvm,man}
}

# put FILE: stdin becomes a file of the tree, below the licence lines.
put() {
	{ printf '%s' "$head" && cat; } >"$dir/$1"
}

# refused CHECK PATTERN: the check fails and names the fault.
refused() {
	local output result=1
	if ! output=$("$here/check-$1.sh" "$dir" 2>&1) &&
	    grep -qE "^# .*$2" <<<"$output"; then
		result=0
	fi
	report $result "$1 refuses: $2" "$output"
}

accepted() {
	local output
	output=$("$here/check-$1.sh" "$dir" 2>&1)
	report $? "$1 accepts: $2" "$output"
}

# lines N: a function of N lines.
lines() {
	printf '\nint\nlong_one(void)\n{\n'
	seq -f '	use(%g);' "$(($1 - 4))"
	printf '	return 0;\n}\n'
}

tree
printf '\nint\none(int a)\n{\n\treturn a;\n}\n' | put base/a.c
accepted format "KNF"
printf '\nint one(int a) {\n  return a;\n}\n' | put base/a.c
refused format "base/a.c: run clang-format"
printf '\n/* %081d */\n' 0 | put base/a.c
refused format "base/a.c:4: more than 80 columns"
printf '\n/* a */ \n' | put base/a.c
refused format "base/a.c:4: blanks at the end"

tree
guard='\n#ifndef A_H\n#define A_H\n'
# shellcheck disable=SC2059 # the format is the text
printf "$guard#include <stddef.h>\nsize_t one(void);\n#endif\n" | put base/a.h
accepted headers "a header that includes what it uses"
# shellcheck disable=SC2059
printf "${guard}size_t one(void);\n#endif\n" | put base/a.h
refused headers "size_t"
printf '\nint one(void);\n' | put base/a.h
refused headers "base/a.h: no include guard"

tree
put base/a.h </dev/null
put attest/b.h </dev/null
put tests/vcvm/c.h </dev/null
printf '#include "base/a.h"\n#include "attest/b.h"\n' | put attest/b.c
printf '#include "c.h"\n' | put tests/vcvm/c.c
accepted includes "downward includes"
printf '#include "attest/b.h"\n' | put base/a.c
refused includes "base/a.c:3: base/ must not include attest/"
rm "$dir/base/a.c"
printf '#include "base/a.h"\n' | put tests/vcvm/c.c
refused includes "tests/vcvm/ must not include base/"
printf '#include "b.h"\n' | put attest/b.c
refused includes "attest/b.c:3: \"b.h\" does not name its folder"
printf '#include "base/none.h"\n' | put attest/b.c
refused includes "base/none.h\" is no file"

tree
module() {
	local name
	for name in C_GetFunctionList C_GetInterface C_GetInterfaceList "$@"; do
		echo "int $name(void); int $name(void) { return 0; }"
	done >"$top/module.c"
	gcc -shared -fPIC -Wl,-z,relro,-z,now -o "$dir/cvm-pkcs11.so" \
	    "$top/module.c"
}
module
accepted exports "three symbols"
module C_Sign
refused exports "exported too: C_Sign"
sed -i /C_GetInterfaceList/d "$top/module.c"
gcc -shared -fPIC -Wl,-z,norelro,-z,lazy -o "$dir/cvm-pkcs11.so" "$top/module.c"
refused exports "missing: C_GetInterfaceList"
refused exports "no RELRO"
refused exports "no NOW"

if [ -e "${CVM_BUILD-}/module/cvm-pkcs11.so" ]; then
	tree
	mkdir "$dir/tests/unit"
	list=$dir/tests/unit/meson.build
	cp "$here/../unit/meson.build" "$list"
	accepted faults "the list of this tree"
	for call in realloc EVP_PKEY_dup sqlite3_step cJSON_Print; do
		sed "s/'$call',//" "$here/../unit/meson.build" >"$list"
		refused faults "$call: never made to fail"
	done
	sed "s/^injected = \[/&'EVP_SealInit',/" \
	    "$here/../unit/meson.build" >"$list"
	refused faults "EVP_SealInit: not called"
fi

tree
lines 80 | put base/a.c
accepted size "a function of 80 lines"
lines 81 | put base/a.c
refused size "long_one\(\) has 81 lines"
seq -f 'int n%g;' 998 | put base/a.c
accepted size "a file of 1000 lines"
seq -f 'int n%g;' 999 | put base/a.c
refused size "base/a.c: 1001 lines"

tree
echo '/* mktemp XXXXXX, session, agent */' | put base/a.c
accepted words "plain words"
# A hyphen keeps the words from being found in this file.
for word in TO-DO FIX-ME XX-X HA-CK 'not implemented y-et' desig-n.md \
    /wor-k/tree; do
	echo "/* ${word/-/} */" | put base/a.c
	refused words "base/a.c:3:.*${word/-/}"
done

tree
put base/a.c </dev/null
accepted licence "both lines"
echo 'int a;' >"$dir/base/b.c"
refused licence "base/b.c: no SPDX"
refused licence "base/b.c: no copyright"

tree
page() {
	printf '.Dd $%s$\n.Dt A 8\n.Os\n.Sh NAME\n.Nm a\n.Nd is a page\n%s\n' \
	    'Mdocdate: January 1 2026 ' "$1" >"$dir/man/a.8"
}
page '.Sh DESCRIPTION'
printf 'A text.\n' >>"$dir/man/a.8"
accepted man "a correct page"
page '.Zz unknown macro'
refused man "Zz"

tree
mkdir "$dir/tools"
printf 'OPTION(OUT, "--out", "FILE", "")\n' | put tools/options.def
printf 'COMMAND("seal add", f, "", 0, 0, O(OUT), "")\n' | put tools/commands.def
printf '.It Ic seal add Op Fl -out Ar file\n' >"$dir/man/cvm-token.1"
accepted tool "a page with the option"
printf '.It Ic seal add\nwith Fl -out\n' >"$dir/man/cvm-token.1"
refused tool "only in tools: seal add: --out"
printf '.It Ic seal add Fl -out Fl -in\n' >"$dir/man/cvm-token.1"
refused tool "only in the manual: seal add: --in --out"
printf '.Fl -out\n' >"$dir/man/cvm-token.1"
refused tool "only in tools: seal add"

tree
# shellcheck disable=SC2016 # not for this shell
printf '#!/bin/sh\n# a script\necho "$1"\n' >"$dir/a.sh"
chmod +x "$dir/a.sh"
accepted shell "a quoted argument"
# shellcheck disable=SC2016 # not for this shell
printf '#!/bin/sh\nrm $1\n' >"$dir/a.sh"
refused shell "SC2086"
printf '#!/bin/sh\nif true; then\n' >"$dir/a.sh"
refused shell "syntax error"
chmod -x "$dir/a.sh"
refused shell "a.sh: not executable"

# spoilt FILE SED PATTERN: with this edit of one file the check refuses.
spoilt() {
	cp "$dir/$1" "$top/kept"
	sed -i "$2" "$dir/$1"
	refused docs "$3"
	cp "$top/kept" "$dir/$1"
}

tree
(cd "$here/../.." && cp -r --parents ./*.md man attest token module tools \
    conf p11-kit tests/quickstart tests/vcvm/README.md tests/lib "$dir")
rm -f "$dir"/{attest,token,module}/*.h
accepted docs "the documents"
spoilt README.md 's/^| BIND | [0-9]*/| BIND | 0/' "missing: | BIND"
spoilt README.md 's/(SECURITY.md)/(SAFETY.md)/' "no file: SAFETY.md"
spoilt README.md 's/cvm-token policy check/cvm-token policy chec/' \
    "README.md:[0-9]+: no command: cvm-token policy chec"
spoilt README.md 's/policy-tdx.json//' "not named: .*policy-tdx.json"
spoilt man/cvm-pkcs11.8.in '/^CKM_ECDSA,$/d' "missing: CKM_ECDSA"
spoilt man/cvm-pkcs11.8.in '/no evidence/d' "does not explain: no evidence"
spoilt man/cvm-pkcs11.8.in '/^@CHECKS@$/d' "needs one line"
spoilt attest/checks-tpm.def 's/^CHECK(TPM_05/ROW(TPM_05/' "not a row"

echo "1..$number"
exit $status
