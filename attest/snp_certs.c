/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "attest/snp.h"
#include "base/reader.h"

#define GUID_LEN 16
#define ENTRY_LEN 24

/* GHCB (56421) section 4.1.8.1; GUIDs in the order of their text. */
enum kind { KIND_VCEK, KIND_VLEK, KIND_ASK, KIND_ARK, KIND_LAUNCH };
static const uint8_t kinds[][GUID_LEN] = {
	[KIND_VCEK] = { 0x63, 0xda, 0x75, 0x8d, 0xe6, 0x64, 0x45, 0x64, 0xad,
	    0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac, 0xcd },
	[KIND_VLEK] = { 0xa8, 0x07, 0x4b, 0xc2, 0xa2, 0x5a, 0x48, 0x3e, 0xaa,
	    0xe6, 0x39, 0xc0, 0x45, 0xa0, 0xb8, 0xa1 },
	[KIND_ASK] = { 0x4a, 0xb7, 0xb3, 0x79, 0xbb, 0xac, 0x4f, 0xe4, 0xa0,
	    0x2f, 0x05, 0xae, 0xf3, 0x27, 0xc7, 0x82 },
	[KIND_ARK] = { 0xc0, 0xb4, 0x06, 0xa4, 0xa8, 0x03, 0x49, 0x52, 0x97,
	    0x43, 0x3f, 0xb6, 0x01, 0x4c, 0xd0, 0xae },
	/* gce-tcb-verifier */
	[KIND_LAUNCH] = { 0x9f, 0x41, 0x16, 0xcd, 0xc5, 0x03, 0x4f, 0x5a, 0x8f,
	    0x6f, 0xfb, 0x68, 0x88, 0x2f, 0x4c, 0xe2 },
};

struct entry {
	struct span guid;
	uint32_t offset, len;
};

static int
refuse(struct why *why, const char *expected, const char *got, size_t at)
{
	return why_setf(why, CVM_E_PARSE, "certificate table", "", expected,
	    "%s (entry %zu)", got, at);
}

/* Reads entries up to the all-zero one. */
static int
read_entries(struct span table, struct entry *e, size_t *ret_n, struct why *why)
{
	struct reader in = reader_init(table);

	for (size_t n = 0; n <= SNP_CERT_ENTRIES_MAX; n++) {
		struct entry x = { .guid = read_span(&in, GUID_LEN) };

		x.offset = read_le32(&in);
		x.len = read_le32(&in);
		if (in.failed)
			return refuse(why, "an all-zero entry at the end",
			    "the end of the table", n);
		if (span_is_filled(x.guid, 0)) {
			if (x.offset != 0 || x.len != 0)
				return refuse(why, "an all-zero last entry",
				    "a GUID of zero with content", n);
			*ret_n = n;
			return CVM_OK;
		}
		if (n < SNP_CERT_ENTRIES_MAX)
			e[n] = x;
	}
	return refuse(why, "at most 32 entries", "more", SNP_CERT_ENTRIES_MAX);
}

static bool
overlap(const struct entry *a, const struct entry *b)
{
	return a->offset < (uint64_t)b->offset + b->len &&
	    b->offset < (uint64_t)a->offset + a->len;
}

/* Each entry lies behind the header and inside the table, alone, once. */
static int
check_entries(struct span table, const struct entry *e, size_t n,
    struct why *why)
{
	size_t header = (n + 1) * ENTRY_LEN;

	for (size_t i = 0; i < n; i++) {
		if (e[i].offset < header)
			return refuse(why, "an offset behind the header",
			    "one inside of it", i);
		if (e[i].len == 0)
			return refuse(why, "a certificate", "no bytes", i);
		if ((uint64_t)e[i].offset + e[i].len > table.len)
			return refuse(why, "a certificate inside the table",
			    "one that ends beyond it", i);
		for (size_t j = 0; j < i; j++) {
			if (span_equal(e[i].guid, e[j].guid))
				return refuse(why, "each GUID once", "twice",
				    i);
			if (overlap(&e[i], &e[j]))
				return refuse(why,
				    "certificates that do not overlap",
				    "an overlap", i);
		}
	}
	return CVM_OK;
}

static void
assign(struct snp_certs *certs, const struct entry *e, struct span table)
{
	struct span *const slots[] = { [KIND_VCEK] = &certs->vcek,
		[KIND_VLEK] = &certs->vlek,
		[KIND_ASK] = &certs->ask,
		[KIND_ARK] = &certs->ark,
		[KIND_LAUNCH] = &certs->launch };
	struct reader in = reader_init(table);

	read_skip(&in, e->offset);
	for (size_t k = 0; k < NELEMS(kinds); k++)
		if (memcmp(kinds[k], e->guid.data, GUID_LEN) == 0)
			*slots[k] = read_span(&in, e->len);
}

int
snp_certs_parse(struct span table, struct snp_certs *ret,
    struct why *reterr_why)
{
	struct entry e[SNP_CERT_ENTRIES_MAX];
	struct snp_certs certs = { 0 };
	int r;

	if (table.len > EVIDENCE_AUX_MAX)
		return why_setf(reterr_why, CVM_E_PARSE, "certificate table",
		    "length", "at most 65536 bytes", "%zu", table.len);
	if (table.len > 0) {
		r = read_entries(table, e, &certs.n, reterr_why);
		if (r == CVM_OK)
			r = check_entries(table, e, certs.n, reterr_why);
		if (r != CVM_OK)
			return r;
	}
	for (size_t i = 0; i < certs.n; i++)
		assign(&certs, &e[i], table);
	*ret = certs;
	return CVM_OK;
}
