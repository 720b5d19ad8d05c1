/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <openssl/pem.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/openssl.h"
#include "attest/launch.h"
#include "tools/collateral.h"
#include "tools/collateral_urls.h"

#define AMD_URL "https://kdsintf.amd.com"
#define INTEL_URL "https://api.trustedservices.intel.com"
#define INTEL_ROOT_CRL_URL                                                     \
	"https://certificates.trustedservices.intel.com/IntelSGXRootCA.der"
#define GOOGLE_URL "https://storage.googleapis.com"
#define CERTS_MAX (64 * 1024)
#define JSON_MAX (1024 * 1024)

static int url_format(char url[static URL_MAX], struct why *why,
    const char *fmt, ...) _printf_(3, 4);

static int
url_format(char url[static URL_MAX], struct why *why, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(url, URL_MAX, fmt, ap);
	va_end(ap);
	if (n >= 0 && n < URL_MAX)
		return CVM_OK;
	return why_set(why, CVM_E_INVAL, "URL", "length", "a shorter one",
	    "more than 1000 bytes");
}

/* The option or the vendor's own, without a slash at the end. */
static int
base_url(const struct tool *t, enum option_id id, const char *vendor,
    char ret[static URL_MAX], struct why *why)
{
	const char *given = t->opt[id];
	int r = url_format(ret, why, "%s", given != NULL ? given : vendor);
	size_t n = r == CVM_OK ? strlen(ret) : 0;

	while (n > 0 && ret[n - 1] == '/')
		ret[--n] = '\0';
	return r;
}

/* AMD 57230, section 4: who asks for a VCEK names chip and TCB. */
static int
vcek_url(const struct collateral *c, char url[static URL_MAX], struct why *why)
{
	const struct upkeep *u = &c->upkeep;
	const struct snp_tcb *t = &u->tcb;
	struct span chip = u->snp.chip_id;
	char base[URL_MAX], id[2 * 64 + 1], fmc[16] = "";
	int r = base_url(c->t, OPT_AMD_URL, AMD_URL, base, why);

	if (r < 0)
		return r;
	if (snp_report_key(&u->snp) == SNP_KEY_VLEK)
		return why_set(why, CVM_E_NOT_FOUND, u->file[UPKEEP_VEK].name,
		    "", "a VLEK certificate from the host",
		    "none in the certificate table, and AMD gives it to the "
		    "cloud alone");
	if (span_is_filled(chip, 0x00))
		return why_set(why, CVM_E_NOT_FOUND, u->file[UPKEEP_VEK].name,
		    "CHIP_ID", "one that AMD's service can be asked for",
		    "a masked one");
	if (snp_is_since_turin(u->product)) {
		chip.len = 8;
		(void)snprintf(fmc, sizeof(fmc), "fmcSPL=%02u&", t->fmc);
	}
	return url_format(url, why,
	    "%s/vcek/v1/%s/%s?%sblSPL=%02u&teeSPL=%02u&snpSPL=%02u&"
	    "ucodeSPL=%02u",
	    base, snp_product_name(u->product),
	    hex_encode(chip, id, sizeof(id)), fmc, t->bootloader, t->tee,
	    t->snp, t->microcode);
}

static int
amd_url(const struct collateral *c, const char *path, char url[static URL_MAX],
    struct why *why)
{
	const char *kind = path[0] == 'k' ? "vlek" : "vcek";
	char base[URL_MAX];
	int r = base_url(c->t, OPT_AMD_URL, AMD_URL, base, why);

	return r < 0 ? r :
		       url_format(url, why, "%s/%s/v1/%s/%s", base, kind,
			   snp_product_name(c->upkeep.product), &path[1]);
}

/* PCS API version 4; the FMSPC and the CA are the only parameters. */
static int
intel_url(const struct collateral *c, const char *path,
    char url[static URL_MAX], struct why *why)
{
	const struct sgx_extension *x = &c->upkeep.run.sgx;
	char base[URL_MAX], fmspc[2 * sizeof(x->fmspc) + 1];
	const char *value = "", *rest = "";
	int r = base_url(c->t, OPT_INTEL_URL, INTEL_URL, base, why);

	if (r < 0)
		return r;
	if (strcmp(path, "/tdx/certification/v4/tcb?fmspc=") == 0) {
		value = hex_encode(span(x->fmspc, sizeof(x->fmspc)), fmspc,
		    sizeof(fmspc));
	} else if (strcmp(path, "/sgx/certification/v4/pckcrl?ca=") == 0) {
		value = c->upkeep.processor_ca ? "processor" : "platform";
		rest = "&encoding=der";
	}
	return url_format(url, why, "%s%s%s%s", base, path, value, rest);
}

/* Where Google publishes what gce-tcb-verifier reads. */
static int
launch_url(const struct collateral *c, char url[static URL_MAX],
    struct why *why)
{
	char base[URL_MAX];
	int r = base_url(c->t, OPT_GOOGLE_URL, GOOGLE_URL, base, why);

	return r < 0 ?
	    r :
	    url_format(url, why, "%s/gce_tcb_integrity/ovmf_x64_csm/%s%s", base,
		c->upkeep.tee == TEE_TDX ? "tdx" : "sevsnp",
		strrchr(c->upkeep.file[UPKEEP_LAUNCH].name, '/'));
}

/*
 * Where the certificate says. Lists are signed, and Google names them by http:
 * https keeps who listens from knowing what is asked, where the server has it,
 * as Google's has.
 */
static int
ak_crl_url(const struct collateral *c, enum upkeep_id id,
    char url[static URL_MAX], struct why *why)
{
	const char *at = c->upkeep.ak_url[id == UPKEEP_AK_CRL ? 0 : 1];
	const char *host = strstr(at, "://"), *path;
	char base[URL_MAX];
	int r;

	if (strncmp(at, "http://", 7) != 0 && strncmp(at, "https://", 8) != 0)
		return why_set(why, CVM_E_NOT_FOUND, c->upkeep.file[id].name,
		    "cRLDistributionPoints",
		    "an http or https address in the certificate",
		    at[0] != '\0' ? at : "none");
	if (c->t->opt[OPT_AK_CRL_URL] == NULL)
		return url_format(url, why, "https%s", host);
	path = strchr(host + 3, '/');
	r = base_url(c->t, OPT_AK_CRL_URL, "", base, why);
	return r < 0 ?
	    r :
	    url_format(url, why, "%s%s", base, path != NULL ? path : "/");
}

const struct request collateral_requests[] = {
	{ UPKEEP_ASK, UPKEEP_ARK, ANSWER_CA_CHAIN, "ccert_chain", NULL,
	    CERTS_MAX },
	{ UPKEEP_CRL_VCEK, UPKEEP_COUNT, ANSWER_BYTES, "ccrl", NULL,
	    ENDORSEMENTS_FILE_MAX },
	{ UPKEEP_ASVK, UPKEEP_ARK, ANSWER_CA_CHAIN, "kcert_chain", NULL,
	    CERTS_MAX },
	{ UPKEEP_CRL_VLEK, UPKEEP_COUNT, ANSWER_BYTES, "kcrl", NULL,
	    ENDORSEMENTS_FILE_MAX },
	{ UPKEEP_VEK, UPKEEP_COUNT, ANSWER_BYTES, NULL, NULL, CERTS_MAX },
	{ UPKEEP_ROOT_CRL, UPKEEP_COUNT, ANSWER_HEX_OR_BYTES, NULL, NULL,
	    ENDORSEMENTS_FILE_MAX },
	{ UPKEEP_PCK_CRL, UPKEEP_PCK_CRL_CHAIN, ANSWER_BYTES,
	    "/sgx/certification/v4/pckcrl?ca=", "SGX-PCK-CRL-Issuer-Chain",
	    ENDORSEMENTS_FILE_MAX },
	{ UPKEEP_TCB_INFO, UPKEEP_TCB_INFO_CHAIN, ANSWER_BYTES,
	    "/tdx/certification/v4/tcb?fmspc=", "TCB-Info-Issuer-Chain",
	    JSON_MAX },
	{ UPKEEP_QE_IDENTITY, UPKEEP_QE_IDENTITY_CHAIN, ANSWER_BYTES,
	    "/tdx/certification/v4/qe/identity",
	    "SGX-Enclave-Identity-Issuer-Chain", JSON_MAX },
	{ UPKEEP_LAUNCH, UPKEEP_COUNT, ANSWER_BYTES, NULL, NULL,
	    LAUNCH_BYTES_MAX },
	{ UPKEEP_AK_CRL, UPKEEP_COUNT, ANSWER_BYTES, NULL, NULL,
	    ENDORSEMENTS_FILE_MAX },
	{ UPKEEP_AK_CA_CRL, UPKEEP_COUNT, ANSWER_BYTES, NULL, NULL,
	    ENDORSEMENTS_FILE_MAX },
};
const size_t n_collateral_requests = NELEMS(collateral_requests);

int
collateral_url(const struct collateral *c, const struct request *q,
    char url[static URL_MAX], struct why *reterr_why)
{
	if (q->file == UPKEEP_LAUNCH)
		return launch_url(c, url, reterr_why);
	if (q->file == UPKEEP_AK_CRL || q->file == UPKEEP_AK_CA_CRL)
		return ak_crl_url(c, q->file, url, reterr_why);
	if (q->file == UPKEEP_VEK)
		return vcek_url(c, url, reterr_why);
	if (q->file == UPKEEP_ROOT_CRL)
		return base_url(c->t, OPT_INTEL_ROOT_CRL_URL,
		    INTEL_ROOT_CRL_URL, url, reterr_why);
	if (q->path[0] == '/')
		return intel_url(c, q->path, url, reterr_why);
	return amd_url(c, q->path, url, reterr_why);
}

static void
bio_freep(BIO **bio)
{
	BIO_free_all(*bio);
	*bio = NULL;
}

static int
to_pem(const struct cert *x, struct blob *ret)
{
	_cleanup_(bio_freep) BIO *bio = BIO_new(BIO_s_mem());
	char *data = NULL;
	long n;

	if (bio == NULL ||
	    PEM_write_bio(bio, PEM_STRING_X509, "", x->der.data,
		(long)x->der.len) <= 0)
		return CVM_E_NOMEM;
	n = BIO_get_mem_data(bio, &data);
	return n > 0 ? blob_set(ret, span(data, (size_t)n)) : CVM_E_NOMEM;
}

/* The CA below the root, then the root. */
static int
split_chain(struct span body, const char *url, struct blob ret[static 2],
    struct why *why)
{
	quiet_openssl();
	struct cert *v[CHAIN_CERTS_MAX] = { NULL };
	size_t n = 0;
	int r = certs_from_pem(body, v, NELEMS(v), &n);

	if (r < 0 || n != 2)
		r = why_set(why, CVM_E_PARSE, url, "answer",
		    "two certificates in PEM", "something else");
	for (size_t i = 0; i < 2 && r == CVM_OK; i++)
		r = to_pem(v[i], &ret[i]);
	for (size_t i = 0; i < n; i++)
		cert_freep(&v[i]);
	return r;
}

/* A PCCS answers with the hex digits of the DER. */
static int
maybe_hex(struct span body, struct blob *ret)
{
	_cleanup_(
	    freep) char *text = strndup((const char *)body.data, body.len);

	if (text == NULL)
		return CVM_E_NOMEM;
	text[strcspn(text, "\r\n")] = '\0';
	return hex_decode_blob(text, ENDORSEMENTS_FILE_MAX, ret) == CVM_OK &&
		ret->len > 0 ?
	    CVM_OK :
	    blob_set(ret, body);
}

int
collateral_split(const struct request *q, const char *url,
    struct http_answer *a, struct blob ret[static 2], struct why *reterr_why)
{
	int r;

	if (q->answer == ANSWER_CA_CHAIN)
		return split_chain(blob_span(&a->body), url, ret, reterr_why);
	if (q->answer == ANSWER_HEX_OR_BYTES)
		return maybe_hex(blob_span(&a->body), &ret[0]);
	if (q->header != NULL) {
		r = percent_decode(blob_span(&a->header), &ret[1]);
		if (r < 0 || ret[1].len == 0)
			return why_set(reterr_why, CVM_E_PARSE, url, q->header,
			    "a certificate chain in PEM, percent-encoded",
			    r < 0 ? "something else" : "no such header");
	}
	ret[0] = a->body;
	a->body = (struct blob){ 0 };
	return CVM_OK;
}
