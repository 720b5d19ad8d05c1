/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <openssl/rsa.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/launch-maker.h"

/* The root's, one that is not, and two sizes of the signer's. */
enum { KEY_ROOT, KEY_OTHER, KEY_LEAF, KEY_SMALL, N_KEYS };
static EVP_PKEY *keys[N_KEYS];

static EVP_PKEY *
key(int k)
{
	if (keys[k] == NULL)
		keys[k] = k == KEY_LEAF ? maker_rsa(4096) :
		    k == KEY_SMALL	? maker_rsa(2048) :
					  maker_ec("P-256");
	return keys[k];
}

void
launch_maker_end(void)
{
	for (size_t i = 0; i < N_KEYS; i++) {
		EVP_PKEY_free(keys[i]);
		keys[i] = NULL;
	}
}

void
launch_varint(struct writer *w, uint64_t v)
{
	for (; v > 0x7f; v >>= 7)
		write_u8(w, (uint8_t)(v | 0x80));
	write_u8(w, (uint8_t)v);
}

void
launch_number(struct writer *w, uint32_t field, uint64_t v)
{
	launch_varint(w, (uint64_t)field << 3);
	launch_varint(w, v);
}

void
launch_bytes(struct writer *w, uint32_t field, struct span s)
{
	launch_varint(w, (uint64_t)field << 3 | 2);
	launch_varint(w, s.len);
	write_bytes(w, s);
}

static void
end_in(struct writer *w, struct writer *out, uint32_t field)
{
	struct blob b = { 0 };

	assert_int_equal(writer_end(w, &b), 0);
	launch_bytes(out, field, blob_span(&b));
	blob_clear(&b);
}

struct launch_plan
launch_plan(struct span measurement, int64_t now)
{
	const struct cert_spec root = { .cn = "GCE-cc-tcb-root",
		.serial = 1,
		.from = now - 86400,
		.until = now + 86400,
		.constraints = "critical,CA:TRUE",
		.usage = "critical,keyCertSign,cRLSign",
		.sign = { .md = "SHA256" },
		.version = X509_VERSION_3,
		.key_ids = true };
	struct launch_plan p = { .measurement = measurement,
		.snp = true,
		.tdx = true,
		.seconds = (uint64_t)(now - 86400),
		.cl_spec = 12345,
		.shape = LAUNCH_SHAPE,
		.svn = LAUNCH_SVN,
		.root = root,
		.leaf = root,
		.md = "SHA256",
		.salt = 32 };

	p.leaf.cn = "GCE-uefi-signer";
	p.leaf.serial = 2;
	p.leaf.constraints = "critical,CA:FALSE";
	p.leaf.usage = "critical,digitalSignature";
	return p;
}

/* Measurements of three shapes; that of the plan's is the machine's. */
static void
write_part(struct writer *w, const struct launch_plan *p, bool tdx)
{
	struct writer part = { 0 };
	uint8_t other[48];

	launch_number(&part, 1, p->svn);
	for (uint32_t i = 0; i < 3; i++) {
		struct writer e = { 0 };

		memset(other, 0xa0 + (int)i, sizeof(other));
		launch_number(&e, 1, p->shape + i);
		if (tdx)
			launch_number(&e, 2, 1);
		launch_bytes(&e, tdx ? 3 : 2,
		    i == 0 ? p->measurement : span(other, sizeof(other)));
		end_in(&e, &part, 2);
	}
	if (!tdx && p->family.len > 0)
		launch_bytes(&part, 3, p->family);
	if (!tdx && p->image.len > 0)
		launch_bytes(&part, 4, p->image);
	if (!tdx && p->policy != 0)
		launch_number(&part, 5, p->policy);
	if (!tdx && p->svsm.len > 0)
		launch_bytes(&part, 7, p->svsm);
	end_in(&part, w, tdx ? 8 : 7);
}

static void
sign(const struct launch_plan *p, struct span golden, struct writer *out)
{
	EVP_PKEY *by = key(p->small ? KEY_SMALL : KEY_LEAF);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	const EVP_MD *md = EVP_get_digestbyname(p->md);
	uint8_t signature[512];
	size_t len = sizeof(signature);
	EVP_PKEY_CTX *pctx;

	assert_int_equal(EVP_DigestSignInit(ctx, &pctx, md, NULL, by), 1);
	if (!p->pkcs1) {
		assert_true(EVP_PKEY_CTX_set_rsa_padding(pctx,
				RSA_PKCS1_PSS_PADDING) > 0);
		assert_true(
		    EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, p->salt) > 0);
	}
	assert_int_equal(EVP_DigestSign(ctx, signature, &len, golden.data,
			     golden.len),
	    1);
	launch_bytes(out, 2, span(signature, len));
	EVP_MD_CTX_free(ctx);
}

static void
write_golden(const struct launch_plan *p, const X509 *leaf,
    const struct blob *root_pem, struct blob *ret)
{
	_cleanup_(blob_clear) struct blob der = { 0 };
	struct writer w = { 0 }, time = { 0 };

	if (p->seconds != 0)
		launch_number(&time, 1, p->seconds);
	launch_number(&time, 2, 999);
	end_in(&time, &w, 1);
	if (p->cl_spec != 0)
		launch_number(&w, 2, p->cl_spec);
	maker_cert_der(leaf, &der);
	launch_bytes(&w, 4, blob_span(&der));
	launch_bytes(&w, 5, p->measurement);
	if (!p->no_bundle)
		launch_bytes(&w, 6, blob_span(root_pem));
	if (p->snp)
		write_part(&w, p, /* tdx= */ false);
	if (p->tdx)
		write_part(&w, p, /* tdx= */ true);
	write_bytes(&w, p->extra);
	assert_int_equal(writer_end(&w, ret), 0);
}

void
launch_make(const struct launch_plan *p, struct launch_made *ret)
{
	X509 *root = maker_cert(&p->root, key(KEY_ROOT), NULL, key(KEY_ROOT));
	X509 *leaf = maker_cert(&p->leaf, key(p->small ? KEY_SMALL : KEY_LEAF),
	    root, key(p->other_root ? KEY_OTHER : KEY_ROOT));
	_cleanup_(blob_clear) struct blob golden = { 0 };
	struct writer w = { 0 };

	memset(ret, 0, sizeof(*ret));
	maker_cert_pem(root, &ret->root_pem);
	maker_spki(root, ret->root_pin);
	write_golden(p, leaf, &ret->root_pem, &golden);
	launch_bytes(&w, 1, blob_span(&golden));
	sign(p, blob_span(&golden), &w);
	write_bytes(&w, p->outer);
	assert_int_equal(writer_end(&w, &ret->message), 0);
	X509_free(root);
	X509_free(leaf);
}

void
launch_made_clear(struct launch_made *m)
{
	blob_clear(&m->message);
	blob_clear(&m->root_pem);
}
