#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# Licence and copyright stand in the first six lines of every source file.

# shellcheck source=tests/style/lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"

{
	files '*.c' '*.h' '*.h.in' '*.def' '*.py' '*.map' '*.build' \
	    meson_options.txt tests/packages
	shell_scripts
} | sort -u | while read -r name; do
	head -n 6 "$name" | grep -qF 'SPDX-License-Identifier: BSD-2-Clause' ||
	    echo "$name: no SPDX-License-Identifier: BSD-2-Clause"
	head -n 6 "$name" | grep -qE 'Copyright \(c\) [0-9]{4}.* authors' ||
	    echo "$name: no copyright line"
done | rule "licence lines"
done_rules
