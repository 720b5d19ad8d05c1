/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "attest/quote.h"
#include "attest/vtpm_priv.h"

/* Marshalling: TPM 2.0 Library, Part 3 (commands) and Part 2 (structures). */

void
tpm_command_clear(struct tpm_command *c)
{
	writer_clear(&c->params);
}

void
tpm_response_clear(struct tpm_response *r)
{
	blob_clear(&r->bytes);
	r->params = r->auth = span(NULL, 0);
}

void
write_2b(struct writer *w, struct span s)
{
	if (s.len > UINT16_MAX) {
		w->failed = true;
		return;
	}
	write_be16(w, (uint16_t)s.len);
	write_bytes(w, s);
}

struct span
read_2b(struct reader *r)
{
	return read_span(r, read_be16(r));
}

TPM2_RC
tpm_rc_base(TPM2_RC rc)
{
	/* Format one carries its handle, parameter or session number. */
	return (rc & TPM2_RC_FMT1) ? rc & 0x0bf : rc & 0xfff;
}

static const struct {
	TPM2_RC rc; /* as tpm_rc_base() has it */
	const char *name;
} rc_names[] = {
	{ TPM2_RC_INITIALIZE, "TPM_RC_INITIALIZE: TPM2_Startup is missing" },
	{ TPM2_RC_FAILURE, "TPM_RC_FAILURE: the TPM is in failure mode" },
	{ TPM2_RC_PCR_CHANGED, "TPM_RC_PCR_CHANGED" },
	{ TPM2_RC_COMMAND_CODE, "TPM_RC_COMMAND_CODE: not implemented" },
	{ TPM2_RC_NV_UNINITIALIZED, "TPM_RC_NV_UNINITIALIZED: not written" },
	{ TPM2_RC_NV_AUTHORIZATION, "TPM_RC_NV_AUTHORIZATION" },
	{ TPM2_RC_HANDLE, "TPM_RC_HANDLE: no such object" },
	{ TPM2_RC_VALUE, "TPM_RC_VALUE" },
	{ TPM2_RC_HASH, "TPM_RC_HASH: hash not supported" },
	{ TPM2_RC_SCHEME, "TPM_RC_SCHEME" },
	{ TPM2_RC_CURVE, "TPM_RC_CURVE: curve not supported" },
	{ TPM2_RC_KEY, "TPM_RC_KEY" },
	{ TPM2_RC_SIZE, "TPM_RC_SIZE" },
	{ TPM2_RC_ATTRIBUTES, "TPM_RC_ATTRIBUTES" },
	{ TPM2_RC_AUTH_FAIL, "TPM_RC_AUTH_FAIL" },
	{ TPM2_RC_BAD_AUTH, "TPM_RC_BAD_AUTH" },
	{ TPM2_RC_POLICY_FAIL, "TPM_RC_POLICY_FAIL" },
	{ TPM2_RC_INTEGRITY, "TPM_RC_INTEGRITY: made by another TPM" },
	{ TPM2_RC_HIERARCHY, "TPM_RC_HIERARCHY: hierarchy disabled" },
	{ TPM2_RC_OBJECT_MEMORY, "TPM_RC_OBJECT_MEMORY" },
	{ TPM2_RC_SESSION_MEMORY, "TPM_RC_SESSION_MEMORY" },
	{ TPM2_RC_OBJECT_HANDLES, "TPM_RC_OBJECT_HANDLES" },
	{ TPM2_RC_SESSION_HANDLES, "TPM_RC_SESSION_HANDLES" },
	{ TPM2_RC_CONTEXT_GAP, "TPM_RC_CONTEXT_GAP" },
	{ TPM2_RC_LOCKOUT, "TPM_RC_LOCKOUT: dictionary attack lockout" },
	{ TPM2_RC_RETRY, "TPM_RC_RETRY" },
	{ TPM2_RC_YIELDED, "TPM_RC_YIELDED" },
	{ TPM2_RC_TESTING, "TPM_RC_TESTING" },
};

static int
refuse_rc(const struct vtpm *t, const char *what, struct why *why)
{
	const char *name = "";

	for (size_t i = 0; i < NELEMS(rc_names); i++)
		if (tpm_rc_base(rc_names[i].rc) == tpm_rc_base(t->rc))
			name = rc_names[i].name;
	return why_setf(why, CVM_E_UNREACHABLE, t->tcti, what, "TPM_RC_SUCCESS",
	    "0x%08x %s", t->rc, name);
}

int
tpm_garbled(struct vtpm *t, const char *what, struct why *reterr_why)
{
	t->broken = true;
	return why_set(reterr_why, CVM_E_UNREACHABLE, t->tcti, what,
	    "a well-formed response", "malformed bytes");
}

static int
exchange(struct vtpm *t, struct span command, struct blob *ret, struct why *why)
{
	int r;

	if (t->link == NULL || t->broken)
		return why_set(why, CVM_E_UNREACHABLE, t->tcti, "connection",
		    "open", "closed");
	r = tpm_link_exchange(t->link, command, t->deadline_ns, ret, why);
	if (r != CVM_OK)
		t->broken = true;
	return r;
}

/* An authorisation with the empty password (Part 1, section 19.4). */
static void
write_password(struct writer *w)
{
	write_be32(w, 9);
	write_be32(w, TPM2_RS_PW);
	write_be16(w, 0);
	write_u8(w, TPMA_SESSION_CONTINUESESSION);
	write_be16(w, 0);
}

static int
marshal(const struct tpm_command *c, struct span auth, struct blob *ret)
{
	_cleanup_(writer_clear) struct writer w = { 0 }, body = { 0 };
	bool sessions = auth.len > 0 || c->password;

	for (size_t i = 0; i < c->n_handles; i++)
		write_be32(&body, c->handles[i]);
	if (auth.len > 0)
		write_field(&body, auth);
	else if (c->password)
		write_password(&body);
	write_bytes(&body, blob_span(&c->params.out));
	if (body.failed || c->params.failed)
		return CVM_E_NOMEM;
	write_be16(&w, sessions ? TPM2_ST_SESSIONS : TPM2_ST_NO_SESSIONS);
	write_be32(&w, (uint32_t)(10 + body.out.len));
	write_be32(&w, c->code);
	write_bytes(&w, blob_span(&body.out));
	return writer_end(&w, ret);
}

/* Takes a response apart; ret owns the bytes. */
static int
unmarshal(const struct tpm_command *c, struct tpm_response *ret, TPM2_RC *rc)
{
	struct reader r = reader_init(blob_span(&ret->bytes));
	uint16_t tag = read_be16(&r);

	if (read_be32(&r) != ret->bytes.len)
		return CVM_E_PARSE;
	*rc = read_be32(&r);
	if (*rc != TPM2_RC_SUCCESS)
		return reader_end(&r);
	if (c->returns_handle)
		ret->handle = read_be32(&r);
	if (tag == TPM2_ST_SESSIONS)
		ret->params = read_span(&r, read_be32(&r));
	else
		ret->params = read_span(&r, reader_left(&r));
	ret->auth = read_span(&r, reader_left(&r));
	return reader_end(&r);
}

static bool
worth_waiting(TPM2_RC rc)
{
	return rc == TPM2_RC_RETRY || rc == TPM2_RC_YIELDED ||
	    rc == TPM2_RC_TESTING || rc == TPM2_RC_NV_RATE;
}

/* Sleeps 1, 2, 4 .. 64 ms; false when the deadline has passed. */
static bool
back_off(const struct vtpm *t, unsigned round)
{
	struct timespec ts = { .tv_nsec = 1000000L << (round < 6 ? round : 6) };

	(void)nanosleep(&ts, NULL);
	return monotonic_ns() < t->deadline_ns;
}

int
tpm_send(struct vtpm *t, struct tpm_command *c, struct span auth,
    struct tpm_response *ret, struct why *reterr_why)
{
	_cleanup_(tpm_response_clear) struct tpm_response rsp = { 0 };
	_cleanup_(blob_clear) struct blob command = { 0 };
	unsigned round = 0;
	int r;

	t->rc = TPM2_RC_SUCCESS;
	r = marshal(c, auth, &command);
	if (r != CVM_OK)
		return r;
	do {
		tpm_response_clear(&rsp);
		r = exchange(t, blob_span(&command), &rsp.bytes, reterr_why);
		if (r != CVM_OK)
			return r;
		if (unmarshal(c, &rsp, &t->rc) != CVM_OK)
			return tpm_garbled(t, c->what, reterr_why);
	} while (worth_waiting(t->rc) && back_off(t, round++));
	if (t->rc != TPM2_RC_SUCCESS)
		return refuse_rc(t, c->what, reterr_why);
	*ret = rsp;
	rsp = (struct tpm_response){ 0 };
	return CVM_OK;
}

void
tpm_flush(struct vtpm *t, TPM2_HANDLE handle)
{
	_cleanup_(tpm_response_clear) struct tpm_response rsp = { 0 };
	_cleanup_(tpm_command_clear) struct tpm_command c = {
		.code = TPM2_CC_FlushContext,
		.what = "TPM2_FlushContext"
	};
	TPM2_RC rc = t->rc;

	if (handle == 0 || t->link == NULL || t->broken)
		return;
	write_be32(&c.params, handle);
	(void)!tpm_send(t, &c, span(NULL, 0), &rsp, NULL);
	/* What the caller is reporting came first. */
	t->rc = rc;
}

void
tpm_object_endp(struct tpm_object *o)
{
	if (o->t != NULL)
		tpm_flush(o->t, o->handle);
	o->handle = 0;
	blob_clear(&o->public);
}

int
tpm_create_primary(struct vtpm *t, TPM2_HANDLE hierarchy, struct span tmpl,
    struct tpm_object *ret, struct why *reterr_why)
{
	_cleanup_(tpm_object_endp) struct tpm_object o = { .t = t };
	_cleanup_(tpm_response_clear) struct tpm_response rsp = { 0 };
	_cleanup_(tpm_command_clear) struct tpm_command c = {
		.code = TPM2_CC_CreatePrimary,
		.what = "TPM2_CreatePrimary",
		.handles = { hierarchy },
		.n_handles = 1,
		.password = true,
		.returns_handle = true
	};
	struct reader r;
	int err;

	write_be16(&c.params, 4); /* TPMS_SENSITIVE_CREATE: both empty */
	write_be32(&c.params, 0);
	write_2b(&c.params, tmpl);
	write_be16(&c.params, 0); /* outsideInfo */
	write_be32(&c.params, 0); /* creationPCR */
	err = tpm_send(t, &c, span(NULL, 0), &rsp, reterr_why);
	if (err != CVM_OK)
		return err;
	o.handle = rsp.handle;
	r = reader_init(rsp.params);
	err = blob_set(&o.public, read_2b(&r));
	if (err != CVM_OK)
		return err;
	if (r.failed ||
	    tpm_name(blob_span(&o.public), o.name, &o.name_len) != CVM_OK)
		return tpm_garbled(t, c.what, reterr_why);
	*ret = o;
	o = (struct tpm_object){ 0 };
	return CVM_OK;
}

int
tpm_read_public(struct vtpm *t, TPM2_HANDLE handle, struct blob *ret,
    struct why *reterr_why)
{
	_cleanup_(tpm_response_clear) struct tpm_response rsp = { 0 };
	_cleanup_(tpm_command_clear) struct tpm_command c = {
		.code = TPM2_CC_ReadPublic,
		.what = "TPM2_ReadPublic",
		.handles = { handle },
		.n_handles = 1
	};
	struct span public;
	struct reader r;
	int err;

	err = tpm_send(t, &c, span(NULL, 0), &rsp, reterr_why);
	if (err != CVM_OK)
		return err;
	r = reader_init(rsp.params);
	public = read_2b(&r);
	(void)read_2b(&r); /* name: recomputed from the public area */
	(void)read_2b(&r); /* qualified name */
	if (reader_end(&r) != CVM_OK)
		return tpm_garbled(t, c.what, reterr_why);
	return blob_set(ret, public);
}

struct nv_public {
	uint32_t attributes;
	uint16_t size;
};

static int
nv_read_public(struct vtpm *t, uint32_t index, struct nv_public *ret,
    struct why *why)
{
	_cleanup_(tpm_response_clear) struct tpm_response rsp = { 0 };
	_cleanup_(tpm_command_clear) struct tpm_command c = {
		.code = TPM2_CC_NV_ReadPublic,
		.what = "TPM2_NV_ReadPublic",
		.handles = { index },
		.n_handles = 1
	};
	struct reader r, p;
	int err;

	err = tpm_send(t, &c, span(NULL, 0), &rsp, why);
	if (err != CVM_OK && tpm_rc_base(t->rc) == TPM2_RC_HANDLE)
		return why_setf(why, CVM_E_NOT_FOUND, t->tcti, "NV index",
		    "defined", "0x%08x is not", index);
	if (err != CVM_OK)
		return err;
	r = reader_init(rsp.params);
	p = reader_init(read_2b(&r));
	(void)read_2b(&r);
	read_skip(&p, 6); /* nvIndex, nameAlg */
	ret->attributes = read_be32(&p);
	(void)read_2b(&p); /* authPolicy */
	ret->size = read_be16(&p);
	if (reader_end(&r) != CVM_OK || reader_end(&p) != CVM_OK)
		return tpm_garbled(t, c.what, why);
	return CVM_OK;
}

/* 512: what TPM_PT_NV_BUFFER_MAX is at least (PC Client Platform TPM). */
#define NV_CHUNK 512

static int
nv_read_chunk(struct vtpm *t, TPM2_HANDLE auth, uint32_t index, uint16_t at,
    uint16_t len, struct blob *out, struct why *why)
{
	_cleanup_(tpm_response_clear) struct tpm_response rsp = { 0 };
	_cleanup_(
	    tpm_command_clear) struct tpm_command c = { .code = TPM2_CC_NV_Read,
		.what = "TPM2_NV_Read",
		.handles = { auth, index },
		.n_handles = 2,
		.password = true };
	struct span data;
	struct reader r;
	int err;

	write_be16(&c.params, len);
	write_be16(&c.params, at);
	err = tpm_send(t, &c, span(NULL, 0), &rsp, why);
	if (err != CVM_OK)
		return err;
	r = reader_init(rsp.params);
	data = read_2b(&r);
	if (reader_end(&r) != CVM_OK || data.len != len)
		return tpm_garbled(t, c.what, why);
	return blob_append(out, data);
}

int
tpm_nv_read(struct vtpm *t, uint32_t index, size_t max, struct blob *ret,
    struct why *reterr_why)
{
	_cleanup_(blob_clear) struct blob out = { 0 };
	struct nv_public nv = { 0 };
	TPM2_HANDLE auth;
	int r;

	r = nv_read_public(t, index, &nv, reterr_why);
	if (r != CVM_OK)
		return r;
	if (nv.size > max)
		return why_setf(reterr_why, CVM_E_UNREACHABLE, t->tcti,
		    "NV index size", "as much as fits the purpose",
		    "0x%08x has %u bytes", index, nv.size);
	auth = nv.attributes & TPMA_NV_AUTHREAD ? index : TPM2_RH_OWNER;
	while (out.len < nv.size) {
		size_t len = nv.size - out.len;

		r = nv_read_chunk(t, auth, index, (uint16_t)out.len,
		    (uint16_t)(len < NV_CHUNK ? len : NV_CHUNK), &out,
		    reterr_why);
		if (r != CVM_OK)
			return r;
	}
	blob_clear(ret);
	*ret = out;
	out = (struct blob){ 0 };
	return CVM_OK;
}

/* As tpm2_nvdefine(1) makes them, for all who may use the TPM. */
#define NV_ATTRIBUTES                                                          \
	(TPMA_NV_OWNERWRITE | TPMA_NV_AUTHWRITE | TPMA_NV_OWNERREAD |          \
	    TPMA_NV_AUTHREAD | TPMA_NV_NO_DA)

static int
nv_define(struct vtpm *t, uint32_t index, uint16_t size, struct why *why)
{
	_cleanup_(tpm_response_clear) struct tpm_response rsp = { 0 };
	_cleanup_(tpm_command_clear) struct tpm_command c = {
		.code = TPM2_CC_NV_DefineSpace,
		.what = "TPM2_NV_DefineSpace",
		.handles = { TPM2_RH_OWNER },
		.n_handles = 1,
		.password = true
	};
	int err;

	write_be16(&c.params, 0);  /* auth */
	write_be16(&c.params, 14); /* TPM2B_NV_PUBLIC */
	write_be32(&c.params, index);
	write_be16(&c.params, TPM2_ALG_SHA256);
	write_be32(&c.params, NV_ATTRIBUTES);
	write_be16(&c.params, 0); /* authPolicy */
	write_be16(&c.params, size);
	err = tpm_send(t, &c, span(NULL, 0), &rsp, why);
	/* Somebody else was faster. */
	if (err != CVM_OK && tpm_rc_base(t->rc) == TPM2_RC_NV_DEFINED)
		return CVM_OK;
	return err;
}

int
tpm_nv_write(struct vtpm *t, uint32_t index, struct span data,
    struct why *reterr_why)
{
	_cleanup_(tpm_response_clear) struct tpm_response rsp = { 0 };
	_cleanup_(tpm_command_clear) struct tpm_command c = {
		.code = TPM2_CC_NV_Write,
		.what = "TPM2_NV_Write",
		.handles = { TPM2_RH_OWNER, index },
		.n_handles = 2,
		.password = true
	};
	struct nv_public nv = { 0 };
	int err;

	if (data.len > NV_CHUNK)
		return CVM_E_INVAL;
	err = nv_read_public(t, index, &nv, reterr_why);
	if (err == CVM_E_NOT_FOUND) {
		err = nv_define(t, index, (uint16_t)data.len, reterr_why);
		if (err == CVM_OK)
			err = nv_read_public(t, index, &nv, reterr_why);
	}
	if (err != CVM_OK)
		return err;
	if (nv.size != data.len)
		return why_setf(reterr_why, CVM_E_UNREACHABLE, t->tcti,
		    "NV index size", "that of what is written",
		    "0x%08x has %u bytes", index, nv.size);
	if ((nv.attributes & TPMA_NV_AUTHWRITE) != 0)
		c.handles[0] = index;
	write_2b(&c.params, data);
	write_be16(&c.params, 0); /* offset */
	return tpm_send(t, &c, span(NULL, 0), &rsp, reterr_why);
}

void
write_selection(struct writer *w, enum hash_alg bank, uint32_t mask)
{
	write_be32(w, 1);
	write_be16(w, tpm_hash_id(bank));
	write_u8(w, 3);
	write_u8(w, (uint8_t)mask);
	write_u8(w, (uint8_t)(mask >> 8));
	write_u8(w, (uint8_t)(mask >> 16));
}

/* The values that one response brought, which may be fewer than asked for. */
static int
take_pcrs(struct vtpm *t, struct span params, enum hash_alg bank,
    uint32_t *missing, struct pcr_values *v, struct why *why)
{
	struct reader r = reader_init(params);
	uint32_t got = 0;

	read_skip(&r, 4); /* pcrUpdateCounter: the quote decides */
	if (pcr_selection_read(&r, NULL, &got) != CVM_OK)
		return tpm_garbled(t, "TPM2_PCR_Read", why);
	if (got == 0)
		return why_set(why, CVM_E_UNREACHABLE, t->tcti, "tpm.bank",
		    "a PCR bank that the TPM has allocated", hash_name(bank));
	if ((got & ~*missing) != 0 ||
	    read_be32(&r) != (uint32_t)__builtin_popcount(got))
		return tpm_garbled(t, "TPM2_PCR_Read", why);
	for (unsigned i = 0; i < POLICY_PCR_MAX; i++) {
		struct span value;

		if (!(got & 1u << i))
			continue;
		value = read_2b(&r);
		if (value.len != hash_len(bank))
			return tpm_garbled(t, "TPM2_PCR_Read", why);
		memcpy(v->value[i], value.data, value.len);
	}
	if (reader_end(&r) != CVM_OK)
		return tpm_garbled(t, "TPM2_PCR_Read", why);
	*missing &= ~got;
	return CVM_OK;
}

int
tpm_read_pcrs(struct vtpm *t, enum hash_alg bank, uint32_t mask,
    struct pcr_values *ret, struct why *reterr_why)
{
	struct pcr_values v = { .bank = bank, .mask = mask };
	uint32_t missing = mask;

	while (missing != 0) {
		_cleanup_(tpm_response_clear) struct tpm_response rsp = { 0 };
		_cleanup_(tpm_command_clear) struct tpm_command c = {
			.code = TPM2_CC_PCR_Read,
			.what = "TPM2_PCR_Read"
		};
		int r;

		write_selection(&c.params, bank, missing);
		r = tpm_send(t, &c, span(NULL, 0), &rsp, reterr_why);
		if (r != CVM_OK)
			return r;
		r = take_pcrs(t, rsp.params, bank, &missing, &v, reterr_why);
		if (r != CVM_OK)
			return r;
	}
	*ret = v;
	return CVM_OK;
}
