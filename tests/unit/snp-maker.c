/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "tests/unit/asked.h"
#include "tests/unit/snp-maker.h"

static EVP_PKEY *keys[N_SNP_KEYS];

int
snp_maker_setup(void **state)
{
	(void)state;
	keys[KEY_ARK] = maker_rsa(2048);
	keys[KEY_ASK] = maker_rsa(2048);
	keys[KEY_VEK] = maker_ec("P-384");
	keys[KEY_OTHER] = maker_rsa(2048);
	keys[KEY_SMALL] = maker_rsa(1024);
	return 0;
}

int
snp_maker_teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_SNP_KEYS; i++)
		EVP_PKEY_free(keys[i]);
	return 0;
}

EVP_PKEY *
snp_maker_key(enum snp_key k)
{
	return keys[k];
}

void
snp_put64(struct snp_machine *m, size_t at, uint64_t v)
{
	for (size_t i = 0; i < 8; i++)
		m->report[at + i] = (uint8_t)(v >> (8 * i));
}

void
snp_put32(struct snp_machine *m, size_t at, uint32_t v)
{
	for (size_t i = 0; i < 4; i++)
		m->report[at + i] = (uint8_t)(v >> (8 * i));
}

static void
put_tcb(struct snp_machine *m, size_t at)
{
	uint8_t *t = &m->report[at];

	memset(t, 0, 8);
	if (snp_is_since_turin(m->product)) {
		memcpy(t, (uint8_t[]){ 1, 4, 2, 24 }, 4);
	} else {
		t[0] = 4;
		t[1] = 2;
		t[6] = 24;
	}
	t[7] = 0xdb;
}

static void
fill_report(struct snp_machine *m)
{
	static const uint8_t fms[][3] = { [SNP_MILAN] = { 0x19, 0x01, 1 },
		[SNP_GENOA] = { 0x19, 0x11, 1 },
		[SNP_TURIN] = { 0x1a, 0x02, 1 },
		[SNP_VENICE] = { 0x1a, 0x50, 1 } };
	static const size_t tcbs[] = { AT_CURRENT_TCB, AT_REPORTED_TCB,
		AT_COMMITTED_TCB, AT_LAUNCH_TCB };
	uint8_t *r = m->report;

	snp_put32(m, AT_VERSION, snp_is_since_turin(m->product) ? 5 : 3);
	snp_put32(m, AT_GUEST_SVN, 7);
	snp_put64(m, AT_POLICY, SNP_POLICY_ONE | SNP_POLICY_SMT | 1 << 8 | 31);
	snp_put32(m, AT_ALGO, 1);
	snp_put64(m, AT_PLATFORM,
	    SNP_PLATFORM_SMT | SNP_PLATFORM_ECC | SNP_PLATFORM_ALIAS_CHECK |
		(snp_is_since_turin(m->product) ?
			SNP_PLATFORM_IOMMU_WRITE_SAFE :
			0));
	snp_put32(m, AT_SIGNER, (m->vlek ? 1 << 2 : 0) | 1);
	for (size_t i = AT_REPORT_DATA; i < AT_REPORT_ID_MA; i++)
		r[i] = (uint8_t)(i * 7 + 1);
	memset(&r[AT_FAMILY_ID], 0x11, 16);
	memset(&r[AT_IMAGE_ID], 0x22, 16);
	memset(&r[AT_REPORT_ID_MA], 0xff, 32);
	for (size_t i = 0; i < NELEMS(tcbs); i++)
		put_tcb(m, tcbs[i]);
	memcpy(&r[AT_CPUID], fms[m->product], 3);
	if (!m->vlek)
		memset(&r[AT_CHIP_ID], 0xc1,
		    snp_is_since_turin(m->product) ? 8 : 64);
	memcpy(&r[AT_CURRENT_VERSION], (uint8_t[]){ 29, 55, 1 }, 3);
	memcpy(&r[AT_COMMITTED_VERSION], (uint8_t[]){ 29, 55, 1 }, 3);
	if (snp_is_since_turin(m->product)) {
		snp_put64(m, AT_LAUNCH_MIT, 0x5);
		snp_put64(m, AT_CURRENT_MIT, 0x7);
	}
}

void
snp_machine_ext(struct snp_machine *m, int ext, const char *hex)
{
	static const char *const oids[] = { [EXT_VERSION] = "1",
		[EXT_PRODUCT] = "2",
		[EXT_BL] = "3.1",
		[EXT_TEE] = "3.2",
		[EXT_SNP] = "3.3",
		[EXT_SPL4] = "3.4",
		[EXT_SPL5] = "3.5",
		[EXT_SPL6] = "3.6",
		[EXT_SPL7] = "3.7",
		[EXT_UCODE] = "3.8",
		[EXT_FMC] = "3.9" };
	const char *oid = ext == EXT_ID ? (m->vlek ? "5" : "4") : oids[ext];

	if (hex == NULL) { /* leave out: a name that nobody reads */
		m->vek.exts[ext] = (struct ext_spec){ "1.3.6.1.4.1.3704.1.77",
			"0500", false };
		return;
	}
	assert_true(strlen(hex) < SNP_EXT_HEX_MAX);
	(void)snprintf(m->oids[ext], sizeof(m->oids[ext]),
	    "1.3.6.1.4.1.3704.1.%s", oid);
	(void)snprintf(m->ext_hex[ext], SNP_EXT_HEX_MAX, "%s", hex);
	m->vek.exts[ext] = (struct ext_spec){ m->oids[ext], m->ext_hex[ext],
		false };
}

static void
ext_svn(struct snp_machine *m, int ext, uint8_t v)
{
	char hex[16];

	(void)snprintf(hex, sizeof(hex), v < 0x80 ? "0201%02x" : "020200%02x",
	    v);
	snp_machine_ext(m, ext, hex);
}

static void
ext_text(struct snp_machine *m, int ext, const char *text)
{
	char hex[SNP_EXT_HEX_MAX];

	(void)snprintf(hex, sizeof(hex), "16%02zx", strlen(text));
	(void)hex_encode(span(text, strlen(text)), &hex[4], sizeof(hex) - 4);
	snp_machine_ext(m, ext, hex);
}

void
snp_machine_vek(struct snp_machine *m)
{
	const uint8_t *t = &m->report[AT_REPORTED_TCB];
	bool turin = snp_is_since_turin(m->product);
	char hex[SNP_EXT_HEX_MAX];

	snp_machine_ext(m, EXT_VERSION, turin ? "020101" : "020100");
	ext_text(m, EXT_PRODUCT,
	    m->product == SNP_MILAN	? "Milan-B0" :
		m->product == SNP_GENOA ? "Genoa" :
		m->product == SNP_TURIN ? "Turin-C1" :
					  "Venice");
	ext_svn(m, EXT_BL, t[turin ? 1 : 0]);
	ext_svn(m, EXT_TEE, t[turin ? 2 : 1]);
	ext_svn(m, EXT_SNP, t[turin ? 3 : 6]);
	for (int i = EXT_SPL4; i <= EXT_SPL7; i++)
		ext_svn(m, i, 0);
	ext_svn(m, EXT_UCODE, t[7]);
	if (turin)
		ext_svn(m, EXT_FMC, t[0]);
	if (m->vlek)
		ext_text(m, EXT_ID, "CN=cc-test.example");
	else
		snp_machine_ext(m, EXT_ID,
		    hex_encode(span(&m->report[AT_CHIP_ID], turin ? 8 : 64),
			hex, sizeof(hex)));
}

static void
fill_certs(struct snp_machine *m)
{
	const struct cert_spec ca = { .amd = true,
		.serial = 0x10000,
		.from = SNP_NOW - 100 * SNP_DAY,
		.until = SNP_NOW + 100 * SNP_DAY,
		.constraints = "critical,CA:TRUE",
		.usage = "critical,keyCertSign,cRLSign",
		.sign = { .md = "SHA384", .pss = true },
		.version = X509_VERSION_3 };
	const char *line = snp_product_name(m->product);

	(void)snprintf(m->cns[0], sizeof(m->cns[0]), "ARK-%s", line);
	(void)snprintf(m->cns[1], sizeof(m->cns[1]), "SEV-%s%s",
	    m->vlek ? "VLEK-" : "", line);
	(void)snprintf(m->cns[2], sizeof(m->cns[2]), "SEV-%s",
	    m->vlek ? "VLEK" : "VCEK");
	m->ark = m->ask = m->vek = ca;
	m->ark.cn = m->cns[0];
	m->ask.cn = m->cns[1];
	m->ask.serial = 0x10001;
	m->ask.constraints = "critical,CA:TRUE,pathlen:0";
	m->ask.usage = "critical,keyCertSign";
	m->vek.cn = m->cns[2];
	m->vek.serial = 0;
	m->vek.constraints = m->vek.usage = NULL;
	m->ark_key = KEY_ARK;
	m->ask_key = KEY_ASK;
	m->ask_signer = KEY_ARK;
	m->vek_signer = KEY_ASK;
	m->vek_key = KEY_VEK;
	m->crl = (struct crl_spec){ .from = SNP_NOW - SNP_DAY,
		.until = SNP_NOW + SNP_DAY,
		.sign = { .md = "SHA384", .pss = true } };
	m->crl_signer = KEY_ARK;
	snp_machine_vek(m);
}

void
snp_machine_accept(struct snp_machine *m, struct value_list *l, size_t at,
    size_t len)
{
	size_t i = m->n_lists++;

	assert_true(i < NELEMS(m->lists));
	assert_null(l->v);
	memcpy(m->values[i], &m->report[at], len);
	m->lists[i] = (struct blob){ m->values[i], len };
	*l = (struct value_list){ &m->lists[i], 1 };
}

static void
fill_policy(struct snp_machine *m)
{
	static char csp[] = "CN=cc-test.example";
	struct policy_snp *p = &m->policy.snp;

	m->policy.tee = TEE_SNP;
	m->policy.has_snp = true;
	p->products = m->product;
	p->allow_vcek = !m->vlek;
	p->allow_vlek = p->masked_chip_id = m->vlek;
	p->debug = p->migrate_ma = FORBID;
	p->require_crl = true;
	m->csp[0] = csp;
	if (m->vlek)
		p->csp_id = (struct string_list){ m->csp, 1 };
	snp_machine_accept(m, &p->measurement, AT_MEASUREMENT, 48);
}

void
snp_machine_init(struct snp_machine *m, enum snp_product p, bool vlek)
{
	memset(m, 0, sizeof(*m));
	m->product = p;
	m->vlek = vlek;
	m->resign = m->with_crl = true;
	m->vek_from = m->cas_from = IN_ENDORSEMENTS;
	m->now = SNP_NOW;
	fill_report(m);
	fill_certs(m);
	fill_policy(m);
}

void
snp_sign(struct snp_machine *m)
{
	uint8_t digest[SHA384_LEN];

	memset(&m->report[AT_R], 0, SNP_REPORT_LEN - AT_R);
	assert_int_equal(hash(HASH_SHA384, span(m->report, SNP_SIGNED_LEN),
			     digest),
	    0);
	maker_ecdsa_p384(keys[KEY_VEK], span(digest, sizeof(digest)),
	    &m->report[AT_R], &m->report[AT_S]);
}

struct made {
	X509 *ark, *ask, *vek;
	struct blob ark_der, ask_der, vek_der, pem, crl_der;
};

static void
made_clear(struct made *m)
{
	X509_free(m->ark);
	X509_free(m->ask);
	X509_free(m->vek);
	blob_clear(&m->ark_der);
	blob_clear(&m->ask_der);
	blob_clear(&m->vek_der);
	blob_clear(&m->pem);
	blob_clear(&m->crl_der);
}

static void
make_certs(const struct snp_machine *m, struct made *d)
{
	d->ark = maker_cert(&m->ark, keys[m->ark_key], NULL, keys[m->ark_key]);
	d->ask = maker_cert(&m->ask, keys[m->ask_key], d->ark,
	    keys[m->ask_signer]);
	d->vek = maker_cert(&m->vek, keys[m->vek_key], d->ask,
	    keys[m->vek_signer]);
	maker_cert_der(d->ark, &d->ark_der);
	maker_cert_der(d->ask, &d->ask_der);
	maker_cert_der(d->vek, &d->vek_der);
}

static void
put_le32(struct blob *b, size_t v)
{
	uint8_t le[4] = { (uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16),
		(uint8_t)(v >> 24) };

	assert_int_equal(blob_append(b, span(le, 4)), 0);
}

void
snp_table_build(const struct table_entry *e, size_t n, struct blob *ret)
{
	static const uint8_t end[24];
	size_t at = (n + 1) * 24;
	uint8_t guid[16];

	for (size_t i = 0; i < n; i++) {
		assert_int_equal(hex_decode(e[i].guid, guid, 16), 0);
		assert_int_equal(blob_append(ret, span(guid, 16)), 0);
		put_le32(ret, at);
		put_le32(ret, e[i].data.len);
		at += e[i].data.len;
	}
	assert_int_equal(blob_append(ret, span(end, sizeof(end))), 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(blob_append(ret, e[i].data), 0);
}

static void
build_table(const struct snp_machine *m, const struct made *d, struct blob *ret)
{
	struct table_entry e[3];
	size_t n = 0;

	if (m->vek_from & IN_TABLE)
		e[n++] = (struct table_entry){ m->vlek ? GUID_VLEK : GUID_VCEK,
			blob_span(&d->vek_der) };
	if ((m->cas_from & IN_TABLE) && !m->no_ask)
		e[n++] = (struct table_entry){ GUID_ASK,
			blob_span(&d->ask_der) };
	if ((m->cas_from & IN_TABLE) && !m->no_ark)
		e[n++] = (struct table_entry){ GUID_ARK,
			blob_span(&d->ark_der) };
	if (n > 0)
		snp_table_build(e, n, ret);
}

static void
add_pem(struct endorsements *e, const char *folder, const char *file,
    const X509 *x)
{
	_cleanup_(blob_clear) struct blob pem = { 0 };
	char name[64];

	maker_cert_pem(x, &pem);
	(void)snprintf(name, sizeof(name), "amd/%s/%s.pem", folder, file);
	assert_int_equal(endorsements_add(e, name, blob_span(&pem)), 0);
}

static void
add_crl(const struct snp_machine *m, const struct made *d,
    struct endorsements *e)
{
	_cleanup_(blob_clear) struct blob der = { 0 };
	X509_CRL *crl = maker_crl(&m->crl, d->ark, keys[m->crl_signer]);
	char name[64];

	maker_crl_der(crl, &der);
	X509_CRL_free(crl);
	(void)snprintf(name, sizeof(name), "amd/%s/crl-%s.der",
	    snp_product_folder(m->product), m->vlek ? "vlek" : "vcek");
	assert_int_equal(endorsements_add(e, name, blob_span(&der)), 0);
}

static void
add_vek(const struct snp_machine *m, const struct made *d,
    struct endorsements *e)
{
	struct snp_report r;
	const char *fault;
	char name[SNP_VEK_NAME_MAX] = "amd/vek/none.der";

	if (m->vek_name != NULL)
		(void)snprintf(name, sizeof(name), "%s", m->vek_name);
	else if (snp_report_read(span(m->report, SNP_REPORT_LEN), &r, &fault,
		     NULL) == CVM_OK)
		(void)snp_vek_name(&r,
		    snp_is_since_turin(m->product) && !m->vlek, name);
	assert_int_equal(endorsements_add(e, name, blob_span(&d->vek_der)), 0);
}

void
snp_machine_build(struct snp_machine *m, struct evidence *e,
    struct endorsements **ret)
{
	_cleanup_(made_clear) struct made d = { 0 };
	const char *folder = snp_product_folder(m->product);

	make_certs(m, &d);
	if (m->resign)
		snp_sign(m);
	e->tee = TEE_SNP;
	assert_int_equal(blob_set(&e->tee_report,
			     span(m->report, SNP_REPORT_LEN)),
	    0);
	if (m->table.len > 0)
		assert_int_equal(blob_set(&e->tee_aux, blob_span(&m->table)),
		    0);
	else
		build_table(m, &d, &e->tee_aux);
	*ret = endorsements_new();
	assert_non_null(*ret);
	if (m->vek_from & IN_ENDORSEMENTS)
		add_vek(m, &d, *ret);
	if ((m->cas_from & IN_ENDORSEMENTS) && !m->no_ask)
		add_pem(*ret, folder, m->vlek ? "asvk" : "ask", d.ask);
	if ((m->cas_from & IN_ENDORSEMENTS) && !m->no_ark)
		add_pem(*ret, folder, "ark", d.ark);
	if (m->with_crl)
		add_crl(m, &d, *ret);
	maker_spki(d.ark, m->root_pin);
}

void
snp_machine_judge(struct snp_machine *m, struct verdict *v,
    struct appraisal_facts *facts)
{
	_cleanup_(evidence_clear) struct evidence e = { 0 };
	_cleanup_(endorsements_freep) struct endorsements *endorsements = NULL;
	struct appraisal a = { .policy = &m->policy,
		.evidence = &e,
		.now = m->now,
		.cache = m->cache };

	snp_machine_build(m, &e, &endorsements);
	a.endorsements = endorsements;
	if (!m->amd_roots && m->policy.snp.roots.n == 0) {
		m->root_blob = (struct blob){ m->root_pin, SHA256_LEN };
		m->policy.snp.roots = (struct value_list){ &m->root_blob, 1 };
	}
	verdict_init(v, GROUP_SNP);
	(void)snp_appraise(&a, v, facts);
	verdict_finish(v);
}

static void
explain(const struct verdict *v)
{
	for (size_t i = 0; i < CHECK_COUNT; i++)
		if (v->results[i].status == CHECK_FAIL)
			print_error("%s: expected %s, got %s\n",
			    check_table[i].name, v->results[i].expected,
			    v->results[i].got);
}

void
snp_accepted(struct snp_machine *m)
{
	char text[VERDICT_SENTENCE_MAX];
	struct appraisal_facts facts = { 0 };
	struct verdict v;

	snp_machine_judge(m, &v, &facts);
	if (!v.admit) {
		explain(&v);
		fail_msg("%s", verdict_sentence(&v, text, sizeof(text)));
	}
	asked_admitted(&m->policy, &v);
}

void
snp_denied_by(struct snp_machine *m, enum check_id id)
{
	struct appraisal_facts facts = { 0 };
	struct verdict v;
	size_t fails = 0;

	snp_machine_judge(m, &v, &facts);
	for (size_t i = 0; i < CHECK_COUNT; i++)
		fails += v.results[i].status == CHECK_FAIL;
	if (v.results[id].status != CHECK_FAIL || fails != 1) {
		explain(&v);
		fail_msg("expected %s alone, %zu checks failed",
		    check_table[id].name, fails);
	}
	assert_false(v.admit);
	assert_true(v.results[id].expected[0] != '\0');
	assert_true(v.results[id].got[0] != '\0');
	asked_denied(&m->policy, id);
}
