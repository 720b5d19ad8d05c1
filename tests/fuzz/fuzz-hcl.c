/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdlib.h>
#include <string.h>

#include "attest/hcl.h"
#include "base/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool ok)
{
	if (!ok)
		abort();
}

static void
write_le32(struct writer *w, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		write_u8(w, (uint8_t)(v >> (8 * i)));
}

/* What was read of a report, written down again. */
static int
write_report(const struct hcl_report *r, size_t size, struct blob *ret)
{
	static const uint8_t zeros[HCL_REPORT_MAX];
	const uint32_t len = (uint32_t)r->runtime.len;
	const uint32_t words[] = { r->version, 32 + 1184 + 20 + len, 2, 0 };
	const uint32_t runtime[] = { 20 + len, 1, r->type,
		r->alg == HASH_SHA256	  ? 1u :
		    r->alg == HASH_SHA384 ? 2u :
					    3u,
		len };
	struct writer w = { 0 };

	write_bytes(&w, span("HCLA", 4));
	for (size_t i = 0; i < NELEMS(words); i++)
		write_le32(&w, words[i]);
	write_bytes(&w, span(zeros, 12));
	write_bytes(&w, r->hardware);
	write_bytes(&w, span(zeros, 1184 - r->hardware.len));
	for (size_t i = 0; i < NELEMS(runtime); i++)
		write_le32(&w, runtime[i]);
	write_bytes(&w, r->runtime);
	write_bytes(&w, span(zeros, size - 32 - 1184 - 20 - len));
	return writer_end(&w, ret);
}

/* Everything of an accepted report was read: there is no second one that reads
 * the same. */
static void
check_report(struct span bytes, const struct hcl_report *r)
{
	_cleanup_(blob_clear) struct blob again = { 0 };
	uint8_t report_data[REPORT_DATA_LEN];

	must(r->hardware.len ==
	    (r->type == HCL_SNP ? SNP_REPORT_LEN : HCL_TDREPORT_LEN));
	must(r->report_data.len == REPORT_DATA_LEN &&
	    r->report_data.data > r->hardware.data &&
	    r->report_data.data + REPORT_DATA_LEN <
		r->hardware.data + r->hardware.len);
	must(r->runtime.len > 0 && bytes.len <= HCL_REPORT_MAX &&
	    r->runtime.data > bytes.data &&
	    r->runtime.data + r->runtime.len <= bytes.data + bytes.len);
	must(hcl_report_data(r, report_data) == CVM_OK);
	if (write_report(r, bytes.len, &again) == CVM_OK)
		must(span_equal(blob_span(&again), bytes));
}

/* A key of ours can be told from any other, and names end. */
static void
check_runtime(struct span json, const struct hcl_runtime *r)
{
	static struct hcl_runtime again;

	must(r->modulus_len > 0 && r->modulus_len <= HCL_KEY_MAX &&
	    r->modulus[0] != 0 && r->exponent != 0);
	must(memchr(r->vm_id, '\0', sizeof(r->vm_id)) != NULL);
	must(r->secure_boot <= HCL_YES && r->console <= HCL_YES);
	/* Nothing of it is left over from what was read before. */
	memset(&again, 0xa5, sizeof(again));
	must(hcl_runtime_parse(json, &again, NULL) == CVM_OK &&
	    again.exponent == r->exponent &&
	    again.has_user_data == r->has_user_data &&
	    memcmp(again.modulus, r->modulus, sizeof(r->modulus)) == 0 &&
	    memcmp(again.user_data, r->user_data, sizeof(r->user_data)) == 0 &&
	    strcmp(again.vm_id, r->vm_id) == 0);
	/* And not one byte more would have been. */
	must(hcl_runtime_parse(span(json.data, json.len - 1), &again, NULL) !=
	    CVM_OK);
}

/* The paravisor's report, and the JSON in it, or alone. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct hcl_runtime runtime;
	struct span bytes = span(data, size);
	struct hcl_report report;
	struct why why = { 0 };

	if (size > 0 && data[size - 1] == '}' &&
	    hcl_runtime_parse(bytes, &runtime, NULL) == CVM_OK)
		check_runtime(bytes, &runtime);
	if (hcl_report_parse(bytes, &report, &why) != CVM_OK) {
		must(why.err != CVM_OK && why.expected[0] != '\0');
		return 0;
	}
	check_report(bytes, &report);
	if (hcl_runtime_parse(report.runtime, &runtime, NULL) == CVM_OK &&
	    report.runtime.data[report.runtime.len - 1] == '}')
		check_runtime(report.runtime, &runtime);
	return 0;
}
