/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "attest/chain.h"
#include "attest/collateral.h"
#include "attest/snp.h"
#include "attest/tdx_parts.h"
#include "conf/json_read.h"
#include "tools/collateral_sort.h"
#include "tools/evidence_files.h"

#define CN_MAX 64
#define ENTRY_MAX 64
#define BODY_MAX ((size_t)1024 * 1024)

struct sorter {
	const char *path;
	struct endorsements *e;
	struct why *why;
};

/* The same bytes may come twice: in a bundle and by themselves. */
static int
add(const struct sorter *s, const char *name, struct span data)
{
	struct span old = endorsements_find(s->e, name);
	int r;

	if (old.len > 0 && span_equal(old, data))
		return CVM_OK;
	if (old.len > 0)
		return why_set(s->why, CVM_E_INVAL, s->path, name,
		    "one file of this kind", "another one");
	r = endorsements_add(s->e, name, data);
	return r == CVM_OK ?
	    CVM_OK :
	    why_setf(s->why, r, s->path, name,
		"at most 256 files, 4 MiB each, 32 MiB together",
		"one more, of %zu bytes", data.len);
}

/* A response of the PCS: the text that is signed, and the signature. */
static int
add_body(const struct sorter *s, const char *name, const char *member,
    const char *text, const char *signature)
{
	_cleanup_(freep) char *body = NULL;
	int len = asprintf(&body, "{\"%s\":%s,\"signature\":\"%s\"}", member,
	    text, signature);

	if (len < 0) {
		body = NULL;
		return why_set(s->why, CVM_E_NOMEM, s->path, "", "", "");
	}
	return add(s, name, span(body, (size_t)len));
}

static int
tcb_info_name(const struct sorter *s, struct span text,
    char name[static ENTRY_MAX])
{
	struct tcb_info *info = NULL;
	char hex[2 * sizeof(info->fmspc) + 1];
	int r = tcb_info_parse(text, s->path, &info, s->why);

	if (r != CVM_OK)
		return r;
	(void)snprintf(name, ENTRY_MAX, "intel/tcbinfo-%s.json",
	    hex_encode(span(info->fmspc, sizeof(info->fmspc)), hex,
		sizeof(hex)));
	tcb_info_freep(&info);
	return CVM_OK;
}

static int
sort_tcb_info(const struct sorter *s, struct span body)
{
	struct signed_json j;
	char name[ENTRY_MAX];
	int r = signed_json_open(body, s->path, "tcbInfo", &j, s->why);

	if (r != CVM_OK || (r = tcb_info_name(s, j.text, name)) != CVM_OK)
		return r;
	return add(s, name, body);
}

/* Cut where it is longer than any that is looked for. */
static void
common_name(struct span name, char cn[static CN_MAX])
{
	struct span text = { 0 };

	if (name_text(name, NAME_COMMON, &text) == CVM_OK)
		(void)snprintf(cn, CN_MAX, "%.*s", (int)text.len,
		    (const char *)text.data);
}

static int
sort_crl(const struct sorter *s, struct span bytes)
{
	static const enum snp_product lines[] = SNP_PRODUCTS;
	static const struct {
		const char *cn, *name;
	} intel[] = {
		{ intel_root_ca, "intel/root-ca.crl" },
		{ intel_platform_ca, "intel/pck-crl-platform.der" },
		{ intel_processor_ca, "intel/pck-crl-processor.der" },
	};
	_cleanup_(crl_freep) struct crl *crl = NULL;
	char cn[CN_MAX] = "", ark[CN_MAX], name[ENTRY_MAX];
	int r = crl_from_bytes(bytes, &crl);

	if (r != CVM_OK)
		return why_set(s->why, r, s->path, "", "a CRL",
		    "something else");
	common_name(crl->issuer, cn);
	for (size_t i = 0; i < NELEMS(intel); i++)
		if (strcmp(cn, intel[i].cn) == 0)
			return add(s, intel[i].name, bytes);
	/* An ARK has one list, for both kinds of keys below it. */
	for (size_t i = 0; i < NELEMS(lines); i++) {
		(void)snprintf(ark, sizeof(ark), "ARK-%s",
		    snp_product_name(lines[i]));
		if (strcmp(cn, ark) != 0)
			continue;
		(void)snprintf(name, sizeof(name), "amd/%s/crl-vcek.der",
		    snp_product_folder(lines[i]));
		if ((r = add(s, name, bytes)) != CVM_OK)
			return r;
		(void)snprintf(name, sizeof(name), "amd/%s/crl-vlek.der",
		    snp_product_folder(lines[i]));
		return add(s, name, bytes);
	}
	return why_set(s->why, CVM_E_UNSUPPORTED, s->path, "issuer",
	    "a CA of AMD's or Intel's", cn);
}

/* A CRL as a string: DER in hex, as the PCS gives it, or PEM. */
static int
sort_crl_text(const struct sorter *s, const char *text)
{
	_cleanup_(blob_clear) struct blob der = { 0 };

	if (strncmp(text, "-----", 5) == 0)
		return sort_crl(s, span(text, strlen(text)));
	if (hex_decode_blob(text, CRL_BYTES_MAX, &der) != CVM_OK)
		return why_set(s->why, CVM_E_PARSE, s->path, "CRL",
		    "hexadecimal DER, or PEM", "something else");
	return sort_crl(s, blob_span(&der));
}

static int
sort_certs(const struct sorter *s, struct span pem)
{
	static const enum snp_product lines[] = SNP_PRODUCTS;
	struct cert *certs[CHAIN_CERTS_MAX] = { NULL };
	char cn[CN_MAX] = "", name[ENTRY_MAX];
	size_t n = 0;
	int r = certs_from_pem(pem, certs, NELEMS(certs), &n);

	if (r != CVM_OK || n == 0)
		return why_set(s->why, CVM_E_PARSE, s->path, "",
		    "1 to 8 PEM certificates", "something else");
	common_name(certs[0]->subject, cn);
	while (n > 0)
		cert_freep(&certs[--n]);
	if (strcmp(cn, "Intel SGX TCB Signing") == 0) {
		r = add(s, "intel/tcbinfo-chain.pem", pem);
		return r != CVM_OK ? r :
				     add(s, "intel/qe-identity-chain.pem", pem);
	}
	if (strcmp(cn, intel_platform_ca) == 0 ||
	    strcmp(cn, intel_processor_ca) == 0)
		return add(s, "intel/pck-crl-chain.pem", pem);
	for (size_t i = 0; i < NELEMS(lines); i++) {
		const struct {
			const char *prefix, *file;
		} kinds[] = { { "SEV-VLEK-", "asvk" }, { "SEV-", "ask" },
			{ "ARK-", "ark" } };

		for (size_t k = 0; k < NELEMS(kinds); k++) {
			size_t len = strlen(kinds[k].prefix);

			if (strncmp(cn, kinds[k].prefix, len) != 0 ||
			    strcmp(&cn[len], snp_product_name(lines[i])) != 0)
				continue;
			(void)snprintf(name, sizeof(name), "amd/%s/%s.pem",
			    snp_product_folder(lines[i]), kinds[k].file);
			return add(s, name, pem);
		}
	}
	return why_set(s->why, CVM_E_UNSUPPORTED, s->path, "subject",
	    "a CA of AMD's or Intel's, or Intel's TCB signing", cn);
}

/* A string of a quote's collateral; what is absent is refused. */
static int
member(const struct sorter *s, const struct json_doc *doc, const char *name,
    const char **ret)
{
	const struct json *item = json_member(json_root(doc), name);

	if (!json_is_string(item))
		return why_set(s->why, CVM_E_PARSE, s->path, name, "a string",
		    item == NULL ? "none" : "something else");
	*ret = item->text;
	return CVM_OK;
}

/* What quote verification libraries take: everything about one platform. */
static int
sort_quote_collateral(const struct sorter *s, const struct json_doc *doc)
{
	enum { INFO, INFO_SIG, INFO_CHAIN, QE, QE_SIG, QE_CHAIN, ROOT, PCK, N };
	static const char *const names[N] = { "tcb_info", "tcb_info_signature",
		"tcb_info_issuer_chain", "qe_identity", "qe_identity_signature",
		"qe_identity_issuer_chain", "root_ca_crl", "pck_crl" };
	static const char pck_chain[] = "pck_crl_issuer_chain";
	const char *v[N] = { NULL }, *pck = NULL;
	char name[ENTRY_MAX];
	int r = CVM_OK;

	/* Some leave it out: the quote has it, too. */
	if (json_member(json_root(doc), pck_chain) != NULL)
		r = member(s, doc, pck_chain, &pck);

	for (size_t i = 0; i < N && r == CVM_OK; i++)
		r = member(s, doc, names[i], &v[i]);
	if (r != CVM_OK ||
	    (r = tcb_info_name(s, span(v[INFO], strlen(v[INFO])), name)) !=
		CVM_OK ||
	    (r = add_body(s, name, "tcbInfo", v[INFO], v[INFO_SIG])) !=
		CVM_OK ||
	    (r = add_body(s, "intel/qe-identity.json", "enclaveIdentity", v[QE],
		 v[QE_SIG])) != CVM_OK ||
	    (r = add(s, "intel/tcbinfo-chain.pem",
		 span(v[INFO_CHAIN], strlen(v[INFO_CHAIN])))) != CVM_OK ||
	    (r = add(s, "intel/qe-identity-chain.pem",
		 span(v[QE_CHAIN], strlen(v[QE_CHAIN])))) != CVM_OK ||
	    (pck != NULL &&
		(r = add(s, "intel/pck-crl-chain.pem",
		     span(pck, strlen(pck)))) != CVM_OK) ||
	    (r = sort_crl_text(s, v[ROOT])) != CVM_OK)
		return r;
	return sort_crl_text(s, v[PCK]);
}

static int
sort_json(const struct sorter *s, struct span data)
{
	_cleanup_(json_doc_freep) struct json_doc *doc = NULL;
	/* A quote's PCK chain ends in a NUL, and so does its copy. */
	int r = json_parse_within(data,
	    &(struct json_limits){ .bytes = BODY_MAX,
		.values = BODY_MAX / 2,
		.final_nul = true },
	    s->path, &doc, s->why);

	if (r != CVM_OK)
		return r;
	if (json_member(json_root(doc), "tcb_info") != NULL)
		return sort_quote_collateral(s, doc);
	if (json_member(json_root(doc), "tcbInfo") != NULL)
		return sort_tcb_info(s, data);
	if (json_member(json_root(doc), "enclaveIdentity") != NULL)
		return add(s, "intel/qe-identity.json", data);
	return json_refuse(doc, json_root(doc),
	    "an object with tcb_info, tcbInfo or enclaveIdentity", s->why);
}

static bool
only_digits(struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!isxdigit(text.data[i]))
			return false;
	return text.len > 0;
}

/* A CRL as a PCCS answers it. */
static int
sort_digits(const struct sorter *s, struct span digits)
{
	_cleanup_(
	    freep) char *text = strndup((const char *)digits.data, digits.len);

	if (text == NULL)
		return why_set(s->why, CVM_E_NOMEM, s->path, "", "", "");
	return sort_crl_text(s, text);
}

static bool
begins_with(struct span data, const char *text)
{
	return data.len >= strlen(text) &&
	    memcmp(data.data, text, strlen(text)) == 0;
}

int
collateral_sort(struct span data, const char *path, struct endorsements *e,
    struct why *reterr_why)
{
	const struct sorter s = { path, e, reterr_why };
	struct span text = data;

	while (text.len > 0 && isspace(text.data[0])) {
		text.data++;
		text.len--;
	}
	if (begins_with(text, "{"))
		return sort_json(&s, data);
	if (begins_with(text, "-----BEGIN CERTIFICATE-----"))
		return sort_certs(&s, data);
	while (text.len > 0 && isspace(text.data[text.len - 1]))
		text.len--;
	return only_digits(text) ? sort_digits(&s, text) : sort_crl(&s, data);
}

int
collateral_load(const char *path, struct endorsements **ret,
    struct why *reterr_why)
{
	_cleanup_(endorsements_freep) struct endorsements *e = NULL;
	_cleanup_(blob_clear) struct blob data = { 0 };
	struct stat st;
	int r;

	if (stat(path, &st) != 0 || S_ISDIR(st.st_mode))
		return endorsements_load(path, ret, reterr_why);
	if ((e = endorsements_new()) == NULL)
		return why_set(reterr_why, CVM_E_NOMEM, path, "", "", "");
	if ((r = evidence_file(path, COLLATERAL_FILE_MAX, &data, reterr_why)) !=
		CVM_OK ||
	    (r = collateral_sort(blob_span(&data), path, e, reterr_why)) !=
		CVM_OK)
		return r;
	*ret = TAKE_PTR(e);
	return CVM_OK;
}
