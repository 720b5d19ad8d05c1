/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "base/cleanup.h"
#include "base/utf8.h"

size_t
utf8_len(struct span s)
{
	static const struct {
		uint8_t mask, lead;
		uint32_t least;
	} forms[] = {
		{ 0x80, 0x00, 0 },
		{ 0xe0, 0xc0, 0x80 },
		{ 0xf0, 0xe0, 0x800 },
		{ 0xf8, 0xf0, 0x10000 },
	};

	for (size_t n = 0; n < NELEMS(forms); n++) {
		uint32_t code = s.data[0] & (uint8_t)~forms[n].mask;

		if ((s.data[0] & forms[n].mask) != forms[n].lead)
			continue;
		if (n >= s.len)
			return 0;
		for (size_t i = 1; i <= n; i++) {
			if ((s.data[i] & 0xc0) != 0x80)
				return 0;
			code = code << 6 | (s.data[i] & 0x3f);
		}
		return code < forms[n].least || code > 0x10ffff ||
			(code >= 0xd800 && code <= 0xdfff) ?
		    0 :
		    n + 1;
	}
	return 0;
}
