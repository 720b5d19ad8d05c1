/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "module/evidence.h"
#include "module/key_name.h"

#define LABEL CVM_ATTESTATION_LABEL
#define APPLICATION "cvm-pkcs11"
#define CHALLENGE CVM_CHALLENGE_APPLICATION

struct evidence_object {
	CK_OBJECT_HANDLE handle;
	bool challenge;
	struct blob label; /* of a challenge, as it was given */
	char *json;
	struct evidence_object *next;
};

static void
object_freep(struct evidence_object **op)
{
	struct evidence_object *o = TAKE_PTR(*op);

	if (o == NULL)
		return;
	blob_clear(&o->label);
	free(o->json);
	free(o);
}

void
evidence_objects_freep(struct evidence_object **list)
{
	while (*list != NULL) {
		struct evidence_object *o = *list;

		*list = o->next;
		object_freep(&o);
	}
}

struct evidence_object *
evidence_find(struct session *s, CK_OBJECT_HANDLE handle)
{
	struct evidence_object *o = s->evidence;

	while (o != NULL && o->handle != handle)
		o = o->next;
	return o;
}

static const CK_OBJECT_CLASS class_data = CKO_DATA;
static const CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

/* The attribute's value; false: such an object has none of that type. */
static bool
value_of(const struct evidence_object *o, CK_ATTRIBUTE_TYPE type,
    struct span *ret)
{
	const char *app = o->challenge ? CHALLENGE : APPLICATION;
	struct span label = o->label.len > 0 ? blob_span(&o->label) :
					       span(LABEL, strlen(LABEL));
	const struct {
		CK_ATTRIBUTE_TYPE type;
		struct span value;
	} values[] = {
		{ CKA_CLASS, span(&class_data, sizeof(class_data)) },
		{ CKA_TOKEN, span(&no, sizeof(no)) },
		{ CKA_PRIVATE, span(&no, sizeof(no)) },
		{ CKA_MODIFIABLE, span(&no, sizeof(no)) },
		{ CKA_COPYABLE, span(&no, sizeof(no)) },
		{ CKA_DESTROYABLE, span(&yes, sizeof(yes)) },
		{ CKA_LABEL, label },
		{ CKA_APPLICATION, span(app, strlen(app)) },
		{ CKA_OBJECT_ID, span("", 0) },
		{ CKA_VALUE, span(o->json, strlen(o->json)) },
	};

	for (size_t i = 0; i < NELEMS(values); i++)
		if (values[i].type == type) {
			*ret = values[i].value;
			return true;
		}
	return false;
}

static bool
matches(const struct evidence_object *o, const CK_ATTRIBUTE *templ, CK_ULONG n)
{
	struct span v;

	for (CK_ULONG i = 0; i < n; i++)
		if (!value_of(o, templ[i].type, &v) ||
		    v.len != templ[i].ulValueLen ||
		    (v.len > 0 &&
			(templ[i].pValue == NULL ||
			    memcmp(v.data, templ[i].pValue, v.len) != 0)))
			return false;
	return true;
}

static size_t
count(const struct session *s)
{
	const struct evidence_object *o = s->evidence;
	size_t n = 0;

	for (; o != NULL; o = o->next)
		n++;
	return n;
}

/* Takes json over. */
static CK_RV
add(struct call *c, bool challenge, char **json, struct evidence_object **ret)
{
	struct evidence_object *o;

	if (count(c->session) >= EVIDENCE_OBJECTS_MAX)
		return CKR_DEVICE_MEMORY;
	if ((o = calloc(1, sizeof(*o))) == NULL)
		return CKR_HOST_MEMORY;
	o->handle = EVIDENCE_HANDLE_BASE +
	    atomic_fetch_add(&c->slot->evidence_handles, 1);
	o->challenge = challenge;
	o->json = TAKE_PTR(*json);
	o->next = c->session->evidence;
	c->session->evidence = o;
	*ret = o;
	return CKR_OK;
}

/* The session's own: made when it is first looked for, then kept current. */
static void
refresh_own(struct call *c)
{
	_cleanup_(freep) char *json = NULL;
	struct evidence_object *o = c->session->evidence;

	while (o != NULL && o->challenge)
		o = o->next;
	if (gate_bundle(c->slot->gate, &c->session->gate.admission, &json,
		&c->why) != CVM_OK)
		return;
	if (o == NULL) {
		(void)add(c, /* challenge= */ false, &json, &o);
		return;
	}
	free(o->json);
	o->json = TAKE_PTR(json);
}

/* What cannot match any of ours costs nothing. */
static bool
is_for_data(const CK_ATTRIBUTE *templ, CK_ULONG n)
{
	struct evidence_object probe = { .json = NULL };
	char empty[1] = "";

	probe.json = empty;
	for (CK_ULONG i = 0; i < n; i++) {
		if (templ[i].type == CKA_VALUE || templ[i].type == CKA_LABEL ||
		    templ[i].type == CKA_APPLICATION)
			continue;
		if (!matches(&probe, &templ[i], 1))
			return false;
	}
	return n > 0;
}

size_t
evidence_search(struct call *c, const CK_ATTRIBUTE *templ, CK_ULONG n,
    CK_OBJECT_HANDLE ret[static EVIDENCE_OBJECTS_MAX])
{
	const struct evidence_object *o;
	size_t found = 0;

	if (!is_for_data(templ, n))
		return 0;
	refresh_own(c);
	for (o = c->session->evidence; o != NULL; o = o->next)
		if (found < EVIDENCE_OBJECTS_MAX && matches(o, templ, n))
			ret[found++] = o->handle;
	return found;
}

static const CK_ATTRIBUTE *
attribute(const CK_ATTRIBUTE *templ, CK_ULONG n, CK_ATTRIBUTE_TYPE type)
{
	for (CK_ULONG i = 0; i < n; i++)
		if (templ[i].type == type && templ[i].pValue != NULL)
			return &templ[i];
	return NULL;
}

static bool
has(const CK_ATTRIBUTE *templ, CK_ULONG n, CK_ATTRIBUTE_TYPE type,
    struct span value)
{
	const CK_ATTRIBUTE *a = attribute(templ, n, type);

	return a != NULL && a->ulValueLen == value.len &&
	    memcmp(a->pValue, value.data, value.len) == 0;
}

bool
evidence_is_challenge(const CK_ATTRIBUTE *templ, CK_ULONG n)
{
	return has(templ, n, CKA_CLASS,
		   span(&class_data, sizeof(class_data))) &&
	    has(templ, n, CKA_APPLICATION, span(CHALLENGE, strlen(CHALLENGE)));
}

/* The key that CKA_LABEL names as a URI; NULL where it is an other label. A key
 * that is not seen here, for want of a login, say, is not spoken of. */
static int
named_key(struct call *c, const CK_ATTRIBUTE *templ, CK_ULONG n,
    struct object **ret)
{
	const CK_ATTRIBUTE *label = attribute(templ, n, CKA_LABEL);
	struct span name;
	int err;

	if (label == NULL || label->ulValueLen > KEY_URI_MAX)
		return CVM_OK;
	name = span(label->pValue, label->ulValueLen);
	if (!key_name_is_uri(name))
		return CVM_OK;
	if ((err = call_admit(c)) != CVM_OK)
		return err;
	err = key_name_find(c->token, &c->caller, name, ret, &c->why);
	return err == CVM_E_NOT_FOUND || err == CVM_E_PARSE ? CVM_E_ATTR_VALUE :
							      err;
}

CK_RV
evidence_challenge(struct call *c, const CK_ATTRIBUTE *templ, CK_ULONG n,
    CK_OBJECT_HANDLE *ret)
{
	const CK_ATTRIBUTE *nonce = attribute(templ, n, CKA_VALUE), *label;
	_cleanup_(object_unrefp) struct object *key = NULL;
	_cleanup_(freep) char *json = NULL;
	struct evidence_object *o = NULL;
	CK_RV rv;
	int err;

	if (nonce == NULL)
		return CKR_TEMPLATE_INCOMPLETE;
	if (nonce->ulValueLen < CHALLENGE_NONCE_MIN ||
	    nonce->ulValueLen > CHALLENGE_NONCE_MAX)
		return CKR_ATTRIBUTE_VALUE_INVALID;
	if ((err = named_key(c, templ, n, &key)) == CVM_OK)
		err = gate_challenge(c->slot->gate,
		    span(nonce->pValue, nonce->ulValueLen), key, &json,
		    &c->why);
	if (err != CVM_OK)
		return rv_of(err);
	rv = add(c, /* challenge= */ true, &json, &o);
	if (rv != CKR_OK)
		return rv;
	label = attribute(templ, n, CKA_LABEL);
	if (label != NULL && label->ulValueLen <= KEY_URI_MAX &&
	    blob_set(&o->label, span(label->pValue, label->ulValueLen)) !=
		CVM_OK)
		return CKR_HOST_MEMORY;
	*ret = o->handle;
	return CKR_OK;
}

static CK_RV
get_one(const struct evidence_object *o, CK_ATTRIBUTE *a)
{
	CK_ULONG room = a->ulValueLen;
	struct span v;

	a->ulValueLen = CK_UNAVAILABLE_INFORMATION;
	if (!value_of(o, a->type, &v))
		return CKR_ATTRIBUTE_TYPE_INVALID;
	if (a->pValue != NULL && room < v.len)
		return CKR_BUFFER_TOO_SMALL;
	a->ulValueLen = v.len;
	if (a->pValue != NULL && v.len > 0)
		memcpy(a->pValue, v.data, v.len);
	return CKR_OK;
}

CK_RV
evidence_get(const struct evidence_object *o, CK_ATTRIBUTE *templ, CK_ULONG n)
{
	CK_RV rv = CKR_OK, one;

	for (CK_ULONG i = 0; i < n; i++) {
		one = get_one(o, &templ[i]);
		if (one != CKR_OK)
			rv = one;
	}
	return rv;
}

size_t
evidence_size(const struct evidence_object *o)
{
	return strlen(o->json);
}

void
evidence_destroy(struct session *s, struct evidence_object *o)
{
	struct evidence_object **at = &s->evidence;

	while (*at != NULL && *at != o)
		at = &(*at)->next;
	if (*at != NULL)
		*at = o->next;
	object_freep(&o);
}
