/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "attest/eventlog.h"
#include "attest/launch.h"
#include "attest/snp_parts.h"
#include "attest/tdx.h"
#include "attest/upkeep.h"
#include "tools/enroll.h"

static const enum tee_kind kinds[] = { TEE_SNP, TEE_TDX };

static int
expected_tee(const struct enroll *e, enum tee_kind *ret, bool *ret_given,
    struct why *why)
{
	const char *name = e->t->opt[OPT_TEE];

	*ret_given = name != NULL;
	*ret = TEE_NONE;
	if (name == NULL)
		return CVM_OK;
	for (int k = TEE_NONE; k <= TEE_TDX; k++)
		if (strcmp(name, tee_kind_name((enum tee_kind)k)) == 0) {
			*ret = (enum tee_kind)k;
			return CVM_OK;
		}
	return why_set(why, CVM_E_INVAL, "--tee", "", "none, sev, snp or tdx",
	    name);
}

/* At the lowest level that this guest may have. */
static int
ask(struct enroll *e, const struct tee_source *source, struct why *why)
{
	uint8_t nonce[REPORT_DATA_LEN];
	unsigned level = 0;
	int r = random_bytes(nonce, sizeof(nonce));

	if (r == CVM_OK)
		r = tee_source_floor(source, &level, why);
	if (r == CVM_OK)
		r = tee_source_report(source, level, nonce,
		    source->cfg->timeout_ms, &e->tsm, why);
	return r;
}

/*
 * Without --tee, only a machine that has no configfs-tsm at all is one without
 * TEE: one whose reports fail for another reason must not get a policy that
 * asks for none.
 */
int
enroll_find_tee(struct enroll *e, struct why *why)
{
	_cleanup_(vtpm_freep) struct vtpm *vtpm = NULL;
	struct tee_source source = { .cfg = &e->c.cfg->evidence };
	bool given;
	int r = expected_tee(e, &e->tee, &given, why);

	if (r != CVM_OK || (given && (e->tee == TEE_NONE || e->tee == TEE_SEV)))
		return r;
	if (e->c.cfg->tpm.ak == AK_AZURE) {
		source.paravisor = vtpm = vtpm_new(&e->c.cfg->tpm);
		if (vtpm == NULL)
			return CVM_E_NOMEM;
	}
	if (!given && source.paravisor == NULL &&
	    access(source.cfg->tsm, F_OK) != 0 && errno == ENOENT &&
	    !tee_uses_device(source.cfg, TEE_SNP) &&
	    !tee_uses_device(source.cfg, TEE_TDX)) {
		tool_note("there is no %s: the proposal asks for no TEE "
			  "report; if this VM is one of SEV-SNP or TDX, see "
			  "cvm-token status",
		    source.cfg->tsm);
		return CVM_OK;
	}
	for (size_t i = 0; i < NELEMS(kinds); i++) {
		if (given && e->tee != kinds[i])
			continue;
		source.tee = kinds[i];
		r = ask(e, &source, why);
		if (r == CVM_OK)
			e->tee = kinds[i];
		if (r == CVM_OK || !tee_source_other(&source, why))
			return r;
	}
	return r;
}

static void
put_tcb(cJSON *o, const char *name, const struct snp_tcb *t, enum snp_product p)
{
	cJSON *tcb = cJSON_AddObjectToObject(o, name);

	if (snp_is_since_turin(p))
		(void)cJSON_AddNumberToObject(tcb, "fmc", t->fmc);
	(void)cJSON_AddNumberToObject(tcb, "bootloader", t->bootloader);
	(void)cJSON_AddNumberToObject(tcb, "tee", t->tee);
	(void)cJSON_AddNumberToObject(tcb, "snp", t->snp);
	(void)cJSON_AddNumberToObject(tcb, "microcode", t->microcode);
}

/* A value that is set: all zero means that nobody set it. */
static void
put_if_set(cJSON *o, const char *name, struct span s)
{
	if (s.len > 0 && !span_is_filled(s, 0x00))
		put_hex_list(o, name, s);
}

struct vek {
	struct snp_certs certs;
	struct cert *cert; /* or NULL */
	bool vlek;
};

static void
vek_clear(struct vek *v)
{
	cert_freep(&v->cert);
}

/* The VCEK or VLEK certificate: the host's, or one of the collateral. */
static void
find_vek(const struct enroll *e, const struct snp_report *r, struct vek *v)
{
	char name[SNP_VEK_NAME_MAX];
	struct span bytes;
	struct why why;

	v->vlek = snp_report_key(r) == SNP_KEY_VLEK;
	if (snp_certs_parse(blob_span(&e->tsm.auxblob), &v->certs, &why) !=
	    CVM_OK)
		memset(&v->certs, 0, sizeof(v->certs));
	bytes = v->vlek ? v->certs.vlek : v->certs.vcek;
	if (bytes.len > 0 && snp_cert_read(bytes, &v->cert) == CVM_OK)
		return;
	for (size_t i = 0; v->cert == NULL && snp_vek_name(r, i, name) != NULL;
	     i++) {
		bytes = endorsements_find(e->endorsements, name);
		if (bytes.len > 0 && snp_cert_read(bytes, &v->cert) != CVM_OK)
			v->cert = NULL;
	}
}

/* The report says it from version 3 on; before, the certificate does. */
static int
find_product(const struct enroll *e, const struct snp_report *r,
    const struct vek *v, enum snp_product *ret, struct why *why)
{
	static const enum snp_product all[] = SNP_PRODUCTS;
	const char *name = e->t->opt[OPT_PRODUCT];
	enum snp_product p = snp_report_product(r);

	if (p == 0 && v->cert != NULL)
		p = snp_vek_product(v->cert, v->vlek);
	for (size_t i = 0; p == 0 && name != NULL && i < NELEMS(all); i++)
		if (strcmp(name, snp_product_folder(all[i])) == 0)
			p = all[i];
	if (p != 0) {
		*ret = p;
		return CVM_OK;
	}
	(void)why_setf(why, CVM_E_NOT_FOUND, "SNP report", "product line",
	    "one that report or certificate names", "none, in version %u",
	    r->version);
	why_hint(why, "give --product milan, genoa, turin or venice");
	return CVM_E_NOT_FOUND;
}

static int
put_signing_key(cJSON *o, const struct vek *v, struct why *why)
{
	struct span id = { 0 };
	char text[257];

	if (!v->vlek)
		return CVM_OK;
	if (v->cert == NULL || snp_ext_csp_id(v->cert, &id) != CVM_OK ||
	    id.len >= sizeof(text))
		return why_set(why, CVM_E_NOT_FOUND, "VLEK certificate",
		    "CSP_ID", "the name of the cloud that holds the key",
		    v->cert == NULL ? "no certificate" : "none");
	memcpy(text, id.data, id.len);
	text[id.len] = '\0';
	put_string_list(o, "signing_keys", "vlek");
	put_string_list(o, "csp_id", text);
	return CVM_OK;
}

static int
put_ark(const struct enroll *e, cJSON *o, const struct vek *v,
    enum snp_product p, struct why *why)
{
	_cleanup_(cert_freep) struct cert *ark = NULL;
	char file[64];

	(void)snprintf(file, sizeof(file), "amd/%s/ark.pem",
	    snp_product_folder(p));
	if (e->t->opt[OPT_OWN_ROOTS] == NULL && p != SNP_VENICE)
		return CVM_OK;
	if (e->t->opt[OPT_OWN_ROOTS] == NULL) {
		(void)why_set(why, CVM_E_NOT_FOUND, "SNP report", "root",
		    "one that is built in", "none of Venice");
		why_hint(why, "give --own-roots, with AMD's in %s", file);
		return CVM_E_NOT_FOUND;
	}
	if (endorsements_find(e->endorsements, file).len > 0 ||
	    v->certs.ark.len == 0)
		return put_roots(o, file,
		    endorsements_find(e->endorsements, file), /* last= */ true,
		    why);
	if (snp_cert_read(v->certs.ark, &ark) != CVM_OK)
		return why_set(why, CVM_E_PARSE, "certificate table", "ARK",
		    "a certificate", "malformed bytes");
	put_hex_list(o, "roots", span(ark->spki_digest, SHA256_LEN));
	return CVM_OK;
}

/*
 * Google's endorsement of this very measurement, the host's or a fetched one:
 * it stands beside the measurement, and whoever wants the firmware's next build
 * admitted, too, takes the measurement out. Its root is the operator's to name.
 */
static int
put_launch(const struct enroll *e, cJSON *o, struct span measurement,
    struct span carried, bool tdx, struct why *why)
{
	char name[UPKEEP_NAME_MAX], hex[2 * SHA384_LEN + 1];
	struct span root = endorsements_find(e->endorsements, LAUNCH_ROOT_FILE);
	struct launch_endorsement x;
	cJSON *launch;

	(void)snprintf(name, sizeof(name), LAUNCH_NAME_FORMAT,
	    hex_encode(measurement, hex, sizeof(hex)));
	if (carried.len == 0)
		carried = endorsements_find(e->endorsements, name);
	if (carried.len == 0 || launch_parse(carried, &x, NULL) != CVM_OK)
		return CVM_OK;
	if (root.len == 0) {
		tool_note("this firmware has an endorsement of Google's; with "
			  "its root in %s it is proposed",
		    LAUNCH_ROOT_FILE);
		return CVM_OK;
	}
	launch = cJSON_AddObjectToObject(o, "launch_endorsement");
	(void)cJSON_AddNumberToObject(launch, "min_svn",
	    tdx ? x.tdx.svn : x.snp.svn);
	return put_roots(launch, LAUNCH_ROOT_FILE, root, /* last= */ false,
	    why);
}

int
enroll_snp(struct enroll *e, struct why *why)
{
	_cleanup_(vek_clear) struct vek v = { .vlek = false };
	cJSON *o = cJSON_AddObjectToObject(e->root, "snp");
	struct snp_report r;
	struct snp_tcb tcb;
	enum snp_product p = SNP_MILAN;
	int err;

	if ((err = snp_report_parse(blob_span(&e->tsm.outblob), &r, why)) !=
	    CVM_OK)
		return err;
	find_vek(e, &r, &v);
	if ((err = find_product(e, &r, &v, &p, why)) != CVM_OK)
		return err;
	if ((err = snp_tcb_decode(r.reported_tcb, p, &tcb)) != CVM_OK)
		return why_set(why, err, "SNP report", "REPORTED_TCB",
		    snp_product_name(p), "the layout of another line");
	put_string_list(o, "products", snp_product_folder(p));
	put_hex_list(o, "measurement", r.measurement);
	if ((err = put_launch(e, o, r.measurement, v.certs.launch,
		 /* tdx= */ false, why)) != CVM_OK)
		return err;
	put_if_set(o, "family_id", r.family_id);
	put_if_set(o, "image_id", r.image_id);
	put_if_set(o, "host_data", r.host_data);
	put_if_set(o, "id_key_digest", r.id_key_digest);
	put_if_set(o, "author_key_digest", r.author_key_digest);
	(void)cJSON_AddNumberToObject(o, "vmpl", r.vmpl);
	put_tcb(o, "min_tcb", &tcb, p);
	if ((err = put_signing_key(o, &v, why)) != CVM_OK)
		return err;
	return put_ark(e, o, &v, p, why);
}

/* RTMR 3 is the application's: zero says that none has extended it. */
static void
put_rtmrs(cJSON *o, const char *label, const struct tdx_quote *q)
{
	cJSON *list = cJSON_AddArrayToObject(o, "rtmr_sets");
	cJSON *set = cJSON_CreateObject();
	char name[8];

	(void)cJSON_AddItemToArray(list, set);
	(void)cJSON_AddStringToObject(set, "label", label);
	for (unsigned i = 0; i < TDX_RTMRS; i++) {
		(void)snprintf(name, sizeof(name), "rtmr%u", i);
		if (i == TDX_RTMRS - 1 || !span_is_filled(q->rtmr[i], 0x00))
			put_hex(set, name, q->rtmr[i]);
		else
			tool_note("RTMR %u was never extended and is left out",
			    i);
	}
}

/* What replays to no RTMR 0..3, as a system extends them while it runs. */
static void
put_unlogged(cJSON *log, const struct pcr_values *mrs,
    const struct tdx_quote *q)
{
	cJSON *list = cJSON_CreateArray();

	for (unsigned i = 0; i < TDX_RTMRS; i++)
		if (!span_equal(q->rtmr[i],
			span(mrs->value[i + 1], SHA384_LEN))) {
			tool_note("RTMR %u is not explained by the CCEL", i);
			(void)cJSON_AddItemToArray(list, cJSON_CreateNumber(i));
		}
	if (cJSON_GetArraySize(list) > 0)
		(void)cJSON_AddItemToObject(log, "unlogged_rtmrs", list);
	else
		cJSON_Delete(list);
}

void
enroll_ccel(struct enroll *e)
{
	_cleanup_(eventlog_clear) struct event_log log = { 0 };
	_cleanup_(blob_clear) struct blob bytes = { 0 };
	cJSON *o = cJSON_GetObjectItem(e->root, "event_log");
	char sentence[WHY_SENTENCE_MAX];
	struct why why = { 0 };
	struct pcr_values mrs;
	struct tdx_quote q;
	bool simulated;
	int r;

	if (o == NULL || e->tee != TEE_TDX)
		return;
	r = kernel_log_read(e->c.cfg->evidence.ccel, &bytes, &simulated, &why);
	if (r == CVM_E_NOT_FOUND)
		return;
	if (r == CVM_OK)
		r = eventlog_parse(blob_span(&bytes), LOG_CCEL, &log, &why);
	if (r == CVM_OK)
		r = eventlog_replay(&log, HASH_SHA384, &mrs, &why);
	if (r == CVM_OK)
		r = tdx_quote_parse(blob_span(&e->tsm.outblob), &q, &why);
	if (r == CVM_OK)
		put_unlogged(o, &mrs, &q);
	else
		tool_note("nothing from the CCEL: %s",
		    why_sentence(&why, sentence, sizeof(sentence)));
}

int
enroll_tdx(struct enroll *e, struct why *why)
{
	cJSON *o = cJSON_AddObjectToObject(e->root, "tdx");
	struct tdx_quote q;
	char xfam[24];
	int err;

	if ((err = tdx_quote_parse(blob_span(&e->tsm.outblob), &q, why)) !=
	    CVM_OK)
		return err;
	put_hex_list(o, "mrtd", q.mrtd);
	if ((err = put_launch(e, o, q.mrtd, (struct span){ 0 },
		 /* tdx= */ true, why)) != CVM_OK)
		return err;
	put_rtmrs(o, e->label, &q);
	put_if_set(o, "mrconfigid", q.mrconfigid);
	put_if_set(o, "mrowner", q.mrowner);
	put_if_set(o, "mrownerconfig", q.mrownerconfig);
	put_if_set(o, "mrservicetd", q.mrservicetd);
	(void)snprintf(xfam, sizeof(xfam), "0x%llx",
	    (unsigned long long)q.xfam);
	(void)cJSON_AddStringToObject(o, "xfam", xfam);
	if (e->t->opt[OPT_OWN_ROOTS] == NULL)
		return CVM_OK;
	return put_roots(o, "PCK chain of the quote", q.pck_chain,
	    /* last= */ true, why);
}
