/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

static const struct {
	int err;
	const char *text;
} texts[] = {
	{ CVM_OK, "success" },
	{ CVM_E_NOMEM, "out of memory" },
	{ CVM_E_INTERNAL, "internal invariant broken" },
	{ CVM_E_INVAL, "invalid argument" },
	{ CVM_E_IO, "input/output error" },
	{ CVM_E_CRYPTO, "cryptographic library failure" },
	{ CVM_E_PARSE, "malformed" },
	{ CVM_E_UNSUPPORTED, "not supported" },
	{ CVM_E_CONFIG, "configuration refused" },
	{ CVM_E_CORRUPT, "record fails authentication" },
	{ CVM_E_NEWER, "format is newer than this program" },
	{ CVM_E_NOT_FOUND, "not found" },
	{ CVM_E_EXISTS, "exists already" },
	{ CVM_E_UNREACHABLE, "evidence source unreachable" },
	{ CVM_E_DENIED, "attestation denied" },
	{ CVM_E_SEALED, "no seal opens" },
	{ CVM_E_PERMIT, "no valid permit" },
	{ CVM_E_PIN_INCORRECT, "PIN incorrect" },
	{ CVM_E_PIN_LOCKED, "PIN locked" },
	{ CVM_E_PIN_LEN, "PIN length out of range" },
	{ CVM_E_PIN_INVALID, "PIN is not valid UTF-8" },
	{ CVM_E_BUSY, "busy" },
	{ CVM_E_PIN_UNSET, "user PIN not initialised" },
	{ CVM_E_NOT_LOGGED_IN, "not logged in" },
	{ CVM_E_STALE, "changed meanwhile" },
	{ CVM_E_ATTR_TYPE, "attribute type invalid" },
	{ CVM_E_ATTR_VALUE, "attribute value invalid" },
	{ CVM_E_ATTR_READ_ONLY, "attribute is read-only" },
	{ CVM_E_ATTR_SENSITIVE, "attribute is sensitive" },
	{ CVM_E_TEMPLATE_INCOMPLETE, "template incomplete" },
	{ CVM_E_TEMPLATE_INCONSISTENT, "template inconsistent" },
	{ CVM_E_ACTION_PROHIBITED, "action prohibited" },
	{ CVM_E_MECH_INVALID, "mechanism invalid" },
	{ CVM_E_MECH_PARAM, "mechanism parameter invalid" },
	{ CVM_E_KEY_TYPE, "key type inconsistent" },
	{ CVM_E_KEY_SIZE, "key size out of range" },
	{ CVM_E_KEY_FUNCTION, "key function not permitted" },
	{ CVM_E_KEY_UNEXTRACTABLE, "key unextractable" },
	{ CVM_E_KEY_NOT_WRAPPABLE, "key not wrappable" },
	{ CVM_E_DATA_LEN, "data length out of range" },
	{ CVM_E_DATA_INVALID, "data invalid" },
	{ CVM_E_ENCRYPTED_INVALID, "encrypted data invalid" },
	{ CVM_E_ENCRYPTED_LEN, "encrypted data length out of range" },
	{ CVM_E_SIGNATURE_INVALID, "signature invalid" },
	{ CVM_E_SIGNATURE_LEN, "signature length out of range" },
	{ CVM_E_BUFFER_TOO_SMALL, "buffer too small" },
	{ CVM_E_DOMAIN_PARAMS, "domain parameters invalid" },
	{ CVM_E_WRAPPED_INVALID, "wrapped key invalid" },
	{ CVM_E_PARAMETER_SET, "parameter set not supported" },
	{ CVM_E_WRAPPED_LEN, "wrapped key length out of range" },
	{ CVM_E_CURVE, "curve not supported" },
	{ CVM_E_READ_ONLY, "read-only" },
	{ CVM_E_WRITE_PROTECTED, "write-protected" },
	{ CVM_E_FULL, "disk full" },
};

const char *
cvm_strerror(int err)
{
	for (size_t i = 0; i < NELEMS(texts); i++)
		if (texts[i].err == err)
			return texts[i].text;
	return "unknown error";
}

/* Copies s cut to size; hostile bytes must not reach a terminal or a log. */
static void
put(char *dst, size_t size, const char *s)
{
	size_t i;

	for (i = 0; s != NULL && s[i] != '\0' && i + 1 < size; i++)
		dst[i] = (s[i] >= 0x20 && s[i] < 0x7f) ? s[i] : '?';
	dst[i] = '\0';
	if (s != NULL && s[i] != '\0' && size > 4)
		memcpy(dst + size - 4, "...", 4);
}

int
why_set(struct why *why, int err, const char *where, const char *field,
    const char *expected, const char *got)
{
	if (why == NULL)
		return err;
	why->err = err;
	put(why->where, sizeof(why->where), where);
	put(why->field, sizeof(why->field), field);
	put(why->expected, sizeof(why->expected), expected);
	put(why->got, sizeof(why->got), got);
	why->hint[0] = '\0';
	return err;
}

int
why_setf(struct why *why, int err, const char *where, const char *field,
    const char *expected, const char *fmt, ...)
{
	char got[WHY_VALUE_MAX * 2];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(got, sizeof(got), fmt, ap);
	va_end(ap);
	return why_set(why, err, where, field, expected, got);
}

void
why_hint(struct why *why, const char *fmt, ...)
{
	char hint[WHY_HINT_MAX * 2];
	va_list ap;

	if (why == NULL)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(hint, sizeof(hint), fmt, ap);
	va_end(ap);
	put(why->hint, sizeof(why->hint), hint);
}

const char *
why_sentence(const struct why *why, char *buf, size_t len)
{
	(void)snprintf(buf, len, "%s%s%s%s%s%s%s%s%s (%s)%s%s", why->where,
	    why->where[0] ? ": " : "", why->field, why->field[0] ? ": " : "",
	    why->expected[0] ? "expected " : "", why->expected,
	    why->expected[0] && why->got[0] ? ", " : "",
	    why->got[0] ? "got " : "", why->got, cvm_strerror(why->err),
	    why->hint[0] ? "; " : "", why->hint);
	return buf;
}
