/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The cvm-pkcs11 authors */

/*
 * Turning the machine on: the firmware's measurements into the PCRs, and on
 * the first boot what GCE provisions into the vTPM's NV memory.
 */

#include <errno.h>
#include <string.h>

#include "machine.h"

/* TPMA_OBJECT 0x00050072: fixedTPM, fixedParent, sensitiveDataOrigin,
 * userWithAuth, restricted, sign. */
#define AK_ATTRIBUTES 0x00050072

static const struct ak_index {
	uint32_t cert, template;
} ak_indexes[AKS] = {
	{ 0x01C10000, 0x01C10001 }, /* RSA-2048, RSASSA, SHA-256 */
	{ 0x01C10002, 0x01C10003 }, /* ECC P-256, ECDSA, SHA-256 */
};

static void
put_rsa_template(struct buf *b)
{
	buf_be16(b, TPM_ALG_RSA);
	buf_be16(b, TPM_ALG_SHA256);
	buf_be32(b, AK_ATTRIBUTES);
	buf_be16(b, 0); /* authPolicy */
	buf_be16(b, TPM_ALG_NULL);
	buf_be16(b, TPM_ALG_RSASSA);
	buf_be16(b, TPM_ALG_SHA256);
	buf_be16(b, 2048);
	buf_be32(b, 0);	  /* exponent: 65537 */
	buf_be16(b, 256); /* unique, all zero */
	buf_fill(b, 0, 256);
}

/* TCG EK Credential Profile 2.5, template L-1. */
static void
put_ek_template(struct buf *b)
{
	uint8_t policy[32];

	hex_to(
	    "837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa",
	    policy, sizeof(policy));
	buf_be16(b, TPM_ALG_RSA);
	buf_be16(b, TPM_ALG_SHA256);
	buf_be32(b, 0x000300b2);
	buf_be16(b, sizeof(policy));
	buf_put(b, policy, sizeof(policy));
	buf_be16(b, 0x0006); /* AES */
	buf_be16(b, 128);
	buf_be16(b, 0x0043); /* CFB */
	buf_be16(b, TPM_ALG_NULL);
	buf_be16(b, 2048);
	buf_be32(b, 0);
	buf_be16(b, 256);
	buf_fill(b, 0, 256);
}

static void
put_ecc_template(struct buf *b)
{
	buf_be16(b, TPM_ALG_ECC);
	buf_be16(b, TPM_ALG_SHA256);
	buf_be32(b, AK_ATTRIBUTES);
	buf_be16(b, 0);
	buf_be16(b, TPM_ALG_NULL);
	buf_be16(b, TPM_ALG_ECDSA);
	buf_be16(b, TPM_ALG_SHA256);
	buf_be16(b, 3); /* TPM_ECC_NIST_P256 */
	buf_be16(b, TPM_ALG_NULL);
	for (int i = 0; i < 2; i++) {
		buf_be16(b, 32);
		buf_fill(b, 0, 32);
	}
}

/* SubjectPublicKeyInfo of a TPMT_PUBLIC that the templates made. */
static void
rsa_spki(const struct buf *public, struct buf *ret)
{
	const uint8_t *modulus = public->p + public->len - 256;
	struct buf key = { 0 }, seq = { 0 }, bits = { 0 }, alg = { 0 },
		   n = { 0 };

	buf_u8(&n, 0);
	buf_put(&n, modulus, 256);
	der_wrap(&key, 0x02, &n);
	der_int(&key, 65537);
	buf_u8(&bits, 0);
	der_wrap(&bits, 0x30, &key);
	der_oid(&alg, "1.2.840.113549.1.1.1");
	der_put(&alg, 0x05, NULL, 0);
	der_wrap(&seq, 0x30, &alg);
	der_wrap(&seq, 0x03, &bits);
	der_wrap(ret, 0x30, &seq);
	buf_free(&key);
	buf_free(&seq);
	buf_free(&bits);
	buf_free(&alg);
	buf_free(&n);
}

static void
ecc_spki(const struct buf *public, struct buf *ret)
{
	const uint8_t *point = public->p + public->len - 68; /* two TPM2B */
	struct buf seq = { 0 }, bits = { 0 }, alg = { 0 };

	buf_u8(&bits, 0);
	buf_u8(&bits, 4);
	buf_put(&bits, point + 2, 32);
	buf_put(&bits, point + 36, 32);
	der_oid(&alg, "1.2.840.10045.2.1");
	der_oid(&alg, "1.2.840.10045.3.1.7");
	der_wrap(&seq, 0x30, &alg);
	der_wrap(&seq, 0x03, &bits);
	der_wrap(ret, 0x30, &seq);
	buf_free(&seq);
	buf_free(&bits);
	buf_free(&alg);
}

static void
set_name(struct ak *ak)
{
	ak->name[0] = 0;
	ak->name[1] = TPM_ALG_SHA256;
	digest("SHA256", ak->public.p, ak->public.len, ak->name + 2);
}

static int
write_ak_cert(struct machine *m, size_t i)
{
	long whose = knobs_get(m->knobs, K_TPM_AK);
	_cleanup_(buf_free) struct buf spki = { 0 }, der = { 0 };

	if (i == 0)
		rsa_spki(&m->ak[i].public, &spki);
	else
		ecc_spki(&m->ak[i].public, &spki);
	if (whose == AK_NONE) {
		tpm_nv_remove(&m->tpm, ak_indexes[i].cert);
		return 0;
	}
	if (m->setting[S_CLOUD] == CLOUD_AZURE)
		return 0;
	google_ak_cert(m, &spki, whose == AK_OTHER, &der);
	return tpm_nv_put(&m->tpm, ak_indexes[i].cert, der.p, der.len);
}

int
machine_write_aks(struct machine *m)
{
	int r = 0;

	pthread_mutex_lock(&m->tpm.lock);
	for (size_t i = 0; r == 0 && i < AKS; i++)
		r = write_ak_cert(m, i);
	pthread_mutex_unlock(&m->tpm.lock);
	return r;
}

static char *
public_path(const struct machine *m, size_t i)
{
	return xasprintf("%s/state/ak-%zu.public", m->dir, i);
}

/* The first boot makes the keys; later ones know that they are the same. */
static int
load_aks(struct machine *m)
{
	for (size_t i = 0; i < AKS; i++) {
		_cleanup_(freep) char *path = public_path(m, i);

		buf_free(&m->ak[i].public);
		if (file_read(path, &m->ak[i].public) < 0)
			return -ENOENT;
		set_name(&m->ak[i]);
	}
	return 0;
}

/* An SVSM names its vTPM by the endorsement key. */
static int
load_ek(struct machine *m)
{
	_cleanup_(freep) char *path = machine_path(m, "state/ek.public");
	_cleanup_(buf_free) struct buf template = { 0 };
	int r;

	if (m->setting[S_VMPL] == 0)
		return 0;
	buf_free(&m->ek);
	if (file_read(path, &m->ek) == 0)
		return 0;
	put_ek_template(&template);
	r = tpm_create_primary(&m->tpm, &template, &m->ek);
	return r < 0 ? r : file_write(path, m->ek.p, m->ek.len, 0600);
}

static int
provision_ak(struct machine *m, size_t i)
{
	_cleanup_(freep) char *path = public_path(m, i);
	_cleanup_(buf_free) struct buf template = { 0 };
	int r;

	if (i == 0)
		put_rsa_template(&template);
	else
		put_ecc_template(&template);
	r = tpm_create_primary(&m->tpm, &template, &m->ak[i].public);
	if (r == 0 && i == 0)
		r = azure_persist_ak(m, &template);
	if (r == 0 && m->setting[S_CLOUD] == CLOUD_GCE)
		r = tpm_nv_put(&m->tpm, ak_indexes[i].template, template.p,
		    template.len);
	if (r == 0)
		r = write_ak_cert(m, i);
	if (r < 0)
		return r;
	set_name(&m->ak[i]);
	return file_write(path, m->ak[i].public.p, m->ak[i].public.len, 0600);
}

/* Makes the TPM's persistent state; the banks want a reset after that. */
static int
manufacture(struct machine *m)
{
	int r = tpm_spawn(&m->tpm);

	if (r == 0)
		r = tpm_startup(&m->tpm);
	if (r == 0)
		r = tpm_allocate_banks(&m->tpm);
	for (size_t i = 0; r == 0 && i < AKS; i++)
		r = provision_ak(m, i);
	tpm_shutdown(&m->tpm);
	return r;
}

static int
measure(struct machine *m)
{
	for (size_t i = 0; i < m->log.n; i++) {
		const struct boot_event *e = &m->log.events[i];
		const struct tpm_digest d[] = { { TPM_ALG_SHA1, e->sha1, 20 },
			{ TPM_ALG_SHA256, e->sha256, 32 },
			{ TPM_ALG_SHA384, e->sha384, 48 } };
		int r;

		if (!(e->where & IN_TPM) || !e->extended)
			continue;
		r = tpm_pcr_extend(&m->tpm, e->pcr, d, ARRAY_LEN(d));
		if (r < 0)
			return r;
	}
	return 0;
}

static int
power_on(struct machine *m)
{
	int r = tpm_spawn(&m->tpm);

	if (r == 0)
		r = tpm_startup(&m->tpm);
	if (r == 0)
		r = load_ek(m);
	if (r == 0)
		r = measure(m);
	if (r == 0)
		r = tpm_lock_platform(&m->tpm);
	if (r == 0)
		r = azure_boot(m);
	if (r < 0)
		tpm_kill(&m->tpm);
	return r;
}

int
machine_power_on(struct machine *m)
{
	int r = 0;

	machine_log_boot(m);
	pthread_mutex_lock(&m->tpm.lock);
	if (load_aks(m) < 0)
		r = manufacture(m);
	if (r == 0)
		r = power_on(m);
	pthread_mutex_unlock(&m->tpm.lock);
	return r;
}

int
machine_reboot(struct machine *m, bool orderly)
{
	int r;

	machine_log_boot(m);
	pthread_mutex_lock(&m->tpm.lock);
	if (orderly)
		tpm_shutdown(&m->tpm);
	else
		tpm_kill(&m->tpm);
	r = power_on(m);
	pthread_mutex_unlock(&m->tpm.lock);
	return r;
}

int
machine_pcr_extend(struct machine *m, unsigned pcr, const char *text)
{
	uint8_t sha1[20], sha256[32], sha384[48];
	const struct tpm_digest d[] = { { TPM_ALG_SHA1, sha1, sizeof(sha1) },
		{ TPM_ALG_SHA256, sha256, sizeof(sha256) },
		{ TPM_ALG_SHA384, sha384, sizeof(sha384) } };
	int r;

	digest("SHA1", text, strlen(text), sha1);
	digest("SHA256", text, strlen(text), sha256);
	digest("SHA384", text, strlen(text), sha384);
	pthread_mutex_lock(&m->tpm.lock);
	r = tpm_pcr_extend(&m->tpm, pcr, d, ARRAY_LEN(d));
	pthread_mutex_unlock(&m->tpm.lock);
	return r;
}
