/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>

#include "attest/cert_parts.h"

/* RFC 7468. Text around the blocks is passed over, text in them is not. */
#define BEGIN "-----BEGIN "
#define LABEL_MAX 32

static bool
starts_with(struct span s, size_t at, const char *text)
{
	size_t len = strlen(text);

	return s.len - at >= len && memcmp(&s.data[at], text, len) == 0;
}

/* Where the next block begins, or s.len. */
static size_t
find_begin(struct span s, size_t at)
{
	while (at < s.len && !starts_with(s, at, BEGIN)) {
		const uint8_t *end = memchr(&s.data[at], '\n', s.len - at);

		at = end != NULL ? (size_t)(end - s.data) + 1 : s.len;
	}
	return at;
}

static bool
is_space(uint8_t c)
{
	return c == '\n' || c == '\r' || c == ' ' || c == '\t';
}

/* Past the end of the line, if nothing but white space is left of it. */
static bool
end_line(struct span s, size_t *at)
{
	while (*at < s.len && is_space(s.data[*at]))
		if (s.data[(*at)++] == '\n')
			return true;
	return *at == s.len;
}

int
pem_next(struct span s, const char *label, size_t *at, struct blob *ret)
{
	char begin[LABEL_MAX + 16], end[LABEL_MAX + 16];
	const uint8_t *stop;
	size_t start;

	if (s.len == 0 || memchr(s.data, '\0', s.len - 1) != NULL)
		return CVM_E_PARSE;
	*at = find_begin(s, *at);
	if (*at == s.len)
		return CVM_E_NOT_FOUND;
	(void)snprintf(begin, sizeof(begin), BEGIN "%s-----", label);
	(void)snprintf(end, sizeof(end), "-----END %s-----", label);
	if (!starts_with(s, *at, begin))
		return CVM_E_PARSE;
	start = *at + strlen(begin);
	if (!end_line(s, &start) || start == s.len)
		return CVM_E_PARSE;
	stop = memmem(&s.data[start], s.len - start, end, strlen(end));
	if (stop == NULL)
		return CVM_E_PARSE;
	*at = (size_t)(stop - s.data) + strlen(end);
	/* The NUL of a C string may be the last byte. */
	if (!end_line(s, at) && !(*at + 1 == s.len && s.data[*at] == '\0'))
		return CVM_E_PARSE;
	return base64_decode_lines(span(&s.data[start],
				       (size_t)(stop - s.data) - start),
	    ret);
}

int
pem_end(struct span s, size_t at)
{
	return find_begin(s, at) == s.len ? CVM_OK : CVM_E_PARSE;
}

int
certs_from_pem_by(struct span pem, cert_reader *read, void *arg,
    struct cert **ret, size_t max, size_t *ret_n)
{
	size_t n = 0, at = 0;
	int r = CVM_E_PARSE;

	while (pem.len <= PEM_BYTES_MAX) {
		_cleanup_(blob_clear) struct blob der = { 0 };

		r = pem_next(pem, "CERTIFICATE", &at, &der);
		if (r != CVM_OK)
			break;
		r = n < max ? read(arg, blob_span(&der), &ret[n]) : CVM_E_PARSE;
		if (r != CVM_OK)
			break;
		n++;
	}
	if (r == CVM_E_NOT_FOUND && n > 0) {
		*ret_n = n;
		return CVM_OK;
	}
	while (n > 0)
		cert_freep(&ret[--n]);
	return r == CVM_E_NOT_FOUND ? CVM_E_PARSE : r;
}

static int
read_der(void *arg, struct span der, struct cert **ret)
{
	(void)arg;
	return cert_from_der(der, /* padded= */ false, ret);
}

int
certs_from_pem(struct span pem, struct cert **ret, size_t max, size_t *ret_n)
{
	return certs_from_pem_by(pem, read_der, NULL, ret, max, ret_n);
}
