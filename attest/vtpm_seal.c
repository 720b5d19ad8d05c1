/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "attest/quote.h"
#include "attest/vtpm_priv.h"

/*
 * The storage root key: TCG EK credential profile template H-2 with the
 * attributes of a storage key (TCG TPM v2.0 Provisioning Guidance, section
 * 7.5.1): fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth, noDA,
 * restricted, decrypt. It is made anew each time, which gives the same key
 * for as long as the owner seed lives: no persistent handle has to be
 * provisioned, and no other key can have been left at that handle.
 */
static const uint8_t srk_template[] = {
	0x00, 0x23,			    /* TPM_ALG_ECC */
	0x00, 0x0b,			    /* nameAlg: SHA-256 */
	0x00, 0x03, 0x04, 0x72,		    /* objectAttributes */
	0x00, 0x00,			    /* authPolicy */
	0x00, 0x06, 0x00, 0x80, 0x00, 0x43, /* AES-128-CFB */
	0x00, 0x10,			    /* scheme: NULL */
	0x00, 0x03,			    /* curve: NIST P-256 */
	0x00, 0x10,			    /* kdf: NULL */
	0x00, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* unique.x */
	0x00, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* unique.y */
};

#define SEAL_ATTRIBUTES                                                        \
	(TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_NODA)
#define SEAL_MIN 32
#define SEAL_MAX 64
#define SEAL_AUTH_MAX SHA256_LEN /* digest of the nameAlg */
#define SEAL_BLOB_MAX 2048

static int
make_srk(struct vtpm *t, struct tpm_object *ret, struct why *why)
{
	int r;

	r = tpm_create_primary(t, TPM2_RH_OWNER,
	    span(srk_template, sizeof(srk_template)), ret, why);
	if (r != CVM_OK &&
	    (tpm_rc_base(t->rc) == TPM2_RC_BAD_AUTH ||
		tpm_rc_base(t->rc) == TPM2_RC_AUTH_FAIL))
		why_hint(why,
		    "the owner hierarchy has a password: clear it "
		    "with tpm2_changeauth -c owner");
	return r;
}

/*
 * The policy digest that a session must reach (Part 3, PolicyPCR and
 * PolicyAuthValue): from reference values, which need not be current yet.
 */
static int
policy_digest(enum hash_alg bank, const struct pcr_set *set, bool with_auth,
    uint8_t out[static SHA256_LEN])
{
	_cleanup_(writer_clear) struct writer w = { 0 };
	struct pcr_values v = { .bank = bank, .mask = set->mask };
	uint8_t digest[SHA256_LEN], zero[SHA256_LEN] = { 0 };
	int r;

	memcpy(v.value, set->value, sizeof(v.value));
	r = pcr_digest(&v, set->mask, HASH_SHA256, digest);
	if (r != CVM_OK)
		return r;
	write_bytes(&w, span(zero, sizeof(zero)));
	write_be32(&w, TPM2_CC_PolicyPCR);
	write_selection(&w, bank, set->mask);
	write_bytes(&w, span(digest, sizeof(digest)));
	if (w.failed)
		return CVM_E_NOMEM;
	r = hash(HASH_SHA256, blob_span(&w.out), out);
	if (r != CVM_OK || !with_auth)
		return r;
	writer_clear(&w);
	write_bytes(&w, span(out, SHA256_LEN));
	write_be32(&w, TPM2_CC_PolicyAuthValue);
	return w.failed ? CVM_E_NOMEM :
			  hash(HASH_SHA256, blob_span(&w.out), out);
}

/* The TPM strips trailing zeros of auth values; so do we, on both ways. */
static int
strip_auth(const struct secret *auth, struct secret **ret)
{
	size_t len;

	*ret = NULL;
	if (auth == NULL)
		return CVM_OK;
	len = secret_len(auth);
	if (len == 0 || len > SEAL_AUTH_MAX)
		return CVM_E_INVAL;
	*ret = secret_copy(secret_span(auth));
	if (*ret == NULL)
		return CVM_E_NOMEM;
	while (len > 0 && secret_data(*ret)[len - 1] == 0)
		len--;
	secret_shrink(*ret, len);
	return CVM_OK;
}

/* TPMS_SENSITIVE_CREATE, built where secrets live. */
static struct secret *
sensitive_create(const struct secret *auth, const struct secret *data)
{
	size_t a = auth != NULL ? secret_len(auth) : 0, d = secret_len(data);
	struct secret *s = secret_new(4 + a + d);
	uint8_t *p;

	if (s == NULL)
		return NULL;
	p = secret_data(s);
	p[1] = (uint8_t)a;
	if (a > 0)
		memcpy(p + 2, secret_span(auth).data, a);
	p[2 + a + 1] = (uint8_t)d;
	memcpy(p + 4 + a, secret_span(data).data, d);
	return s;
}

/* TPMT_PUBLIC of the sealed object. */
static void
write_sealed_public(struct writer *w, const uint8_t policy[static SHA256_LEN])
{
	write_be16(w, TPM2_ALG_KEYEDHASH);
	write_be16(w, TPM2_ALG_SHA256);
	write_be32(w, SEAL_ATTRIBUTES);
	write_2b(w, span(policy, SHA256_LEN));
	write_be16(w, TPM2_ALG_NULL);
	write_be16(w, 0); /* unique */
}

struct seal_job {
	const uint8_t *policy;
	const struct secret *sensitive;
	struct blob ret;
};

/* TPM2_Create answers outPrivate, outPublic, creation data, hash, ticket. */
static int
take_sealed(struct vtpm *t, struct span params, struct blob *ret,
    struct why *why)
{
	_cleanup_(writer_clear) struct writer w = { 0 };
	struct reader r = reader_init(params);
	struct span private = read_2b(&r), public = read_2b(&r);

	if (r.failed)
		return tpm_garbled(t, "TPM2_Create", why);
	write_2b(&w, public);
	write_2b(&w, private);
	return writer_end(&w, ret);
}

static int
seal_job(struct vtpm *t, void *arg, struct why *why)
{
	_cleanup_(tpm_object_endp) struct tpm_object srk = { 0 };
	_cleanup_(tpm_session_endp) struct tpm_session s = { 0 };
	_cleanup_(tpm_response_clear) struct tpm_response rsp = { 0 };
	_cleanup_(writer_clear) struct writer public = { 0 };
	_cleanup_(
	    tpm_command_clear) struct tpm_command c = { .code = TPM2_CC_Create,
		.what = "TPM2_Create",
		.n_handles = 1 };
	struct seal_job *j = arg;
	int r;

	r = make_srk(t, &srk, why);
	if (r == CVM_OK)
		r = tpm_session_start(t, &srk, TPM2_SE_HMAC, &s, why);
	if (r != CVM_OK)
		return r;
	c.handles[0] = srk.handle;
	write_sealed_public(&public, j->policy);
	write_2b(&c.params, blob_span(&public.out));
	write_be16(&c.params, 0); /* outsideInfo */
	write_be32(&c.params, 0); /* creationPCR */
	c.params.failed |= public.failed;
	r = tpm_session_send(&s, &c, &srk, /* auth= */ NULL, j->sensitive,
	    /* ret_secret= */ NULL, &rsp, why);
	return r != CVM_OK ? r : take_sealed(t, rsp.params, &j->ret, why);
}

int
vtpm_seal(struct vtpm *t, enum hash_alg bank, const struct pcr_set *set,
    const struct secret *data, const struct secret *auth, struct blob *ret_blob,
    struct why *reterr_why)
{
	_cleanup_(secret_freep) struct secret *stripped = NULL, *in = NULL;
	uint8_t policy[SHA256_LEN];
	struct seal_job j = { .policy = policy };
	int r;

	if (set->mask == 0 || set->mask >> POLICY_PCR_MAX != 0 ||
	    secret_len(data) < SEAL_MIN || secret_len(data) > SEAL_MAX)
		return CVM_E_INVAL;
	r = strip_auth(auth, &stripped);
	if (r == CVM_OK)
		r = policy_digest(bank, set, auth != NULL, policy);
	if (r != CVM_OK)
		return r;
	j.sensitive = in = sensitive_create(stripped, data);
	if (in == NULL)
		return CVM_E_NOMEM;
	r = vtpm_run(t, seal_job, &j, reterr_why);
	if (r != CVM_OK)
		return r;
	blob_clear(ret_blob);
	*ret_blob = j.ret;
	return CVM_OK;
}

struct unseal_job {
	enum hash_alg bank;
	uint32_t mask;
	struct span public, private;
	const struct secret *auth; /* stripped */
	bool with_auth;
	struct secret *ret;
};

static int
refuse_blob(struct vtpm *t, const char *expected, const char *got,
    struct why *why)
{
	return why_set(why, CVM_E_SEALED, t->tcti, "sealed object", expected,
	    got);
}

/* What the answers to TPM2_Load and TPM2_Unseal say about the seal. */
static const struct {
	TPM2_RC rc;
	int err;
	const char *field, *expected, *got, *hint;
} seal_answers[] = {
	{ TPM2_RC_POLICY_FAIL, CVM_E_SEALED, "PCR values",
	    "those that it was sealed for",
	    "others, or another kind of policy (TPM_RC_POLICY_FAIL)",
	    "this boot differs from every sealed PCR set: boot what was "
	    "sealed for, or reseal" },
	{ TPM2_RC_BAD_AUTH, CVM_E_PIN_INCORRECT, "auth value", "the one sealed",
	    "another (TPM_RC_BAD_AUTH)", "" },
	{ TPM2_RC_AUTH_FAIL, CVM_E_PIN_INCORRECT, "auth value",
	    "the one sealed", "another (TPM_RC_AUTH_FAIL)", "" },
	{ TPM2_RC_INTEGRITY, CVM_E_SEALED, "sealed object", "made by this TPM",
	    "another TPM's, or changed (TPM_RC_INTEGRITY)",
	    "was the TPM cleared, or the store moved to another VM?" },
};

/* Gives r its meaning for a seal; others stay as they are. */
static int
explain(const struct vtpm *t, int r, struct why *why)
{
	if (r != CVM_E_UNREACHABLE || t->broken || t->rc == TPM2_RC_SUCCESS)
		return r;
	for (size_t i = 0; i < NELEMS(seal_answers); i++) {
		if (tpm_rc_base(t->rc) != tpm_rc_base(seal_answers[i].rc))
			continue;
		r = why_set(why, seal_answers[i].err, t->tcti,
		    seal_answers[i].field, seal_answers[i].expected,
		    seal_answers[i].got);
		why_hint(why, "%s", seal_answers[i].hint);
		return r;
	}
	return r;
}

/* A format-one answer to TPM2_Load is about the blob that it was given. */
static int
explain_load(const struct vtpm *t, int r, struct why *why)
{
	if (r != CVM_E_UNREACHABLE || t->broken || !(t->rc & TPM2_RC_FMT1))
		return r;
	return why_setf(why, CVM_E_SEALED, t->tcti, "sealed object",
	    "one that this TPM made", "changed or cut: TPM_RC 0x%x", t->rc);
}

static int
load_sealed(struct vtpm *t, const struct tpm_object *srk,
    const struct unseal_job *j, struct tpm_object *ret, struct why *why)
{
	_cleanup_(tpm_object_endp) struct tpm_object o = { .t = t };
	_cleanup_(tpm_response_clear) struct tpm_response rsp = { 0 };
	_cleanup_(
	    tpm_command_clear) struct tpm_command c = { .code = TPM2_CC_Load,
		.what = "TPM2_Load",
		.handles = { srk->handle },
		.n_handles = 1,
		.password = true,
		.returns_handle = true };
	int r;

	if (tpm_name(j->public, o.name, &o.name_len) != CVM_OK)
		return refuse_blob(t, "a public area that this TPM made",
		    "an unknown name algorithm", why);
	write_2b(&c.params, j->private);
	write_2b(&c.params, j->public);
	r = tpm_send(t, &c, span(NULL, 0), &rsp, why);
	if (r != CVM_OK)
		return explain_load(t, explain(t, r, why), why);
	o.handle = rsp.handle;
	*ret = o;
	o = (struct tpm_object){ 0 };
	return CVM_OK;
}

static int
policy_pcr(struct tpm_session *s, const struct unseal_job *j, struct why *why)
{
	_cleanup_(tpm_response_clear) struct tpm_response rsp = { 0 };
	_cleanup_(tpm_command_clear) struct tpm_command c = {
		.code = TPM2_CC_PolicyPCR,
		.what = "TPM2_PolicyPCR",
		.handles = { s->handle },
		.n_handles = 1
	};

	write_be16(&c.params, 0); /* pcrDigest: the current values */
	write_selection(&c.params, j->bank, j->mask);
	return tpm_send(s->t, &c, span(NULL, 0), &rsp, why);
}

static int
policy_auth_value(struct tpm_session *s, struct why *why)
{
	_cleanup_(tpm_response_clear) struct tpm_response rsp = { 0 };
	_cleanup_(tpm_command_clear) struct tpm_command c = {
		.code = TPM2_CC_PolicyAuthValue,
		.what = "TPM2_PolicyAuthValue",
		.handles = { s->handle },
		.n_handles = 1
	};

	return tpm_send(s->t, &c, span(NULL, 0), &rsp, why);
}

static int
unseal_once(struct vtpm *t, const struct tpm_object *srk,
    const struct tpm_object *sealed, struct unseal_job *j, struct why *why)
{
	_cleanup_(tpm_session_endp) struct tpm_session s = { 0 };
	_cleanup_(tpm_response_clear) struct tpm_response rsp = { 0 };
	_cleanup_(
	    tpm_command_clear) struct tpm_command c = { .code = TPM2_CC_Unseal,
		.what = "TPM2_Unseal",
		.handles = { sealed->handle },
		.n_handles = 1 };
	int r;

	r = tpm_session_start(t, srk, TPM2_SE_POLICY, &s, why);
	if (r == CVM_OK)
		r = policy_pcr(&s, j, why);
	if (r == CVM_OK && j->with_auth)
		r = policy_auth_value(&s, why);
	if (r != CVM_OK)
		return r;
	return tpm_session_send(&s, &c, sealed, j->auth,
	    /* secret_in= */ NULL, &j->ret, &rsp, why);
}

static int
unseal_job(struct vtpm *t, void *arg, struct why *why)
{
	_cleanup_(tpm_object_endp) struct tpm_object srk = { 0 };
	_cleanup_(tpm_object_endp) struct tpm_object sealed = { 0 };
	struct unseal_job *j = arg;
	int r;

	r = make_srk(t, &srk, why);
	if (r == CVM_OK)
		r = load_sealed(t, &srk, j, &sealed, why);
	if (r != CVM_OK)
		return r;
	/* Any PCR that moves meanwhile, ours or not, ends a policy session. */
	for (int i = 0; i < TPM_ATTEMPTS; i++) {
		r = unseal_once(t, &srk, &sealed, j, why);
		if (r == CVM_OK || tpm_rc_base(t->rc) != TPM2_RC_PCR_CHANGED)
			break;
	}
	return explain(t, r, why);
}

int
vtpm_unseal(struct vtpm *t, enum hash_alg bank, uint32_t mask,
    struct span sealed, const struct secret *auth, struct secret **ret,
    struct why *reterr_why)
{
	_cleanup_(secret_freep) struct secret *stripped = NULL;
	struct unseal_job j = { .bank = bank,
		.mask = mask,
		.with_auth = auth != NULL };
	struct reader r = reader_init(sealed);
	int err;

	if (mask == 0 || mask >> POLICY_PCR_MAX != 0)
		return CVM_E_INVAL;
	j.public = read_2b(&r);
	j.private = read_2b(&r);
	if (sealed.len > SEAL_BLOB_MAX || reader_end(&r) != CVM_OK)
		return refuse_blob(t, "TPM2B_PUBLIC and TPM2B_PRIVATE",
		    "malformed bytes", reterr_why);
	err = strip_auth(auth, &stripped);
	if (err != CVM_OK)
		return err;
	j.auth = stripped;
	err = vtpm_run(t, unseal_job, &j, reterr_why);
	if (err == CVM_OK)
		*ret = j.ret;
	return err;
}
