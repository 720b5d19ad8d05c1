/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attest/snp.h"
#include "base/reader.h"
#include "conf/json.h"
#include "tools/evidence_files.h"
#include "tools/text.h"
#include "tools/tool.h"

#define REGULAR "a regular file"
#define TDX_TEE_TYPE 0x81

static int
refuse_errno(const char *path, struct why *why)
{
	if (errno == ELOOP)
		return why_set(why, CVM_E_IO, path, "", REGULAR,
		    "a symbolic link");
	if (errno == ENXIO)
		return why_set(why, CVM_E_IO, path, "", REGULAR, "a socket");
	return why_set(why, CVM_E_IO, path, "", "a file that can be read",
	    strerror(errno));
}

/* O_NONBLOCK: a FIFO that nobody writes to would be waited for. */
static int
open_regular(const char *path, int *ret, struct why *why)
{
	struct stat st;

	*ret = open(path,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (*ret < 0 || fstat(*ret, &st) < 0)
		return refuse_errno(path, why);
	if (!S_ISREG(st.st_mode))
		return why_set(why, CVM_E_IO, path, "", REGULAR,
		    file_kind_text(st.st_mode));
	return CVM_OK;
}

int
evidence_file(const char *path, size_t max, struct blob *ret,
    struct why *reterr_why)
{
	_cleanup_(blob_clear) struct blob b = { 0 };
	_cleanup_(closep) int owned = -1;
	int fd = STDIN_FILENO, r;
	size_t cap = 0;
	ssize_t n = 1;

	if (strcmp(path, "-") != 0) {
		r = open_regular(path, &owned, reterr_why);
		if (r != CVM_OK)
			return r;
		fd = owned;
	}
	while (n != 0) {
		if ((r = tool_grow(&b, &cap)) != CVM_OK)
			return why_set(reterr_why, r, path, "", "", "");
		n = read(fd, b.data + b.len, cap - b.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return refuse_errno(path, reterr_why);
		b.len += (size_t)n;
		if (b.len > max)
			return why_setf(reterr_why, CVM_E_PARSE, path, "length",
			    "a smaller file", "more than %zu bytes", max);
	}
	if (b.len == 0)
		return why_set(reterr_why, CVM_E_PARSE, path, "length",
		    "some bytes", "an empty file");
	*ret = b;
	b = (struct blob){ 0 };
	return CVM_OK;
}

int
evidence_tee_kind(struct span report, const char *path, enum tee_kind *ret,
    struct why *reterr_why)
{
	struct reader in = reader_init(report);
	uint32_t version = read_le32(&in), tee_type = read_le32(&in);

	if (!in.failed && tee_type == TDX_TEE_TYPE) {
		*ret = TEE_TDX;
		return CVM_OK;
	}
	if (report.len == SNP_REPORT_LEN && version >= SNP_VERSION_MIN &&
	    version <= SNP_VERSION_MAX) {
		*ret = TEE_SNP;
		return CVM_OK;
	}
	return why_setf(reterr_why, CVM_E_UNSUPPORTED, path,
	    "first 8 bytes and length",
	    "an SNP report (1184 bytes, version 2 to 5) or a TDX quote (TEE "
	    "type 0x81 at offset 4)",
	    "%zu bytes, version %u, 0x%x at offset 4", report.len, version,
	    tee_type);
}

void
evidence_unwrap_2b(struct blob *b)
{
	if (b->len < 2 || (size_t)(b->data[0] << 8 | b->data[1]) != b->len - 2)
		return;
	b->len -= 2;
	memmove(b->data, b->data + 2, b->len);
}

static int
read_pcr(const struct json_doc *doc, const struct json *item, const char *path,
    struct pcr_values *v, struct why *why)
{
	size_t len = hash_len(v->bank);
	uint32_t bit;

	(void)doc;
	if (pcr_list_parse(item->name, &bit) != CVM_OK ||
	    (bit & (bit - 1)) != 0)
		return why_set(why, CVM_E_PARSE, path, item->name,
		    "the number of a PCR, 0 to 23", "another name");
	if (!json_is_string(item) ||
	    hex_decode(item->text, v->value[(unsigned)__builtin_ctz(bit)],
		len) != CVM_OK)
		return why_setf(why, CVM_E_PARSE, path, item->name,
		    "the value in hex", "not %zu digits", 2 * len);
	v->mask |= bit;
	return CVM_OK;
}

int
evidence_pcrs(struct span json, const char *path, enum hash_alg bank,
    uint32_t mask, struct pcr_values *ret, struct why *reterr_why)
{
	_cleanup_(json_doc_freep) struct json_doc *doc = NULL;
	struct pcr_values v = { .bank = bank };
	const struct json *values, *item;
	int r = json_parse(json, path, &doc, reterr_why);

	if (r != CVM_OK)
		return r;
	values = json_root(doc);
	item = json_member(values, bank_text(bank));
	if (item != NULL)
		values = item;
	if (!json_is_object(values))
		return why_set(reterr_why, CVM_E_PARSE, path, bank_text(bank),
		    "an object of PCR values", "something else");
	JSON_EACH(item, values) {
		r = read_pcr(doc, item, path, &v, reterr_why);
		if (r != CVM_OK)
			return r;
	}
	if ((v.mask & mask) != mask)
		return why_setf(reterr_why, CVM_E_PARSE, path, bank_text(bank),
		    "a value for each PCR that the quote selects",
		    "mask %06x of %06x", v.mask, mask);
	v.mask &= mask;
	for (unsigned i = 0; i < POLICY_PCR_MAX; i++)
		if ((mask >> i & 1) == 0)
			memset(v.value[i], 0, sizeof(v.value[i]));
	*ret = v;
	return CVM_OK;
}
