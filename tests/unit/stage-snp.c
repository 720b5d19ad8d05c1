/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "attest/derive.h"
#include "attest/instance.h"
#include "tests/unit/azure-maker.h"
#include "tests/unit/launch-maker.h"
#include "tests/unit/log-maker.h"
#include "tests/unit/quote-maker.h"
#include "tests/unit/stage.h"
#include "tests/unit/svsm-maker.h"

/* "z", 5, "p", 7, "n", and isProduction FALSE. */
#define TEST_VM "30180c017a0201050c01700201070c016ea0073005a103010100"

int
stage_setup(void **state)
{
	return snp_maker_setup(state);
}

int
stage_teardown(void **state)
{
	launch_maker_end();
	return snp_maker_teardown(state);
}

static void
say_head(struct stage *s)
{
	stage_say(s,
	    "{\"version\":1,\"name\":\"stage\",\"tee\":\"snp\","
	    "\"bind\":\"session\",\"session_max_age_s\":300,"
	    "\"tee_report_max_age_s\":10,\"older_collateral\":\"warn\","
	    "\"snp\":{");
}

static void
say_values(struct stage *s, const struct snp_machine *m)
{
	static const struct {
		const char *name;
		size_t at, len;
	} rows[] = { { "host_data", AT_HOST_DATA, 32 },
		{ "family_id", AT_FAMILY_ID, 16 },
		{ "image_id", AT_IMAGE_ID, 16 },
		{ "report_id", AT_REPORT_ID, 32 },
		{ "id_key_digest", AT_ID_KEY, 48 },
		{ "author_key_digest", AT_AUTHOR_KEY, 48 },
		{ "chip_id", AT_CHIP_ID, 64 } };

	for (size_t i = 0; i < NELEMS(rows); i++)
		stage_say_hex(s, rows[i].name, m->report + rows[i].at,
		    rows[i].len);
}

/* What every policy of an SEV-SNP machine has, but for what comes next. */
static void
say_basics(struct stage *s, const struct snp_machine *m, const char *product)
{
	stage_say(s, "\"products\":[\"%s\"],", product);
	stage_say_hex(s, "roots", m->root_pin, SHA256_LEN);
	stage_say_hex(s, "measurement", m->report + AT_MEASUREMENT, 48);
}

static void
turin(struct stage *s)
{
	static const char *const minimums[] = { "min_tcb", "min_launch_tcb",
		"min_committed_tcb" };
	struct snp_machine m;

	snp_machine_init(&m, SNP_TURIN, false);
	snp_machine_build(&m, &s->e, &s->endorsements);
	memcpy(s->a.report_data, m.report + AT_REPORT_DATA, REPORT_DATA_LEN);
	say_head(s);
	say_basics(s, &m, "turin");
	say_values(s, &m);
	stage_say_launch(s, span(m.report + AT_MEASUREMENT, 48), SNP_NOW,
	    "vcpus");
	stage_say(s,
	    "\"signing_keys\":[\"vcek\"],\"vmpl\":0,\"guest_policy\":{"
	    "\"debug\":\"forbid\",\"migrate_ma\":\"forbid\","
	    "\"smt\":\"require\",\"single_socket\":\"forbid\","
	    "\"cxl\":\"forbid\",\"aes256_xts\":\"forbid\","
	    "\"rapl_dis\":\"forbid\",\"ciphertext_hiding\":\"forbid\","
	    "\"page_swap_disable\":\"forbid\",\"min_abi\":\"1.31\"},"
	    "\"platform_info\":{\"smt\":\"require\",\"tsme\":\"forbid\","
	    "\"ecc\":\"require\",\"rapl_dis\":\"forbid\","
	    "\"ciphertext_hiding\":\"forbid\",\"alias_check\":\"require\","
	    "\"iommu_write_safe\":\"require\",\"tio\":\"forbid\"},");
	for (size_t i = 0; i < NELEMS(minimums); i++)
		stage_say(s,
		    "\"%s\":{\"fmc\":1,\"bootloader\":4,\"tee\":2,"
		    "\"snp\":24,\"microcode\":219},",
		    minimums[i]);
	stage_say(s,
	    "\"min_guest_svn\":7,\"min_firmware\":\"1.55.29\","
	    "\"mitigations\":\"0x5\",\"crl\":\"require\"}}");
}

/* What is odd about this machine is what its policy has to allow. */
static void
vlek(struct stage *s)
{
	struct snp_machine m;

	snp_machine_init(&m, SNP_MILAN, true);
	m.report[AT_CURRENT_TCB + 7]++;
	m.with_crl = false;
	snp_machine_build(&m, &s->e, &s->endorsements);
	memcpy(s->a.report_data, m.report + AT_REPORT_DATA, REPORT_DATA_LEN);
	say_head(s);
	say_basics(s, &m, "milan");
	stage_say(s,
	    "\"signing_keys\":[\"vlek\"],\"csp_id\":[\"%s\"],"
	    "\"masked_chip_id\":true,\"provisional_firmware\":true,"
	    "\"min_tcb\":{\"snp\":24},\"crl\":\"skip\"}}",
	    m.csp[0]);
}

/* A certificate for the key, of a CA of the test's own. */
static void
certify(struct stage *s, const struct quote_plan *q,
    uint8_t root_pin[static SHA256_LEN])
{
	struct cert_spec spec = { .cn = "AK root",
		.serial = 1,
		.from = SNP_NOW - SNP_DAY,
		.until = SNP_NOW + SNP_DAY,
		.constraints = "critical,CA:TRUE",
		.usage = "critical,keyCertSign,cRLSign",
		.sign = { .md = "SHA256" },
		.version = X509_VERSION_3,
		.key_ids = true };
	EVP_PKEY *key = maker_ec("P-256");
	X509 *root = maker_cert(&spec, key, NULL, key), *leaf;
	_cleanup_(blob_clear) struct blob pem = { 0 };

	spec.cn = "AK";
	spec.serial = 77;
	spec.constraints = "critical,CA:FALSE";
	spec.usage = "critical,digitalSignature";
	spec.exts[0] = (struct ext_spec){ GCE_INSTANCE_OID, TEST_VM, false };
	leaf = maker_cert(&spec, quote_key(q), root, key);
	maker_cert_der(leaf, &s->e.ak_cert);
	maker_cert_pem(root, &pem);
	maker_spki(root, root_pin);
	assert_int_equal(endorsements_add(s->endorsements, "google/ak-root.pem",
			     blob_span(&pem)),
	    0);
	X509_free(leaf);
	X509_free(root);
	EVP_PKEY_free(key);
}

static void
say_ak(struct stage *s, enum stage_kind kind, const struct quote_plan *q)
{
	uint8_t pin[SHA256_LEN];

	if (kind == STAGE_GCE) {
		certify(s, q, pin);
		stage_say(s, "\"tpm\":{\"ak\":{\"trust\":\"gce\",");
		stage_say_hex(s, "roots", pin, sizeof(pin));
		stage_say(s, "\"crl\":\"skip\",");
		stage_say(s,
		    "\"instance\":{\"zone\":\"z\",\"project_id\":\"p\","
		    "\"project_number\":\"5\",\"instance_id\":\"7\","
		    "\"instance_name\":\"n\",\"production\":false}},");
		return;
	}
	stage_say_pinned(s);
}

static void
google(struct stage *s, enum stage_kind kind)
{
	struct snp_machine m;
	struct quote_plan q;
	struct made_log l;

	snp_machine_init(&m, SNP_MILAN, false);
	snp_machine_build(&m, &s->e, &s->endorsements);
	memcpy(s->a.report_data, m.report + AT_REPORT_DATA, REPORT_DATA_LEN);
	made_log_init(&l, LOG_TCG);
	q = stage_quote(s, &l);
	say_head(s);
	say_basics(s, &m, "milan");
	stage_say(s, "\"min_tcb\":{\"snp\":24}},");
	say_ak(s, kind, &q);
	stage_say_pcrs(s);
	stage_say_log(s, &l);
	stage_say(s,
	    "\"technology\":[\"AMD_SEV_SNP\"],\"min_gce_firmware\":2,"
	    "\"dma_protection\":true,\"exit_boot_services\":true,"
	    "\"unlogged_pcrs\":[%d]}}",
	    STAGE_IMA_PCR);
	made_log_clear(&l);
}

/* Takes over what a machine of another maker is made of. */
static void
take(struct stage *s, struct evidence *e, struct endorsements **endorsements,
    const struct appraisal *a)
{
	s->e = *e;
	memset(e, 0, sizeof(*e));
	s->endorsements = TAKE_PTR(*endorsements);
	memcpy(s->a.report_data, a->report_data, REPORT_DATA_LEN);
	memcpy(s->a.qualifying, a->qualifying, QUALIFYING_LEN);
}

static void
azure(struct stage *s)
{
	struct azure *z = azure_new();

	azure_build(z);
	take(s, &z->e, &z->endorsements, &z->a);
	say_head(s);
	say_basics(s, &z->m, "milan");
	stage_say(s,
	    "\"min_tcb\":{\"snp\":24}},\"tpm\":{\"ak\":{"
	    "\"trust\":\"azure\",\"vm\":{\"secure_boot\":\"require\","
	    "\"console\":\"require\","
	    "\"ids\":[\"26f8bc30-774e-4290-8e7a-535f3b672aee\"]}},"
	    "\"pcr_sets\":[{\"label\":\"current\",\"pcrs\":{\"0\":\"");
	for (int i = 0; i < SHA256_LEN; i++)
		stage_say(s, "5a");
	stage_say(s, "\"}}]}}");
	azure_free(&z);
}

static void
svsm(struct stage *s)
{
	struct guest *g = guest_new();

	guest_build(g);
	g->e.ak_activated = false; /* the key is named instead */
	take(s, &g->e, &g->endorsements, &g->a);
	say_head(s);
	say_basics(s, &g->m, "milan");
	stage_say(s, "\"vmpl\":0,\"min_tcb\":{\"snp\":24}},\"tpm\":{\"ak\":{");
	stage_say_hex(s, "eks", g->ek.data, g->ek.len);
	stage_say_hex(s, "names", g->ak.data, g->ak.len);
	stage_say(s,
	    "\"trust\":\"svsm\"},\"bank\":\"sha256\","
	    "\"pcr_sets\":[{\"label\":\"current\",\"pcrs\":{\"0\":\"");
	for (int i = 0; i < SHA256_LEN; i++)
		stage_say(s, "5a");
	stage_say(s, "\"}}]}}");
	guest_free(&g);
}

void
stage_snp(struct stage *s, enum stage_kind kind)
{
	s->a.now = SNP_NOW;
	if (kind == STAGE_SNP)
		turin(s);
	else if (kind == STAGE_VLEK)
		vlek(s);
	else if (kind == STAGE_AZURE)
		azure(s);
	else if (kind == STAGE_SVSM)
		svsm(s);
	else
		google(s, kind);
}
