/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/log-maker.h"
#include "tests/unit/stage.h"
#include "tests/unit/tdx-bench.h"

/* What is odd about this machine is what a policy has to allow: an old QE,
 * bytes behind the quote. */
static void
spoil(struct tdx_spec *spec)
{
	spec->qe_report[QE_ISVSVN] = 2;
	memset(spec->flags, 0xff, sizeof(spec->flags));
	assert_int_equal(blob_set(&spec->trailing, span("junk", 4)), 0);
}

/* A boot that did not end and without protection. */
static void
spoil_boot(struct made_log *l)
{
	static const char off[] = "DMA Protection Disabled";

	made_remove(l, made_find(l, MADE_EXIT));
	made_insert(l, 2, 7, (uint32_t)EV_EFI_ACTION, span(off, strlen(off)),
	    span(NULL, 0));
}

static uint64_t
le64(const uint8_t *p)
{
	uint64_t v = 0;

	for (int i = 7; i >= 0; i--)
		v = v << 8 | p[i];
	return v;
}

static void
say_values(struct stage *s, const struct bench *b, enum stage_kind kind)
{
	static const struct {
		const char *name;
		size_t at;
	} rows[] = { { "mrtd", AT_MRTD }, { "mrseam", AT_MRSEAM },
		{ "mrconfigid", AT_MRCONFIGID }, { "mrowner", AT_MROWNER },
		{ "mrownerconfig", AT_MROWNERCONFIG },
		{ "mrservicetd", AT_MRSERVICETD } };

	for (size_t i = 0; i < NELEMS(rows); i++)
		if (rows[i].at != AT_MRSERVICETD || kind == STAGE_TDX_5)
			stage_say_hex(s, rows[i].name,
			    b->spec.body + rows[i].at, 48);
	stage_say_hex(s, "roots", b->made.root_spki, SHA256_LEN);
	stage_say_hex(s, "fmspc", b->spec.fmspc, 6);
	stage_say_hex(s, "platform_instance_id", b->spec.instance, 16);
}

/* Up to the end of "tdx". */
static void
say_tdx(struct stage *s, const struct bench *b, enum stage_kind kind)
{
	char hex[2 * SHA384_LEN + 1];

	stage_say(s,
	    "{\"version\":1,\"name\":\"stage\",\"tee\":\"tdx\","
	    "\"bind\":\"session\",\"session_max_age_s\":300,"
	    "\"tee_report_max_age_s\":10,\"older_collateral\":\"warn\","
	    "\"tdx\":{");
	say_values(s, b, kind);
	stage_say_launch(s, span(b->spec.body + AT_MRTD, 48), TDX_MAKER_NOW,
	    "ram_gib");
	stage_say(s, "\"rtmr_sets\":[{\"label\":\"current\"");
	for (size_t i = 0; i < 4; i++)
		stage_say(s, ",\"rtmr%zu\":\"%s\"", i,
		    hex_encode(span(b->spec.body + AT_RTMR0 + i * SHA384_LEN,
				   SHA384_LEN),
			hex, sizeof(hex)));
	stage_say(s,
	    "}],\"td_attributes\":{\"debug\":\"forbid\","
	    "\"sept_ve_disable\":\"require\",\"migratable\":\"forbid\","
	    "\"pks\":\"forbid\",\"key_locker\":\"forbid\","
	    "\"perfmon\":\"forbid\"},\"xfam\":\"0x%" PRIx64 "\","
	    "\"tcb_status\":[\"OutOfDate\"],"
	    "\"advisories\":[\"INTEL-SA-00999\"],"
	    "\"min_tcb_evaluation_data_number\":19,"
	    "\"min_tee_tcb_svn\":\"%s\",\"trailing_bytes\":true,"
	    "\"platform\":{\"dynamic\":true,\"cached_keys\":true,"
	    "\"smt\":true}},",
	    le64(b->spec.body + AT_XFAM),
	    hex_encode(span(b->spec.body + AT_TEE_TCB_SVN, 16), hex,
		sizeof(hex)));
}

static void
say_policy(struct stage *s, const struct bench *b, const struct made_log *l,
    enum stage_kind kind)
{
	say_tdx(s, b, kind);
	stage_say_log(s, l);
	stage_say(s,
	    "\"dma_protection\":false,\"exit_boot_services\":false,"
	    "\"unlogged_rtmrs\":[3]}}");
}

/* The quote, over what the CCEL leads to. */
static void
make_td(struct stage *s, struct bench *b, const struct made_log *ccel)
{
	struct pcr_values rtmrs;

	spoil(&b->spec);
	if (ccel != NULL) {
		made_log_build(ccel, &s->e.ccel, &rtmrs);
		for (size_t i = 0; i < 4; i++)
			memcpy(b->spec.body + AT_RTMR0 + i * SHA384_LEN,
			    rtmrs.value[i + 1], SHA384_LEN);
	}
	/* The system goes on where the log has ended. */
	memset(b->spec.body + AT_RTMR0 + 3 * SHA384_LEN, 0x33, SHA384_LEN);
	bench_make(b);
	s->e.tee = TEE_TDX;
	assert_int_equal(blob_set(&s->e.tee_report, blob_span(&b->made.quote)),
	    0);
	memcpy(s->a.report_data, b->spec.body + AT_REPORTDATA, REPORT_DATA_LEN);
	s->a.now = TDX_MAKER_NOW;
	s->endorsements = TAKE_PTR(b->endorsements);
}

static struct bench *
td_begin(unsigned version)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	bench_begin(b, version);
	return b;
}

static void
td_end(struct bench *b)
{
	blob_clear(&b->spec.trailing);
	bench_end(b);
	free(b);
}

void
stage_tdx(struct stage *s, enum stage_kind kind)
{
	struct bench *b = td_begin(kind == STAGE_TDX_4 ? 4 : 5);
	struct made_log l;

	made_log_init(&l, LOG_CCEL);
	spoil_boot(&l);
	make_td(s, b, &l);
	say_policy(s, b, &l, kind);
	made_log_clear(&l);
	td_end(b);
}

void
stage_tdx_tpm(struct stage *s, const struct made_log *tpm,
    const struct made_log *ccel)
{
	struct bench *b = td_begin(5);

	make_td(s, b, ccel);
	(void)stage_quote(s, tpm);
	say_tdx(s, b, STAGE_TDX_5);
	stage_say_pinned(s);
	stage_say_pcrs(s);
	stage_say_log(s, tpm);
	stage_say(s,
	    "\"technology\":[\"INTEL_TDX\"],\"min_gce_firmware\":2,"
	    "\"dma_protection\":true,\"exit_boot_services\":true,"
	    "\"unlogged_pcrs\":[%d],\"unlogged_rtmrs\":[3]}}",
	    STAGE_IMA_PCR);
	td_end(b);
}

void
stage_logs(struct made_log *tpm, struct made_log *ccel)
{
	made_log_init(tpm, LOG_TCG);
	tpm->others[0].alg = MADE_ALG_SHA384;
	tpm->others[0].len = SHA384_LEN;
	tpm->n_others = 1;
	made_find(tpm, MADE_TECHNOLOGY)->data.data[16] = 3; /* INTEL_TDX */
	made_log_init(ccel, LOG_CCEL);
}

void
stage_tdx_both(struct stage *s, enum stage_kind kind)
{
	struct made_log tpm, ccel;

	stage_logs(&tpm, &ccel);
	stage_tdx_tpm(s, &tpm, kind == STAGE_TDX_TPM ? &ccel : NULL);
	made_log_clear(&tpm);
	made_log_clear(&ccel);
}
