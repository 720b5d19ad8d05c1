/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "attest/ccel_table.h"
#include "base/reader.h"

#define WHERE "ACPI table CCEL"
#define SIGNATURE "CCEL"
#define CC_TYPE_TDX 2

/* The bytes of every ACPI table add up to 0 (ACPI 6.5, 5.2.6). */
static bool
sum_is_zero(struct span s)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < s.len; i++)
		sum = (uint8_t)(sum + s.data[i]);
	return sum == 0;
}

int
ccel_table_parse(struct span s, struct ccel_table *ret, struct why *reterr_why)
{
	struct reader r = reader_init(s);
	struct span signature = read_span(&r, 4);
	uint32_t length = read_le32(&r);
	struct ccel_table t = { 0 };

	read_skip(&r, 28); /* revision, checksum, OEM and creator */
	t.type = read_u8(&r);
	read_skip(&r, 3); /* subtype, reserved */
	t.size = read_le64(&r);
	t.address = read_le64(&r);
	if (reader_end(&r) != CVM_OK || length != CCEL_TABLE_LEN)
		return why_setf(reterr_why, CVM_E_PARSE, WHERE, "length",
		    "56 bytes", "%zu, which say %u", s.len, length);
	if (!span_equal(signature, span(SIGNATURE, 4)))
		return why_set(reterr_why, CVM_E_PARSE, WHERE, "signature",
		    SIGNATURE, "another one");
	if (!sum_is_zero(s))
		return why_set(reterr_why, CVM_E_PARSE, WHERE, "checksum",
		    "bytes that add up to 0", "others");
	if (t.type != CC_TYPE_TDX)
		return why_setf(reterr_why, CVM_E_UNSUPPORTED, WHERE, "type",
		    "2 (TDX)", "%u", t.type);
	if (t.address == 0 || t.size == 0)
		return why_set(reterr_why, CVM_E_PARSE, WHERE, "log",
		    "an address and a length", "0");
	*ret = t;
	return CVM_OK;
}

int
ccel_table_check(struct span table, size_t log_len, struct why *reterr_why)
{
	struct ccel_table t;
	int r = ccel_table_parse(table, &t, reterr_why);

	if (r == CVM_OK && t.size != log_len)
		return why_setf(reterr_why, CVM_E_PARSE, WHERE,
		    "length of the log", "that of the log read",
		    "%llu, of %zu bytes", (unsigned long long)t.size, log_len);
	return r;
}
