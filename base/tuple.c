/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "base/reader.h"
#include "base/tuple.h"

int
tuple(const char *tag, const struct span *fields, size_t n, struct blob *ret)
{
	_cleanup_(writer_clear) struct writer w = { 0 };
	size_t len = strlen(tag);

	if (len > UINT16_MAX)
		return CVM_E_INVAL;
	write_be16(&w, (uint16_t)len);
	write_bytes(&w, span(tag, len));
	for (size_t i = 0; i < n; i++) {
		if (fields[i].len > UINT32_MAX)
			return CVM_E_INVAL;
		write_field(&w, fields[i]);
	}
	return writer_end(&w, ret);
}

struct span
tuple_u64(uint64_t v, uint8_t buf[static 8])
{
	for (size_t i = 8; i > 0; i--, v >>= 8)
		buf[i - 1] = (uint8_t)v;
	return span(buf, 8);
}
