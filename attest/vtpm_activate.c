/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <openssl/crypto.h>
#include <string.h>

#include "attest/credential.h"
#include "attest/vtpm_priv.h"

/*
 * PolicySecret(TPM_RH_ENDORSEMENT): the policy of endorsement keys (TCG EK
 * Credential Profile 2.5, B.3.3).
 */
static const uint8_t ek_policy[SHA256_LEN] = { 0x83, 0x71, 0x97, 0x67, 0x44,
	0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24, 0xfd,
	0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33,
	0x14, 0x69, 0xaa };

struct activation {
	struct span ek;	  /* TPMT_PUBLIC */
	struct span name; /* of the AK */
	struct tpm_public public;
	struct blob id, secret; /* of the credential */
	uint8_t credential[CREDENTIAL_LEN];
};

static int
refuse(const struct vtpm *t, const char *expected, const char *got,
    struct why *why)
{
	return why_set(why, CVM_E_DENIED, t->tcti, "endorsement key", expected,
	    got);
}

/* The template is the key without its modulus, which the TPM makes again from
 * its endorsement seed: another TPM makes another. */
static int
load_ek(struct vtpm *t, const struct activation *a, struct tpm_object *ret,
    struct why *why)
{
	_cleanup_(blob_clear) struct blob tmpl = { 0 };
	size_t n = a->public.modulus.len;
	int r = blob_set(&tmpl, a->ek);

	if (r != CVM_OK)
		return r;
	memset(tmpl.data + tmpl.len - n, 0, n);
	r = tpm_create_primary(t, TPM2_RH_ENDORSEMENT, blob_span(&tmpl), ret,
	    why);
	if (r == CVM_OK && !span_equal(blob_span(&ret->public), a->ek))
		r = refuse(t, "the one of the manifest", "another TPM's", why);
	return r;
}

static int
start_policy(struct vtpm *t, struct tpm_object *ret, struct why *why)
{
	_cleanup_(tpm_response_clear) struct tpm_response rsp = { 0 };
	_cleanup_(tpm_command_clear) struct tpm_command c = {
		.code = TPM2_CC_StartAuthSession,
		.what = "TPM2_StartAuthSession",
		.handles = { TPM2_RH_NULL, TPM2_RH_NULL },
		.n_handles = 2,
		.returns_handle = true
	};
	uint8_t nonce[SHA256_LEN];
	int r = random_bytes(nonce, sizeof(nonce));

	write_2b(&c.params, span(nonce, sizeof(nonce)));
	write_be16(&c.params, 0); /* no salt */
	write_u8(&c.params, TPM2_SE_POLICY);
	write_be16(&c.params, TPM2_ALG_NULL);
	write_be16(&c.params, TPM2_ALG_SHA256);
	if (r == CVM_OK)
		r = tpm_send(t, &c, span(NULL, 0), &rsp, why);
	if (r != CVM_OK)
		return r;
	*ret = (struct tpm_object){ .t = t, .handle = rsp.handle };
	return CVM_OK;
}

static int
policy_secret(struct vtpm *t, TPM2_HANDLE session, struct why *why)
{
	_cleanup_(tpm_response_clear) struct tpm_response rsp = { 0 };
	_cleanup_(tpm_command_clear) struct tpm_command c = {
		.code = TPM2_CC_PolicySecret,
		.what = "TPM2_PolicySecret",
		.handles = { TPM2_RH_ENDORSEMENT, session },
		.n_handles = 2,
		.password = true
	};

	write_be16(&c.params, 0); /* nonceTPM */
	write_be16(&c.params, 0); /* cpHashA */
	write_be16(&c.params, 0); /* policyRef */
	write_be32(&c.params, 0); /* expiration */
	return tpm_send(t, &c, span(NULL, 0), &rsp, why);
}

/* TPMS_AUTH_COMMAND without nonce and HMAC: the empty password, or a policy. */
static void
write_auth(struct writer *w, TPM2_HANDLE session)
{
	write_be32(w, session);
	write_be16(w, 0);
	write_u8(w, TPMA_SESSION_CONTINUESESSION);
	write_be16(w, 0);
}

static int
activate(struct vtpm *t, const struct activation *a, TPM2_HANDLE ek,
    TPM2_HANDLE session, struct why *why)
{
	_cleanup_(tpm_response_clear) struct tpm_response rsp = { 0 };
	_cleanup_(writer_clear) struct writer auth = { 0 };
	_cleanup_(tpm_command_clear) struct tpm_command c = {
		.code = TPM2_CC_ActivateCredential,
		.what = "TPM2_ActivateCredential",
		.handles = { t->ak, ek },
		.n_handles = 2
	};
	struct span got;
	struct reader in;
	int r;

	write_auth(&auth, TPM2_RH_PW);
	write_auth(&auth, session);
	write_2b(&c.params, blob_span(&a->id));
	write_2b(&c.params, blob_span(&a->secret));
	if (auth.failed)
		return CVM_E_NOMEM;
	r = tpm_send(t, &c, blob_span(&auth.out), &rsp, why);
	if (r != CVM_OK && t->rc != TPM2_RC_SUCCESS) {
		/* The TPM's own no: it is for another key, or another TPM. */
		if (why != NULL)
			why->err = CVM_E_DENIED;
		return CVM_E_DENIED;
	}
	if (r != CVM_OK)
		return r;
	in = reader_init(rsp.params);
	got = read_2b(&in);
	if (reader_end(&in) != CVM_OK)
		return tpm_garbled(t, c.what, why);
	if (got.len != CREDENTIAL_LEN ||
	    CRYPTO_memcmp(got.data, a->credential, CREDENTIAL_LEN) != 0)
		return refuse(t, "the credential that was sent", "another one",
		    why);
	return CVM_OK;
}

static int
activate_job(struct vtpm *t, void *arg, struct why *why)
{
	_cleanup_(tpm_object_endp) struct tpm_object ek = { 0 },
						     session = { 0 };
	struct activation *a = arg;
	int r = tpm_ak_load(t, why);

	if (r == CVM_OK)
		r = load_ek(t, a, &ek, why);
	if (r == CVM_OK)
		r = credential_make(&a->public, a->name, a->credential, &a->id,
		    &a->secret);
	if (r == CVM_OK)
		r = start_policy(t, &session, why);
	if (r == CVM_OK)
		r = policy_secret(t, session.handle, why);
	return r == CVM_OK ? activate(t, a, ek.handle, session.handle, why) : r;
}

int
vtpm_activate(struct vtpm *t, struct span ek, struct span name,
    struct why *reterr_why)
{
	struct activation a = { .ek = ek, .name = name };
	int r = tpm_public_parse(ek, &a.public, reterr_why);

	if (r != CVM_OK || !endorsement_key_fits(&a.public) ||
	    !span_equal(a.public.auth_policy,
		span(ek_policy, sizeof(ek_policy))))
		return refuse(t,
		    "an RSA key after the TCG's template, for decryption",
		    "another kind of key", reterr_why);
	r = random_bytes(a.credential, sizeof(a.credential));
	if (r == CVM_OK)
		r = vtpm_run(t, activate_job, &a, reterr_why);
	blob_clear(&a.id);
	blob_clear(&a.secret);
	secret_wipe(a.credential, sizeof(a.credential));
	return r;
}
