/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The cvm-pkcs11 authors */

/*
 * AMD SEV-SNP: reports as in the SEV-SNP firmware ABI (56860), table 23, and
 * V*EK certificates as in the VCEK specification (57230).
 */

#include <stdlib.h>
#include <string.h>

#include "machine.h"

#define REPORT_SIZE 1184
#define SIGNED_SIZE 672

/* TCB_VERSION by component; AMD stores them differently on Turin. */
struct tcb {
	uint8_t fmc, boot_loader, tee, snp, microcode;
};
static const struct tcb tcbs[] = {
	[TCB_CURRENT] = { 1, 4, 0, 24, 219 },
	[TCB_OLD] = { 0, 3, 0, 10, 115 },
};

static const struct product {
	const char *line; /* in certificate names */
	const char *name; /* productName */
	uint8_t family, model, stepping;
} products[] = {
	[PRODUCT_MILAN] = { "milan", "Milan-B0", 0x19, 0x01, 0x01 },
	[PRODUCT_GENOA] = { "genoa", "Genoa-B1", 0x19, 0x11, 0x01 },
	[PRODUCT_TURIN] = { "turin", "Turin-C1", 0x1A, 0x02, 0x01 },
};

static const uint8_t guid_vcek[16] = { 0x63, 0xda, 0x75, 0x8d, 0xe6, 0x64, 0x45,
	0x64, 0xad, 0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac, 0xcd };
static const uint8_t guid_vlek[16] = { 0xa8, 0x07, 0x4b, 0xc2, 0xa2, 0x5a, 0x48,
	0x3e, 0xaa, 0xe6, 0x39, 0xc0, 0x45, 0xa0, 0xb8, 0xa1 };
static const uint8_t guid_ask[16] = { 0x4a, 0xb7, 0xb3, 0x79, 0xbb, 0xac, 0x4f,
	0xe4, 0xa0, 0x2f, 0x05, 0xae, 0xf3, 0x27, 0xc7, 0x82 };
static const uint8_t guid_ark[16] = { 0xc0, 0xb4, 0x06, 0xa4, 0xa8, 0x03, 0x49,
	0x52, 0x97, 0x43, 0x3f, 0xb6, 0x01, 0x4c, 0xd0, 0xae };

static const struct product *
product_of(const struct machine *m)
{
	return &products[m->setting[S_PRODUCT]];
}

static bool
is_turin(const struct machine *m)
{
	return m->setting[S_PRODUCT] == PRODUCT_TURIN;
}

static size_t
chip_id_len(const struct machine *m)
{
	return is_turin(m) ? 8 : 64;
}

static void
tcb_bytes(const struct machine *m, const struct tcb *t, uint8_t ret[8])
{
	memset(ret, 0, 8);
	if (is_turin(m)) {
		ret[0] = t->fmc;
		ret[1] = t->boot_loader;
		ret[2] = t->tee;
		ret[3] = t->snp;
	} else {
		ret[0] = t->boot_loader;
		ret[1] = t->tee;
		ret[6] = t->snp;
	}
	ret[7] = t->microcode;
}

static const struct pki_entity *
authority(struct machine *m, bool foreign, const char *kind)
{
	_cleanup_(
	    freep) char *name = xasprintf("%s-%s", kind, product_of(m)->line);

	return pki_get(m->pki, foreign, name);
}

static const char *
ca_kind(const struct machine *m)
{
	return m->setting[S_ENDORSER] == ENDORSER_VLEK ? "asvk" : "ask";
}

#define AMD_OID "1.3.6.1.4.1.3704.1."
#define VEK_EXTS_MAX 14

struct vek_exts {
	struct x509_ext ext[VEK_EXTS_MAX];
	size_t n;
};

static struct buf *
add_ext(struct vek_exts *e, const char *oid)
{
	e->ext[e->n].oid = oid;
	return &e->ext[e->n++].der;
}

static void
vek_extensions(struct machine *m, const struct tcb *t, struct vek_exts *e)
{
	const char *name = product_of(m)->name;
	static const char csp[] = "CN=cc-test-1.vcvm.example";
	bool vlek = m->setting[S_ENDORSER] == ENDORSER_VLEK;

	der_int(add_ext(e, AMD_OID "1"), is_turin(m) ? 1 : 0);
	der_put(add_ext(e, AMD_OID "2"), 0x16, name, strlen(name));
	if (is_turin(m))
		der_int(add_ext(e, AMD_OID "3.9"), t->fmc);
	der_int(add_ext(e, AMD_OID "3.1"), t->boot_loader);
	der_int(add_ext(e, AMD_OID "3.2"), t->tee);
	der_int(add_ext(e, AMD_OID "3.4"), 0);
	der_int(add_ext(e, AMD_OID "3.5"), 0);
	der_int(add_ext(e, AMD_OID "3.6"), 0);
	der_int(add_ext(e, AMD_OID "3.7"), 0);
	der_int(add_ext(e, AMD_OID "3.3"), t->snp);
	der_int(add_ext(e, AMD_OID "3.8"), t->microcode);
	if (vlek)
		der_put(add_ext(e, AMD_OID "5"), 0x16, csp, strlen(csp));
	else /* raw bytes, not an OCTET STRING, in real certificates */
		buf_put(add_ext(e, AMD_OID "4"), m->id.chip_id, chip_id_len(m));
}

struct vek_arg {
	struct machine *m;
	const struct tcb *tcb;
};

static void
make_vek(void *p, bool foreign, struct pki_entity *ret)
{
	const struct vek_arg *arg = p;
	struct machine *m = arg->m;
	bool vlek = m->setting[S_ENDORSER] == ENDORSER_VLEK;
	const struct pki_entity *ca = authority(m, foreign, ca_kind(m));
	struct vek_exts exts = { 0 };
	time_t now = time(NULL);
	struct x509_spec spec = {
		.dn = dn_with(amd_dn, vlek ? "SEV-VLEK" : "SEV-VCEK"),
		.serial = 0,
		.not_before = now - 30 * DAY,
		.not_after = now + (vlek ? 335 : 7 * 365 - 30) * DAY,
		.pss = true,
		.ext = exts.ext,
	};

	vek_extensions(m, arg->tcb, &exts);
	spec.n_ext = exts.n;
	ret->key = key_new_ec("P-384");
	ret->cert = x509_issue(&spec, ret->key, ca->cert, ca->key);
	for (size_t i = 0; i < exts.n; i++)
		buf_free(&exts.ext[i].der);
}

static const struct pki_entity *
vek(struct machine *m, bool foreign, long tcb)
{
	struct vek_arg arg = { m, &tcbs[tcb] };
	uint8_t bytes[8];
	_cleanup_(freep) char *hex = NULL;
	_cleanup_(freep) char *name = NULL;

	tcb_bytes(m, &tcbs[tcb], bytes);
	hex = hex_of(bytes, sizeof(bytes));
	name = xasprintf("%s-%s-%s", machine_setting(m, S_ENDORSER),
	    product_of(m)->line, hex);
	return pki_own(m->pki, foreign, name, make_vek, &arg);
}

/* SHA-384 launch digest: stands for the firmware that was measured. */
static void
measurement(struct machine *m, uint8_t ret[48])
{
	_cleanup_(freep) char *text = NULL;

	pthread_mutex_lock(&m->boot_lock);
	text = xasprintf("SNP launch digest of firmware v%d",
	    m->desc.firmware_version);
	pthread_mutex_unlock(&m->boot_lock);
	digest("SHA384", text, strlen(text), ret);
}

static uint64_t
guest_policy(struct machine *m)
{
	uint64_t policy = 1u << 16 | 1u << 17; /* SMT allowed, reserved 1 */

	if (knobs_get(m->knobs, K_MIGRATABLE))
		policy |= 1u << 18;
	if (knobs_get(m->knobs, K_DEBUG))
		policy |= 1u << 19;
	return policy;
}

static void
put_tcbs(struct machine *m, uint8_t *r)
{
	struct tcb committed = tcbs[knobs_get(m->knobs, K_TCB)];
	struct tcb current = committed;
	bool provisional = knobs_get(m->knobs, K_PROVISIONAL);

	if (provisional)
		current.microcode++;
	tcb_bytes(m, &current, r + 0x038);
	tcb_bytes(m, &committed, r + 0x180);
	tcb_bytes(m, &committed, r + 0x1E0);
	tcb_bytes(m, &committed, r + 0x1F0);
	r[0x1E8] = provisional ? 30 : 29; /* CURRENT build, minor, major */
	r[0x1E9] = 55;
	r[0x1EA] = 1;
	r[0x1EC] = 29; /* COMMITTED */
	r[0x1ED] = 55;
	r[0x1EE] = 1;
}

static void
put_chip(struct machine *m, uint8_t *r)
{
	const uint8_t *ids[] = { [CHIP_OWN] = m->id.chip_id,
		[CHIP_OTHER] = m->id.other_chip_id,
		[CHIP_MASKED] = NULL };
	const uint8_t *id = ids[knobs_get(m->knobs, K_CHIP)];

	if (id != NULL)
		memcpy(r + 0x1A0, id, chip_id_len(m));
}

/* Fields that came with later versions of the report. */
static void
put_versioned(struct machine *m, uint8_t *r)
{
	static const uint8_t
	    versions[] = { [REPORT_V3] = 3, [REPORT_V2] = 2, [REPORT_V5] = 5 };
	const struct product *product = product_of(m);
	uint8_t version = versions[m->setting[S_REPORT_VERSION]];

	r[0] = version;
	r[0x040] = 0x01; /* PLATFORM_INFO: SMT */
	if (version < 3)
		return;
	r[0x040] = 0x25; /* and ECC, ALIAS_CHECK_COMPLETE */
	r[0x188] = product->family;
	r[0x189] = product->model;
	r[0x18A] = product->stepping;
	if (version < 5)
		return;
	set_le64(r + 0x1F8, 3);
	set_le64(r + 0x200, 3);
}

static void
sign_report(struct machine *m, const struct pki_entity *signer, uint8_t *r)
{
	uint8_t rs[96];

	ecdsa_raw(signer->key, "SHA384", r, SIGNED_SIZE, 48, rs);
	for (int i = 0; i < 48; i++) { /* little-endian, 72 bytes wide */
		r[0x2A0 + i] = rs[47 - i];
		r[0x2E8 + i] = rs[95 - i];
	}
	if (knobs_get(m->knobs, K_SIGNATURE))
		r[0x2A0] ^= 1;
}

struct table_entry {
	const uint8_t *guid;
	struct buf der;
};

/* GUIDs, offsets and lengths, a zero entry, then the certificates. */
static void
put_table(struct buf *ret, struct table_entry *entries, size_t n)
{
	size_t at = 24 * (n + 1);

	if (n == 0)
		return;
	for (size_t i = 0; i < n; i++) {
		buf_put(ret, entries[i].guid, 16);
		buf_le32(ret, (uint32_t)at);
		buf_le32(ret, (uint32_t)entries[i].der.len);
		at += entries[i].der.len;
	}
	buf_fill(ret, 0, 24);
	for (size_t i = 0; i < n; i++) {
		buf_put(ret, entries[i].der.p, entries[i].der.len);
		buf_free(&entries[i].der);
	}
	/* The guest asked for whole pages. */
	buf_fill(ret, 0, (4096 - ret->len % 4096) % 4096);
}

static void
put_certificates(struct machine *m, bool foreign,
    const struct pki_entity *signer, struct buf *ret)
{
	static const size_t
	    sizes[] = { [AUX_FULL] = 3, [AUX_LEAF] = 1, [AUX_EMPTY] = 0 };
	bool vlek = m->setting[S_ENDORSER] == ENDORSER_VLEK;
	size_t n = sizes[knobs_get(m->knobs, K_AUX)];
	X509 *certs[] = { signer->cert, authority(m, foreign, ca_kind(m))->cert,
		authority(m, foreign, "ark")->cert };
	struct table_entry entries[] = { { vlek ? guid_vlek : guid_vcek,
					     { 0 } },
		{ guid_ask, { 0 } }, { guid_ark, { 0 } } };

	for (size_t i = 0; i < n; i++)
		x509_put_der(&entries[i].der, certs[i]);
	put_table(ret, entries, n);
}

void
amd_report(struct machine *m, const uint8_t report_data[64], unsigned vmpl,
    struct buf *ret_report, struct buf *ret_certs)
{
	uint8_t r[REPORT_SIZE] = { 0 };
	bool foreign = knobs_get(m->knobs, K_ROOT) == ROOT_FOREIGN;
	const struct pki_entity *signer = vek(m, foreign,
	    knobs_get(m->knobs, K_TCB));
	long lied_vmpl = knobs_get(m->knobs, K_VMPL);

	put_versioned(m, r);
	set_le64(r + 0x008, guest_policy(m));
	memcpy(r + 0x010, m->id.family_id, 16);
	memcpy(r + 0x020, m->id.image_id, 16);
	set_le32(r + 0x030, lied_vmpl ? (uint32_t)lied_vmpl : vmpl);
	set_le32(r + 0x034, 1); /* ECDSA P-384 with SHA-384 */
	if (m->setting[S_ENDORSER] == ENDORSER_VLEK)
		set_le32(r + 0x048, 1u << 2);
	memcpy(r + 0x050, report_data, 64);
	measurement(m, r + 0x090);
	knobs_bytes(m->knobs, K_MEASUREMENT, r + 0x090, 48);
	memcpy(r + 0x0C0, m->id.host_data, 32);
	knobs_bytes(m->knobs, K_HOST_DATA, r + 0x0C0, 32);
	memcpy(r + 0x140, m->report_id, 32);
	memset(r + 0x160, 0xFF, 32); /* no migration agent */
	put_tcbs(m, r);
	put_chip(m, r);
	sign_report(m, signer, r);
	buf_put(ret_report, r, sizeof(r));
	put_certificates(m, foreign, signer, ret_certs);
}

static void
write_crl(struct machine *m, const char *dir, const char *name,
    const char *revocable)
{
	const struct pki_entity *ark = authority(m, false, "ark");
	X509 *revoked[] = { authority(m, false, revocable)->cert };
	struct crl_spec spec = { .pss = true, .revoked = revoked };
	_cleanup_(crl_freep) X509_CRL *crl = NULL;
	_cleanup_(buf_free) struct buf der = { 0 };

	collateral_window(m, &spec.this_update, &spec.next_update);
	if (knobs_get(m->knobs, K_REVOKED) == REVOKED_CA)
		spec.n_revoked = 1;
	crl = crl_issue(&spec, ark->cert, ark->key);
	crl_put_der(&der, crl);
	put_file(dir, name, &der);
}

static void
write_vek(struct machine *m, const char *dir, long tcb)
{
	_cleanup_(freep) char *chip = hex_of(m->id.chip_id, chip_id_len(m));
	_cleanup_(freep) char *version = NULL;
	_cleanup_(freep) char *name = NULL;
	_cleanup_(buf_free) struct buf der = { 0 };
	uint8_t bytes[8];

	tcb_bytes(m, &tcbs[tcb], bytes);
	version = hex_of(bytes, sizeof(bytes));
	name = xasprintf("%s-%s.der", chip, version);
	x509_put_der(&der, vek(m, false, tcb)->cert);
	put_file(dir, name, &der);
}

void
amd_collateral(struct machine *m, const char *dir)
{
	_cleanup_(freep) char *line = xasprintf("%s/amd/%s", dir,
	    product_of(m)->line);
	_cleanup_(freep) char *veks = xasprintf("%s/amd/vek", dir);
	static const char *const cas[] = { "ark", "ask", "asvk" };

	for (size_t i = 0; i < ARRAY_LEN(cas); i++) {
		_cleanup_(buf_free) struct buf pem = { 0 };
		_cleanup_(freep) char *name = xasprintf("%s.pem", cas[i]);

		x509_put_pem(&pem, authority(m, false, cas[i])->cert);
		put_file(line, name, &pem);
	}
	write_crl(m, line, "crl-vcek.der", "ask");
	write_crl(m, line, "crl-vlek.der", "asvk");
	if (m->setting[S_ENDORSER] != ENDORSER_VCEK)
		return;
	write_vek(m, veks, TCB_CURRENT);
	write_vek(m, veks, TCB_OLD);
}

void
amd_facts(struct machine *m, cJSON *facts)
{
	uint8_t launch[48], tcb[8];

	measurement(m, launch);
	tcb_bytes(m, &tcbs[TCB_CURRENT], tcb);
	cJSON_AddStringToObject(facts, "product", product_of(m)->line);
	cJSON_AddStringToObject(facts, "endorser",
	    machine_setting(m, S_ENDORSER));
	cJSON_AddNumberToObject(facts, "report_version",
	    atoi(machine_setting(m, S_REPORT_VERSION)));
	fact_hex(facts, "measurement", launch, sizeof(launch));
	fact_hex(facts, "chip_id", m->id.chip_id, 64);
	fact_hex(facts, "host_data", m->id.host_data, 32);
	fact_hex(facts, "family_id", m->id.family_id, 16);
	fact_hex(facts, "image_id", m->id.image_id, 16);
	fact_hex(facts, "report_id", m->report_id, 32);
	fact_hex(facts, "reported_tcb", tcb, sizeof(tcb));
	if (m->setting[S_ENDORSER] == ENDORSER_VLEK)
		cJSON_AddStringToObject(facts, "csp_id",
		    "CN=cc-test-1.vcvm.example");
}
