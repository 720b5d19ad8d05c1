/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>

#include "base/reader.h"
#include "token/seal_priv.h"

#define PARAMS_VERSION 1
#define PARAM_AUTH 0x01 /* a PIN guards the seal */
#define SECRET_LEN 32

/* Banks as the TPM numbers them (TCG Algorithm Registry, table 3). */
static const struct {
	uint16_t id;
	enum hash_alg bank;
} banks[] = {
	{ 0x0004, HASH_SHA1 },
	{ 0x000b, HASH_SHA256 },
	{ 0x000c, HASH_SHA384 },
	{ 0x000d, HASH_SHA512 },
};

static uint16_t
bank_id(enum hash_alg bank)
{
	for (size_t i = 0; i < NELEMS(banks); i++)
		if (banks[i].bank == bank)
			return banks[i].id;
	return 0;
}

static int
params_encode(const struct seal_tpm *p, struct blob *ret)
{
	_cleanup_(writer_clear) struct writer w = { 0 };

	write_u8(&w, PARAMS_VERSION);
	write_u8(&w, p->auth ? PARAM_AUTH : 0);
	write_be16(&w, bank_id(p->bank));
	write_be32(&w, p->set.mask);
	write_bytes(&w, span(p->policy_digest, sizeof(p->policy_digest)));
	for (unsigned i = 0; i < POLICY_PCR_MAX; i++)
		if ((p->set.mask >> i & 1) != 0)
			write_bytes(&w,
			    span(p->set.value[i], hash_len(p->bank)));
	return writer_end(&w, ret);
}

static int
params_decode(struct span s, struct seal_tpm *ret)
{
	struct reader r = reader_init(s);
	uint8_t version = read_u8(&r), flags = read_u8(&r);
	uint16_t id = read_be16(&r);
	bool known = false;

	ret->auth = flags == PARAM_AUTH;
	ret->set.mask = read_be32(&r);
	read_bytes(&r, ret->policy_digest, sizeof(ret->policy_digest));
	for (size_t i = 0; i < NELEMS(banks); i++) {
		if (banks[i].id != id)
			continue;
		ret->bank = banks[i].bank;
		known = true;
	}
	if (version != PARAMS_VERSION || flags > PARAM_AUTH || !known ||
	    ret->set.mask == 0 || ret->set.mask >> POLICY_PCR_MAX != 0)
		return CVM_E_PARSE;
	for (unsigned i = 0; i < POLICY_PCR_MAX; i++)
		if ((ret->set.mask >> i & 1) != 0)
			read_bytes(&r, ret->set.value[i], hash_len(ret->bank));
	return reader_end(&r);
}

int
seal_tpm_params(const struct store_seal *s, struct seal_tpm *ret,
    struct why *reterr_why)
{
	struct seal_tpm p = { 0 };
	char where[SEAL_WHERE_MAX];

	if (s->kind != SEAL_TPM ||
	    params_decode(blob_span(&s->params), &p) != CVM_OK ||
	    strlen(s->label) >= sizeof(p.set.label))
		return why_setf(reterr_why, CVM_E_CORRUPT, seal_where(s, where),
		    "params", "parameters of a tpm seal", "kind %s, %zu bytes",
		    seal_kind_name(s->kind), s->params.len);
	memcpy(p.set.label, s->label, strlen(s->label) + 1);
	*ret = p;
	return CVM_OK;
}

unsigned
seal_tpm_differs(const struct seal_tpm *p, const struct pcr_values *v,
    unsigned *ret_first)
{
	unsigned n = 0;

	for (unsigned i = 0; i < POLICY_PCR_MAX; i++) {
		if ((p->set.mask >> i & 1) == 0)
			continue;
		if (v->bank == p->bank && (v->mask >> i & 1) != 0 &&
		    memcmp(p->set.value[i], v->value[i], hash_len(p->bank)) ==
			0)
			continue;
		if (n++ == 0)
			*ret_first = i;
	}
	return n;
}

int
seal_tpm_refuse(const struct store_seal *s, const struct seal_tpm *p,
    const struct pcr_values *v, struct why *reterr_why)
{
	char where[SEAL_WHERE_MAX], field[32];
	char expected[2 * HASH_LEN_MAX + 1], got[2 * HASH_LEN_MAX + 1];
	unsigned first = 0, n = seal_tpm_differs(p, v, &first);

	if (n == 0)
		return why_set(reterr_why, CVM_E_SEALED, seal_where(s, where),
		    "TPM", "the TPM that made the seal",
		    "one with the same PCRs that cannot open it");
	(void)snprintf(field, sizeof(field), "PCR %u", first);
	(void)hex_encode(span(p->set.value[first], hash_len(p->bank)), expected,
	    sizeof(expected));
	(void)hex_encode(span(v->value[first], hash_len(p->bank)), got,
	    sizeof(got));
	(void)why_set(reterr_why, CVM_E_SEALED, seal_where(s, where), field,
	    expected, got);
	why_hint(reterr_why,
	    "%u of the seal's PCRs differ; the system booted "
	    "is not the one sealed for",
	    n);
	return CVM_E_SEALED;
}

/* TPM secret, then auth value: with a PIN, the TPM's word alone is not
 * enough to open the box. */
static struct secret *
join(const struct secret *secret, const struct secret *auth)
{
	size_t n = secret_len(secret), m = auth != NULL ? secret_len(auth) : 0;
	struct secret *s = secret_new(n + m);

	if (s == NULL)
		return NULL;
	memcpy(secret_data(s), secret_span(secret).data, n);
	if (m > 0)
		memcpy(secret_data(s) + n, secret_span(auth).data, m);
	return s;
}

int
seal_make_tpm(const struct seal_context *c, enum seal_purpose purpose,
    enum hash_alg bank, const struct pcr_set *set, const struct secret *key,
    const struct secret *auth, struct store_seal *ret, struct why *reterr_why)
{
	_cleanup_(secret_freep) struct secret *secret = secret_new(SECRET_LEN);
	_cleanup_(secret_freep) struct secret *joined = NULL;
	_cleanup_(store_seal_clear) struct store_seal row = { 0 };
	_cleanup_(blob_clear) struct blob params = { 0 }, sealed = { 0 };
	struct seal_tpm p = { .bank = bank, .auth = auth != NULL, .set = *set };
	int err;

	if (secret == NULL)
		return CVM_E_NOMEM;
	memcpy(p.policy_digest, c->policy_digest, sizeof(p.policy_digest));
	err = random_bytes(secret_data(secret), SECRET_LEN);
	if (err == CVM_OK)
		err = params_encode(&p, &params);
	if (err == CVM_OK)
		err = seal_row(purpose, SEAL_TPM, set->label, &params, &row);
	if (err == CVM_OK)
		err = vtpm_seal(c->vtpm, bank, set, secret, auth, &sealed,
		    reterr_why);
	if (err != CVM_OK)
		return err;
	joined = join(secret, auth);
	if (joined == NULL)
		return CVM_E_NOMEM;
	err = seal_close(c, c->policy_digest, joined, blob_span(&sealed), key,
	    &row);
	if (err != CVM_OK)
		return err;
	*ret = row;
	row = (struct store_seal){ 0 };
	return CVM_OK;
}

static int
refuse_policy(const struct store_seal *s, const struct seal_tpm *p,
    const struct seal_context *c, struct why *reterr_why)
{
	char where[SEAL_WHERE_MAX];
	char expected[2 * POLICY_DIGEST_LEN + 1];
	char got[2 * POLICY_DIGEST_LEN + 1];

	(void)hex_encode(span(p->policy_digest, POLICY_DIGEST_LEN), expected,
	    sizeof(expected));
	(void)hex_encode(span(c->policy_digest, POLICY_DIGEST_LEN), got,
	    sizeof(got));
	(void)why_set(reterr_why, CVM_E_SEALED, seal_where(s, where),
	    "policy digest", expected, got);
	why_hint(reterr_why,
	    "the policy file changed since the seals were "
	    "made: run cvm-token reseal");
	return CVM_E_SEALED;
}

/* Says which PCR differs rather than that something does. */
static int
explain(const struct seal_context *c, const struct store_seal *s,
    const struct seal_tpm *p, struct why *reterr_why)
{
	struct pcr_values v = { 0 };
	unsigned first;

	if (vtpm_read_pcrs(c->vtpm, p->bank, p->set.mask, &v,
		/* reterr_why= */ NULL) != CVM_OK ||
	    seal_tpm_differs(p, &v, &first) == 0)
		return CVM_E_SEALED; /* the TPM's own words stand */
	return seal_tpm_refuse(s, p, &v, reterr_why);
}

int
seal_open_tpm(const struct seal_context *c, const struct store_seal *s,
    const struct secret *auth, struct secret **ret_key, struct why *reterr_why)
{
	_cleanup_(secret_freep) struct secret *secret = NULL, *joined = NULL;
	struct span inner = { 0 }, box = { 0 };
	struct seal_tpm p = { 0 };
	char where[SEAL_WHERE_MAX];
	int err;

	err = seal_tpm_params(s, &p, reterr_why);
	if (err == CVM_OK)
		err = seal_parts(s, &inner, &box, reterr_why);
	if (err != CVM_OK)
		return err;
	if (p.auth != (auth != NULL))
		return why_set(reterr_why, CVM_E_INVAL, seal_where(s, where),
		    "auth value", p.auth ? "a PIN" : "none",
		    auth != NULL ? "a PIN" : "none");
	if (memcmp(p.policy_digest, c->policy_digest, POLICY_DIGEST_LEN) != 0)
		return refuse_policy(s, &p, c, reterr_why);
	err = vtpm_unseal(c->vtpm, p.bank, p.set.mask, inner, auth, &secret,
	    reterr_why);
	if (err == CVM_E_SEALED)
		return explain(c, s, &p, reterr_why);
	if (err != CVM_OK)
		return err;
	joined = join(secret, auth);
	if (joined == NULL)
		return CVM_E_NOMEM;
	return seal_unbox(c, c->policy_digest, joined, s, ret_key, reterr_why);
}
