/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "attest/chain.h"
#include "attest/eventlog.h"
#include "attest/snp.h"
#include "attest/tdx.h"
#include "attest/tsm.h"
#include "tools/tool.h"

/*
 * A proposal is read from the machine as it is now, good or bad: that is why
 * it is never written where the module would use it.
 */
struct enroll {
	struct tool_context c;
	cJSON *root;
	bool own_roots; /* name the roots found here, not the vendors' */
	uint32_t mask;
	enum tee_kind tee;
	struct tsm_report tsm;
	struct endorsements *endorsements;
};

static void
enroll_clear(struct enroll *e)
{
	cJSON_Delete(e->root);
	tsm_report_clear(&e->tsm);
	endorsements_freep(&e->endorsements);
	tool_close(&e->c);
}

static void
put_hex(cJSON *o, const char *name, struct span s)
{
	char hex[2 * REPORT_DATA_LEN + 1];

	(void)cJSON_AddStringToObject(o, name, hex_encode(s, hex, sizeof(hex)));
}

static void
put_hex_list(cJSON *o, const char *name, struct span s)
{
	char hex[2 * REPORT_DATA_LEN + 1];
	cJSON *list = cJSON_AddArrayToObject(o, name);

	(void)cJSON_AddItemToArray(list,
	    cJSON_CreateString(hex_encode(s, hex, sizeof(hex))));
}

/* A value that is set: all zero means that nobody set it. */
static void
put_if_set(cJSON *o, const char *name, struct span s)
{
	if (!span_is_filled(s, 0x00))
		put_hex_list(o, name, s);
}

/* The SPKI digest of the last certificate of a PEM file. */
static int
put_root(cJSON *o, const char *name, struct span pem, struct why *why)
{
	X509 *certs[CHAIN_CERTS_MAX] = { NULL };
	uint8_t digest[SHA256_LEN];
	size_t n = 0;
	int r;

	r = certs_from_pem(pem, certs, CHAIN_CERTS_MAX, &n);
	if (r == CVM_OK)
		r = cert_spki_sha256(certs[n - 1], digest);
	for (size_t i = 0; i < n; i++)
		x509_freep(&certs[i]);
	if (r != CVM_OK)
		return why_set(why, r, "collateral", name,
		    "a root certificate (PEM)", "none that can be read");
	put_hex_list(o, name, span(digest, sizeof(digest)));
	return CVM_OK;
}

static void
put_tcb(cJSON *o, const char *name, const struct snp_tcb *t, enum snp_product p)
{
	cJSON *tcb = cJSON_AddObjectToObject(o, name);

	if (p == SNP_TURIN)
		(void)cJSON_AddNumberToObject(tcb, "fmc", t->fmc);
	(void)cJSON_AddNumberToObject(tcb, "bootloader", t->bootloader);
	(void)cJSON_AddNumberToObject(tcb, "tee", t->tee);
	(void)cJSON_AddNumberToObject(tcb, "snp", t->snp);
	(void)cJSON_AddNumberToObject(tcb, "microcode", t->microcode);
}

static int
propose_snp(struct enroll *e, struct why *why)
{
	cJSON *o = cJSON_AddObjectToObject(e->root, "snp"), *list;
	struct snp_report r;
	struct snp_tcb tcb;
	enum snp_product p;
	char file[64];
	int err;

	if ((err = snp_report_parse(blob_span(&e->tsm.outblob), &r, why)) !=
	    CVM_OK)
		return err;
	if ((p = snp_report_product(&r)) == 0)
		p = SNP_MILAN; /* version 2 names none; Milan had them */
	if ((err = snp_tcb_decode(r.reported_tcb, p, &tcb)) != CVM_OK)
		return why_set(why, err, "report", "REPORTED_TCB", "", "");
	list = cJSON_AddArrayToObject(o, "products");
	(void)cJSON_AddItemToArray(list,
	    cJSON_CreateString(snp_product_folder(p)));
	put_hex_list(o, "measurement", r.measurement);
	put_if_set(o, "family_id", r.family_id);
	put_if_set(o, "image_id", r.image_id);
	put_if_set(o, "host_data", r.host_data);
	put_if_set(o, "id_key_digest", r.id_key_digest);
	(void)cJSON_AddNumberToObject(o, "vmpl", r.vmpl);
	put_tcb(o, "min_tcb", &tcb, p);
	if (snp_report_key(&r) == SNP_KEY_VLEK) {
		list = cJSON_AddArrayToObject(o, "signing_keys");
		(void)cJSON_AddItemToArray(list, cJSON_CreateString("vlek"));
	}
	(void)snprintf(file, sizeof(file), "amd/%s/ark.pem",
	    snp_product_folder(p));
	return e->own_roots ?
	    put_root(o, "roots", endorsements_find(e->endorsements, file),
		why) :
	    CVM_OK;
}

static int
propose_tdx(struct enroll *e, struct why *why)
{
	cJSON *o = cJSON_AddObjectToObject(e->root, "tdx"), *list, *set;
	struct tdx_quote q;
	char name[8], xfam[24];
	int err;

	if ((err = tdx_quote_parse(blob_span(&e->tsm.outblob), &q, why)) !=
	    CVM_OK)
		return err;
	put_hex_list(o, "mrtd", q.mrtd);
	list = cJSON_AddArrayToObject(o, "rtmr_sets");
	set = cJSON_CreateObject();
	(void)cJSON_AddItemToArray(list, set);
	(void)cJSON_AddStringToObject(set, "label", "current");
	for (unsigned i = 0; i < TDX_RTMRS; i++) {
		(void)snprintf(name, sizeof(name), "rtmr%u", i);
		if (!span_is_filled(q.rtmr[i], 0x00))
			put_hex(set, name, q.rtmr[i]);
	}
	put_if_set(o, "mrconfigid", q.mrconfigid);
	put_if_set(o, "mrowner", q.mrowner);
	put_if_set(o, "mrownerconfig", q.mrownerconfig);
	(void)snprintf(xfam, sizeof(xfam), "0x%llx",
	    (unsigned long long)q.xfam);
	(void)cJSON_AddStringToObject(o, "xfam", xfam);
	return e->own_roots ? put_root(o, "roots", q.pck_chain, why) : CVM_OK;
}

static int
propose_ak(struct enroll *e, struct vtpm *vtpm, cJSON *tpm, struct why *why)
{
	_cleanup_(blob_clear) struct blob pub = { 0 }, name = { 0 },
					  cert = { 0 };
	cJSON *ak = cJSON_AddObjectToObject(tpm, "ak");
	struct span root = endorsements_find(e->endorsements,
	    "google/ak-root.pem");
	int r;

	if ((r = vtpm_ak(vtpm, &pub, &name, &cert, why)) != CVM_OK)
		return r;
	if (cert.len > 0 && root.len > 0) {
		(void)cJSON_AddStringToObject(ak, "trust", "gce");
		return put_root(ak, "roots", root, why);
	}
	(void)cJSON_AddStringToObject(ak, "trust", "pinned");
	put_hex_list(ak, "names", blob_span(&name));
	return CVM_OK;
}

static int
propose_tpm(struct enroll *e, struct why *why)
{
	_cleanup_(vtpm_freep) struct vtpm *vtpm = vtpm_new(&e->c.cfg->tpm);
	cJSON *tpm = cJSON_AddObjectToObject(e->root, "tpm"), *list, *set,
	      *pcrs;
	struct pcr_values v;
	char index[4];
	int r;

	if (vtpm == NULL)
		return CVM_E_NOMEM;
	if ((r = propose_ak(e, vtpm, tpm, why)) != CVM_OK ||
	    (r = vtpm_read_pcrs(vtpm, HASH_SHA256, e->mask, &v, why)) != CVM_OK)
		return r;
	(void)cJSON_AddStringToObject(tpm, "bank", "sha256");
	list = cJSON_AddArrayToObject(tpm, "pcr_sets");
	set = cJSON_CreateObject();
	(void)cJSON_AddItemToArray(list, set);
	(void)cJSON_AddStringToObject(set, "label", "current");
	pcrs = cJSON_AddObjectToObject(set, "pcrs");
	for (unsigned i = 0; i < POLICY_PCR_MAX; i++) {
		struct span value = span(v.value[i], SHA256_LEN);

		if ((v.mask & (1u << i)) == 0)
			continue;
		if (span_is_filled(value, 0x00) ||
		    span_is_filled(value, 0xff)) {
			(void)fprintf(stderr,
			    "cvm-token: note: PCR %u was never extended and "
			    "is left out\n",
			    i);
			continue;
		}
		(void)snprintf(index, sizeof(index), "%u", i);
		put_hex(pcrs, index, value);
	}
	return CVM_OK;
}

/* What the log says about Secure Boot and technology, if there is a log. */
static void
propose_log(struct enroll *e)
{
	_cleanup_(blob_clear) struct blob bytes = { 0 };
	struct log_facts *f = calloc(1, sizeof(*f));
	struct event_log log = { 0 };
	struct why why;
	bool simulated;
	cJSON *o, *list;

	if (f != NULL &&
	    kernel_log_read(e->c.cfg->evidence.event_log, &bytes, &simulated,
		&why) == CVM_OK &&
	    eventlog_parse(blob_span(&bytes), LOG_TCG, &log, &why) == CVM_OK &&
	    eventlog_facts(&log, HASH_SHA256, f) == CVM_OK) {
		o = cJSON_AddObjectToObject(e->root, "event_log");
		if (f->technology >= 0) {
			list = cJSON_AddArrayToObject(o, "technology");
			(void)cJSON_AddItemToArray(list,
			    cJSON_CreateString(
				log_technology_name(f->technology)));
		}
		if (f->secure_boot_why.err == 0)
			(void)cJSON_AddStringToObject(o, "secure_boot",
			    f->secure_boot ? "require" : "any");
		if (f->gce_firmware > 0)
			(void)cJSON_AddNumberToObject(o, "min_gce_firmware",
			    f->gce_firmware);
		/* Google's firmware names no technology to other machines. */
		if (e->tee == TEE_NONE && f->technology > 0)
			e->tee = TEE_SEV;
		log_facts_clear(f);
	}
	eventlog_clear(&log);
	free(f);
}

/* Which TEE answers: asked with a random nonce, the answer is thrown away. */
static int
find_tee(struct enroll *e)
{
	static const struct {
		const char *provider;
		enum tee_kind tee;
	} providers[] = { { "sev_guest", TEE_SNP }, { "tdx_guest", TEE_TDX } };
	uint8_t nonce[REPORT_DATA_LEN];
	struct why why;

	if (random_bytes(nonce, sizeof(nonce)) != CVM_OK)
		return CVM_E_CRYPTO;
	for (size_t i = 0; i < NELEMS(providers); i++) {
		unsigned level = 0;

		/* An SVSM below leaves the lower levels to itself. */
		if (tsm_privlevel_floor(e->c.cfg->evidence.tsm,
			providers[i].provider, &level, &why) != CVM_OK)
			level = 0;
		if (tsm_get_report(e->c.cfg->evidence.tsm,
			providers[i].provider, level, nonce,
			e->c.cfg->evidence.timeout_ms, &e->tsm, &why) != CVM_OK)
			continue;
		e->tee = providers[i].tee;
		break;
	}
	return CVM_OK;
}

static int
parse_mask(const char *text, uint32_t *ret)
{
	uint32_t mask = 0;
	char *end;

	for (;;) {
		unsigned long i = strtoul(text, &end, 10);

		if (end == text || i >= POLICY_PCR_MAX)
			return CVM_E_INVAL;
		mask |= 1u << i;
		if (*end == '\0')
			break;
		if (*end != ',')
			return CVM_E_INVAL;
		text = end + 1;
	}
	*ret = mask;
	return CVM_OK;
}

static int
propose(struct enroll *e, struct why *why)
{
	int r;

	if ((e->root = cJSON_CreateObject()) == NULL)
		return CVM_E_NOMEM;
	if ((r = endorsements_load(e->c.cfg->evidence.collateral,
		 &e->endorsements, why)) != CVM_OK ||
	    (r = find_tee(e)) != CVM_OK)
		return r;
	(void)cJSON_AddNumberToObject(e->root, "version", 1);
	(void)cJSON_AddStringToObject(e->root, "name", e->c.tcfg->name);
	propose_log(e);
	(void)cJSON_AddStringToObject(e->root, "tee", tee_kind_name(e->tee));
	(void)cJSON_AddStringToObject(e->root, "bind", "session");
	if (e->tee == TEE_SNP && (r = propose_snp(e, why)) != CVM_OK)
		return r;
	if (e->tee == TEE_TDX && (r = propose_tdx(e, why)) != CVM_OK)
		return r;
	return propose_tpm(e, why);
}

int
cmd_enroll(struct tool *t)
{
	_cleanup_(enroll_clear) struct enroll e = { 0 };
	_cleanup_(freep) char *text = NULL;
	const char *pcrs = "0,2,4,7,8,9,14", *out = NULL;
	const struct option_row rows[] = {
		{ "--pcrs", &pcrs, NULL },
		{ "--out", &out, NULL },
		{ "--own-roots", NULL, &e.own_roots },
	};
	struct why why = { 0 };
	int r;

	if ((r = tool_options(t, rows, NELEMS(rows), 0, 0)) != 0)
		return r;
	if (parse_mask(pcrs, &e.mask) != CVM_OK)
		return tool_usage(t, "--pcrs takes 0..23, as in 0,2,4,7");
	if ((r = tool_config(t, &e.c)) != 0)
		return r;
	if (out != NULL && strcmp(out, e.c.tcfg->policy) == 0)
		return tool_usage(t,
		    "the proposal is not written over the "
		    "policy in use: review it, then copy it");
	if ((r = propose(&e, &why)) != CVM_OK)
		return tool_fail(r, &why);
	if ((text = cJSON_Print(e.root)) == NULL ||
	    tool_write(out, span(text, strlen(text)), 0644, false) != CVM_OK)
		return EXIT_TROUBLE;
	(void)fprintf(stderr,
	    "cvm-token: this is a proposal: it says what "
	    "this machine is, not that it is good\n");
	return EXIT_OK;
}
