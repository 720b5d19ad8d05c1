/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "attest/chain.h"
#include "attest/quote.h"
#include "attest/vtpm_priv.h"

/* Where each kind of attestation key lives. 0: there is no such thing. */
static const struct {
	const char *name;
	uint32_t template_nv;
	uint32_t persistent;
	uint32_t cert_nv;
} kinds[] = {
	[AK_GCE_ECC] = { "gce-ecc", 0x01c10003, 0, 0x01c10002 },
	[AK_GCE_RSA] = { "gce-rsa", 0x01c10001, 0, 0x01c10000 },
	[AK_AZURE] = { "azure", 0, 0x81000003, 0x01c101d0 },
	[AK_HANDLE] = { "handle", 0, 0, 0 },
	[AK_OWN] = { "own", 0, 0, 0 },
};

/*
 * Our own key: fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth,
 * restricted, sign; ECDSA with SHA-256 on P-256. The same on every start,
 * since it is derived from the endorsement seed and these bytes.
 */
static const uint8_t own_template[] = {
	0x00, 0x23,		/* TPM_ALG_ECC */
	0x00, 0x0b,		/* nameAlg: SHA-256 */
	0x00, 0x05, 0x00, 0x72, /* objectAttributes */
	0x00, 0x00,		/* authPolicy */
	0x00, 0x10,		/* symmetric: NULL */
	0x00, 0x18, 0x00, 0x0b, /* scheme: ECDSA, SHA-256 */
	0x00, 0x03,		/* curve: NIST P-256 */
	0x00, 0x10,		/* kdf: NULL */
	0x00, 0x00, 0x00, 0x00, /* unique */
};

#define TEMPLATE_MAX 1024

void
tpm_ak_forget(struct vtpm *t)
{
	t->ak = 0;
	t->ak_transient = false;
	t->pcrs.mask = 0;
}

/* TPMT_PUBLIC at the start of an NV index that may be longer. */
static int
read_template(struct vtpm *t, uint32_t index, struct blob *ret, struct why *why)
{
	int r;

	r = tpm_nv_read(t, index, TEMPLATE_MAX, ret, why);
	if (r == CVM_E_NOT_FOUND) {
		r = why_setf(why, CVM_E_UNREACHABLE, t->tcti, "tpm.ak",
		    "an attestation key template in the TPM",
		    "NV index 0x%08x is not defined", index);
		why_hint(why,
		    "is this a Google Compute Engine VM with vTPM? "
		    "Otherwise set tpm.ak");
	}
	return r;
}

static int
load_primary(struct vtpm *t, struct span tmpl, struct tpm_object *o,
    struct why *why)
{
	return tpm_create_primary(t, TPM2_RH_ENDORSEMENT, tmpl, o, why);
}

static int
load_persistent(struct vtpm *t, uint32_t handle, struct tpm_object *o,
    struct why *why)
{
	int r;

	r = tpm_read_public(t, handle, &o->public, why);
	if (r != CVM_OK) {
		why_hint(why, "is 0x%08x the attestation key? See tpm.ak",
		    handle);
		return r;
	}
	o->handle = handle;
	if (tpm_name(blob_span(&o->public), o->name, &o->name_len) != CVM_OK)
		return tpm_garbled(t, "TPM2_ReadPublic", why);
	return CVM_OK;
}

/* The AK of t's kind; o->t is set when it is ours to flush. */
static int
load_kind(struct vtpm *t, struct tpm_object *o, struct why *why)
{
	_cleanup_(blob_clear) struct blob tmpl = { 0 };
	uint32_t handle = kinds[t->ak_kind].persistent;
	int r;

	if (t->ak_kind == AK_OWN)
		return load_primary(t, span(own_template, sizeof(own_template)),
		    o, why);
	if (t->ak_kind == AK_HANDLE)
		handle = t->ak_persistent;
	if (handle != 0)
		return load_persistent(t, handle, o, why);
	r = read_template(t, kinds[t->ak_kind].template_nv, &tmpl, why);
	return r != CVM_OK ? r : load_primary(t, blob_span(&tmpl), o, why);
}

/* Length of the DER SEQUENCE that s starts with. */
static int
der_length(struct span s, size_t *ret)
{
	struct reader r = reader_init(s);
	uint8_t tag = read_u8(&r);
	size_t len = read_u8(&r);

	if (len == 0x81)
		len = read_u8(&r);
	else if (len == 0x82)
		len = read_be16(&r);
	else if (len >= 0x80)
		return CVM_E_PARSE;
	if (tag != 0x30 || r.failed || len > reader_left(&r))
		return CVM_E_PARSE;
	*ret = r.pos + len;
	return CVM_OK;
}

/* The certificate's bytes: NV indices are padded with zeros to their size. */
static int
load_cert(struct vtpm *t, struct blob *ret, struct why *why)
{
	_cleanup_(blob_clear) struct blob nv = { 0 };
	uint32_t index = kinds[t->ak_kind].cert_nv;
	size_t len;
	int r;

	if (index == 0)
		return CVM_OK;
	r = tpm_nv_read(t, index, CERT_BYTES_MAX, &nv, why);
	if (r == CVM_E_NOT_FOUND)
		return CVM_OK; /* the appraisal says whether it is missed */
	if (r != CVM_OK)
		return r;
	r = der_length(blob_span(&nv), &len);
	if (r != CVM_OK)
		return why_setf(why, CVM_E_UNREACHABLE, t->tcti,
		    "AK certificate", "a DER certificate",
		    "NV index 0x%08x holds something else", index);
	return blob_set(ret, span(nv.data, len));
}

int
tpm_ak_load(struct vtpm *t, struct why *reterr_why)
{
	_cleanup_(tpm_object_endp) struct tpm_object o = { 0 };
	_cleanup_(blob_clear) struct blob cert = { 0 }, name = { 0 };
	bool other;
	int r;

	if (t->ak != 0)
		return CVM_OK;
	r = load_kind(t, &o, reterr_why);
	if (r == CVM_OK)
		r = load_cert(t, &cert, reterr_why);
	if (r == CVM_OK)
		r = blob_set(&name, span(o.name, o.name_len));
	if (r != CVM_OK)
		return r;
	other = t->ak_given &&
	    !span_equal(blob_span(&name), blob_span(&t->ak_name));
	t->ak = o.handle;
	t->ak_transient = o.t != NULL;
	blob_clear(&t->ak_public);
	blob_clear(&t->ak_name);
	blob_clear(&t->ak_cert);
	t->ak_public = o.public;
	t->ak_name = name;
	t->ak_cert = cert;
	o = (struct tpm_object){ 0 };
	name = cert = (struct blob){ 0 };
	if (!other)
		return CVM_OK;
	t->ak_given = false;
	return why_set(reterr_why, CVM_E_UNREACHABLE, t->tcti,
	    "attestation key", "the one of the last connection",
	    "another name: the TPM was replaced or cleared");
}

struct ak_job {
	struct blob *public, *name, *cert;
};

static int
ak_job(struct vtpm *t, void *arg, struct why *why)
{
	_cleanup_(blob_clear) struct blob p = { 0 }, n = { 0 }, c = { 0 };
	struct ak_job *j = arg;
	int r;

	t->ak_given = false;
	r = tpm_ak_load(t, why);
	if (r == CVM_OK)
		r = blob_set(&p, blob_span(&t->ak_public));
	if (r == CVM_OK)
		r = blob_set(&n, blob_span(&t->ak_name));
	if (r == CVM_OK)
		r = blob_set(&c, blob_span(&t->ak_cert));
	if (r != CVM_OK)
		return r;
	t->ak_given = true;
	blob_clear(j->public);
	blob_clear(j->name);
	blob_clear(j->cert);
	*j->public = p;
	*j->name = n;
	*j->cert = c;
	p = n = c = (struct blob){ 0 };
	return CVM_OK;
}

int
vtpm_ak(struct vtpm *t, struct blob *ret_public, struct blob *ret_name,
    struct blob *ret_cert, struct why *reterr_why)
{
	struct ak_job j = { ret_public, ret_name, ret_cert };

	return vtpm_run(t, ak_job, &j, reterr_why);
}
