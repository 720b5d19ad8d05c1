/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "module/key_name.h"

#define SCHEME "pkcs11:"
#define VALUE_MAX 256
#define CLASS_LABEL_ID 3

struct named {
	bool has_label, has_id;
	struct blob label, id;
};

static void
named_clear(struct named *n)
{
	blob_clear(&n->label);
	blob_clear(&n->id);
}

static int
refuse(struct why *why, const char *field, const char *expected,
    const char *got)
{
	return why_set(why, CVM_E_PARSE, "name of a key", field, expected, got);
}

bool
key_name_is_uri(struct span name)
{
	return name.len >= strlen(SCHEME) &&
	    memcmp(name.data, SCHEME, strlen(SCHEME)) == 0;
}

/* Percent-decodes (RFC 3986, section 2.1). */
static int
unescape(const char *s, size_t len, struct blob *ret, struct why *why)
{
	uint8_t out[VALUE_MAX];
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		char hex[3] = { 0 };

		if (n == sizeof(out))
			return refuse(why, "value", "at most 256 bytes",
			    "more");
		if (s[i] != '%') {
			out[n++] = (uint8_t)s[i];
			continue;
		}
		if (i + 2 >= len)
			return refuse(why, "value", "two hex digits after %",
			    "its end");
		memcpy(hex, s + i + 1, 2);
		if (hex_decode(hex, &out[n++], 1) != CVM_OK)
			return refuse(why, "value", "two hex digits after %",
			    hex);
		i += 2;
	}
	return blob_set(ret, span(out, n));
}

static bool
begins(const char *s, size_t len, const char *name, const char **ret)
{
	size_t n = strlen(name);

	if (len < n || memcmp(s, name, n) != 0)
		return false;
	*ret = s + n;
	return true;
}

static int
read_attribute(struct named *n, const char *s, size_t len, struct why *why)
{
	static const char *const ignored[] = { "token=", "serial=",
		"manufacturer=", "model=", "type=private", "type=secret-key" };
	const char *value;
	char text[40] = { 0 };
	int err;

	if (begins(s, len, "object=", &value) && !n->has_label) {
		n->has_label = true;
		return unescape(value, len - (size_t)(value - s), &n->label,
		    why);
	}
	if (begins(s, len, "id=", &value) && !n->has_id) {
		n->has_id = true;
		err = unescape(value, len - (size_t)(value - s), &n->id, why);
		return err;
	}
	for (size_t i = 0; i < NELEMS(ignored); i++)
		if (begins(s, len, ignored[i], &value))
			return CVM_OK;
	memcpy(text, s, len < sizeof(text) ? len : sizeof(text) - 1);
	return refuse(why, "URI", "object, id, and what names the token", text);
}

static int
read_uri(const char *s, struct named *n, struct why *why)
{
	int err;

	for (s += strlen(SCHEME); *s != '\0';) {
		size_t len = strcspn(s, ";");

		if (memchr(s, '?', len) != NULL)
			return refuse(why, "URI", "no query", "?");
		if (len > 0 && (err = read_attribute(n, s, len, why)) != CVM_OK)
			return err;
		s += len + (s[len] == ';');
	}
	if (!n->has_label && !n->has_id)
		return refuse(why, "URI", "object or id", "neither");
	return CVM_OK;
}

/* The keys of one class; *ret_n counts them, *ret is one of them. */
static int
look_for(struct token *t, const struct caller *c, CK_OBJECT_CLASS class,
    const struct named *n, CK_OBJECT_HANDLE *ret, size_t *ret_n,
    struct why *why)
{
	_cleanup_(freep) CK_OBJECT_HANDLE *handles = NULL;
	CK_ATTRIBUTE templ[CLASS_LABEL_ID] = { { CKA_CLASS, &class,
	    sizeof(class) } };
	CK_ULONG attrs = 1;
	size_t found = 0;
	int err;

	if (n->has_label)
		templ[attrs++] = (CK_ATTRIBUTE){ CKA_LABEL, n->label.data,
			n->label.len };
	if (n->has_id)
		templ[attrs++] = (CK_ATTRIBUTE){ CKA_ID, n->id.data,
			n->id.len };
	err = token_find(t, c, templ, attrs, &handles, &found, why);
	if (err == CVM_OK && found > 0)
		*ret = handles[0];
	*ret_n += found;
	return err;
}

static int
look(struct token *t, const struct caller *c, const struct named *n,
    CK_OBJECT_HANDLE *ret, size_t *ret_n, struct why *why)
{
	int err;

	*ret_n = 0;
	err = look_for(t, c, CKO_PRIVATE_KEY, n, ret, ret_n, why);
	return err != CVM_OK ?
	    err :
	    look_for(t, c, CKO_SECRET_KEY, n, ret, ret_n, why);
}

int
key_name_find(struct token *t, const struct caller *c, struct span name,
    struct object **ret, struct why *reterr_why)
{
	_cleanup_(named_clear) struct named n = { 0 };
	_cleanup_(
	    freep) char *text = strndup((const char *)name.data, name.len);
	CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;
	size_t found = 0;
	int err;

	if (text == NULL)
		return CVM_E_NOMEM;
	if (key_name_is_uri(name)) {
		err = read_uri(text, &n, reterr_why);
	} else {
		n.has_label = true;
		err = blob_set(&n.label, name);
	}
	if (err == CVM_OK)
		err = look(t, c, &n, &handle, &found, reterr_why);
	if (err == CVM_OK && found == 0 && !key_name_is_uri(name) &&
	    hex_decode_blob(text, VALUE_MAX, &n.id) == CVM_OK && n.id.len > 0) {
		n.has_label = false;
		n.has_id = true;
		err = look(t, c, &n, &handle, &found, reterr_why);
	}
	if (err != CVM_OK)
		return err;
	if (found != 1)
		return why_setf(reterr_why, CVM_E_NOT_FOUND, "key", text,
		    "one private or secret key of this name", "%zu", found);
	return token_object(t, c, handle, ret);
}
