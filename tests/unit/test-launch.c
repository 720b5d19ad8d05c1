/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "attest/launch.h"
#include "attest/snp.h"
#include "tests/unit/denied.h"
#include "tests/unit/launch-maker.h"

/* Google's launch endorsement: what is accepted, and what is not. */

#define NOW INT64_C(1780000000)

static uint8_t measurement[SHA384_LEN];

struct scene {
	struct launch_plan plan;
	struct launch_made made;
	struct policy_launch policy;
	struct blob pin;
	struct endorsements *endorsements;
	struct appraisal a;
	struct appraisal_facts facts;
	struct verdict v;
	struct launch_case c;
	struct snp_report snp;
	uint8_t family[16], image[16];
	bool in_file;
};

static struct scene *
scene_new(bool tdx)
{
	struct scene *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	memset(measurement, 0x5c, sizeof(measurement));
	s->plan = launch_plan(span(measurement, sizeof(measurement)), NOW);
	s->policy.min_svn = LAUNCH_SVN;
	s->policy.shape = LAUNCH_SHAPE;
	s->endorsements = endorsements_new();
	s->a = (struct appraisal){ .endorsements = s->endorsements,
		.now = NOW };
	s->c = (struct launch_case){ .a = &s->a,
		.v = &s->v,
		.facts = &s->facts,
		.policy = &s->policy,
		.first = tdx ? CHECK_TDX_75 : CHECK_SNP_56,
		.measurement = span(measurement, sizeof(measurement)),
		.tdx = tdx,
		.snp = tdx ? NULL : &s->snp };
	s->snp.policy = SNP_POLICY_ONE | SNP_POLICY_SMT | 0x0133;
	s->snp.family_id = span(s->family, sizeof(s->family));
	s->snp.image_id = span(s->image, sizeof(s->image));
	return s;
}

static void
scene_free(struct scene **s)
{
	launch_made_clear(&(*s)->made);
	blob_clear(&(*s)->pin);
	endorsements_freep(&(*s)->endorsements);
	free(*s);
	*s = NULL;
}
#define SCENE(s, tdx) _cleanup_(scene_free) struct scene *s = scene_new(tdx)

static void
make(struct scene *s)
{
	launch_made_clear(&s->made);
	launch_make(&s->plan, &s->made);
	assert_int_equal(blob_set(&s->pin, span(s->made.root_pin, SHA256_LEN)),
	    0);
	s->policy.roots = (struct value_list){ &s->pin, 1 };
}

static bool
judge(struct scene *s)
{
	char hex[2 * SHA384_LEN + 1], name[160];
	bool went;

	(void)snprintf(name, sizeof(name), LAUNCH_NAME_FORMAT,
	    hex_encode(s->c.measurement, hex, sizeof(hex)));
	if (s->in_file && endorsements_find(s->endorsements, name).len > 0)
		s->c.carried = span(NULL, 0); /* there since the last time */
	else if (s->in_file)
		assert_int_equal(endorsements_add(s->endorsements, name,
				     blob_span(&s->made.message)),
		    0);
	else
		s->c.carried = blob_span(&s->made.message);
	verdict_init(&s->v, s->c.tdx ? GROUP_TDX : GROUP_SNP);
	facts_init(&s->facts);
	went = launch_appraise(&s->c);
	verdict_finish(&s->v);
	for (int i = 0; i < LAUNCH_CHECKS; i++)
		if (s->v.results[(int)s->c.first + i].status == CHECK_FAIL) {
			assert_false(went);
			print_message("# %s: expected %s, got %s\n",
			    check_table[(int)s->c.first + i].name,
			    s->v.results[(int)s->c.first + i].expected,
			    s->v.results[(int)s->c.first + i].got);
		}
	return went;
}

static void
accepted(struct scene *s)
{
	assert_true(judge(s));
	for (int i = 0; i < LAUNCH_CHECKS; i++)
		assert_int_equal(s->v.results[(int)s->c.first + i].status,
		    CHECK_PASS);
}

/* By the n-th check alone. */
static void
denied(struct scene *s, int n)
{
	assert_false(judge(s));
	for (int i = 0; i < LAUNCH_CHECKS; i++) {
		const struct check_result *r =
		    &s->v.results[(int)s->c.first + i];

		assert_int_equal(r->status == CHECK_FAIL, i == n);
		assert_true(
		    i != n || (r->expected[0] != '\0' && r->got[0] != '\0'));
	}
}

static void
good_endorsement_refused(void **state)
{
	(void)state;
	for (int tdx = 0; tdx < 2; tdx++)
		for (int file = 0; file < 2; file++) {
			SCENE(s, tdx);

			s->in_file = file;
			make(s);
			accepted(s);
			assert_true(s->facts.valid_until > NOW &&
			    s->facts.valid_until <= NOW + 86400);
			s->policy.shape = 0;
			accepted(s);
			s->policy.min_svn = 0;
			accepted(s);
		}
}

static void
nothing_asked(void **state)
{
	SCENE(s, false);

	(void)state;
	assert_true(judge(s));
	for (int i = 0; i < LAUNCH_CHECKS; i++)
		assert_int_equal(s->v.results[(int)s->c.first + i].status,
		    CHECK_SKIPPED);
}

static void
endorsement_missing(bool tdx)
{
	SCENE(s, tdx);

	make(s);
	blob_clear(&s->made.message);
	denied(s, 0);
}

static void
root_not_pinned_or_missing(void **state)
{
	SCENE(s, true);

	(void)state;
	make(s);
	s->pin.data[31] ^= 1;
	denied(s, 1);
	s->pin.data[31] ^= 1;
	accepted(s);
	s->plan.no_bundle = true;
	make(s);
	denied(s, 1);
	assert_int_equal(endorsements_add(s->endorsements, LAUNCH_ROOT_FILE,
			     blob_span(&s->made.root_pem)),
	    0);
	accepted(s);
	s->plan.other_root = true;
	make(s);
	denied(s, 1);
}

static void
certificate_unfit(void **state)
{
	static const struct {
		bool root;
		int64_t from, until;
		const char *usage, *md;
	} rows[] = {
		{ .until = NOW - 1 },
		{ .from = NOW + 1 },
		{ .root = true, .until = NOW - 1 },
		{ .root = true, .from = NOW + 1 },
		{ .usage = "critical,keyEncipherment" },
		{ .usage = "critical,keyCertSign" },
		{ .root = true, .usage = "critical,digitalSignature" },
		{ .md = "SHA1" },
		{ .root = true, .md = "SHA1" },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		SCENE(s, false);
		struct cert_spec *x = rows[i].root ? &s->plan.root :
						     &s->plan.leaf;

		if (rows[i].from != 0)
			x->from = rows[i].from;
		if (rows[i].until != 0)
			x->until = rows[i].until;
		if (rows[i].usage != NULL)
			x->usage = rows[i].usage;
		if (rows[i].md != NULL)
			x->sign.md = rows[i].md;
		make(s);
		denied(s, 1);
	}
}

static void
signature_of_another_kind(bool tdx)
{
	SCENE(s, tdx);

	s->plan.salt = 20;
	make(s);
	denied(s, 2);
	s->plan.salt = 64;
	make(s);
	denied(s, 2);
	s->plan.salt = 32;
	s->plan.md = "SHA384";
	make(s);
	denied(s, 2);
	s->plan.md = "SHA256";
	s->plan.pkcs1 = true;
	make(s);
	denied(s, 2);
	s->plan.pkcs1 = false;
	s->plan.small = true;
	make(s);
	denied(s, 2);
	s->plan.small = false;
	make(s);
	accepted(s);
}

/* Every byte: refused by whichever check comes to it first. */
static void
message_changed(bool tdx)
{
	SCENE(s, tdx);

	make(s);
	for (size_t i = 0; i < s->made.message.len; i += 7) {
		s->made.message.data[i] ^= 0x04;
		verdict_init(&s->v, tdx ? GROUP_TDX : GROUP_SNP);
		s->c.carried = blob_span(&s->made.message);
		assert_false(launch_appraise(&s->c));
		s->made.message.data[i] ^= 0x04;
	}
	accepted(s);
}

static void
provenance_missing_or_of_the_future(bool tdx)
{
	SCENE(s, tdx);

	s->plan.seconds = 0;
	make(s);
	denied(s, 3);
	s->plan.seconds = NOW + 1;
	make(s);
	denied(s, 3);
	s->plan.seconds = UINT64_MAX;
	make(s);
	denied(s, 3);
	s->plan.seconds = NOW;
	s->plan.cl_spec = 0;
	make(s);
	denied(s, 3);
	s->plan.seconds = 1700000000; /* they did not say it then */
	make(s);
	accepted(s);
}

static void
measurement_not_endorsed(void **state)
{
	(void)state;
	for (int tdx = 0; tdx < 2; tdx++) {
		SCENE(s, tdx);
		uint8_t other[SHA384_LEN];

		make(s);
		s->policy.shape = LAUNCH_SHAPE + 1; /* has another value */
		denied(s, 4);
		s->policy.shape = LAUNCH_SHAPE + 3; /* has none */
		denied(s, 4);
		memset(other, 0x5c, sizeof(other));
		other[47] ^= 1;
		s->policy.shape = 0;
		s->c.measurement = span(other, sizeof(other));
		denied(s, 4);
	}
}

static void
endorsement_of_another_technology(void **state)
{
	SCENE(s, false);
	SCENE(t, true);

	(void)state;
	s->plan.snp = t->plan.tdx = false;
	s->policy.min_svn = t->policy.min_svn = 0;
	make(s);
	denied(s, 4);
	make(t);
	denied(t, 4);
}

/* By SNP-62 alone. */
static void
guest_denied(struct scene *s)
{
	assert_false(judge(s));
	for (int i = 0; i < LAUNCH_CHECKS; i++)
		assert_int_equal(s->v.results[(int)s->c.first + i].status,
		    CHECK_PASS);
	assert_int_equal(s->v.results[CHECK_SNP_62].status, CHECK_FAIL);
}

static void
guest_admitted(struct scene *s)
{
	accepted(s);
	assert_int_equal(s->v.results[CHECK_SNP_62].status, CHECK_PASS);
}

static void
guest_policy_looser_than_endorsed(void **state)
{
	static const uint64_t may[] = { SNP_POLICY_MIGRATE_MA, SNP_POLICY_DEBUG,
		SNP_POLICY_CXL };
	static const uint64_t must[] = { SNP_POLICY_SINGLE_SOCKET,
		SNP_POLICY_AES256_XTS, SNP_POLICY_RAPL_DIS,
		SNP_POLICY_CIPHERTEXT_HIDING, SNP_POLICY_PAGE_SWAP_DISABLE };
	uint64_t good;

	SCENE(s, false);

	(void)state;
	good = s->snp.policy;
	s->plan.policy = good;
	make(s);
	guest_admitted(s);
	for (size_t i = 0; i < NELEMS(may); i++) {
		s->snp.policy = good | may[i];
		guest_denied(s);
	}
	s->snp.policy = good - 1; /* an older ABI */
	guest_denied(s);
	s->snp.policy = good + 1;
	guest_admitted(s);
	s->snp.policy = good & ~SNP_POLICY_SMT; /* stricter */
	guest_admitted(s);
	for (size_t i = 0; i < NELEMS(must); i++) {
		s->plan.policy = good | must[i];
		make(s);
		s->snp.policy = good;
		guest_denied(s);
		s->snp.policy = good | must[i];
		guest_admitted(s);
	}
	s->plan.policy = 0;
	make(s);
	s->snp.policy = good | SNP_POLICY_DEBUG;
	guest_admitted(s); /* SNP-30 says what it says */
}

static void
id_block_of_another_image(void **state)
{
	static const uint8_t family[16] = { 1 }, image[16] = { 2 };

	SCENE(s, false);

	(void)state;
	s->plan.family = span(family, sizeof(family));
	s->plan.image = span(image, sizeof(image));
	make(s);
	guest_admitted(s); /* without an ID block */
	s->family[0] = 1;
	guest_admitted(s);
	s->image[0] = 2;
	guest_admitted(s);
	s->image[15] = 1;
	guest_denied(s);
	s->image[15] = 0;
	s->family[0] = 2;
	guest_denied(s);
	s->plan.family.len = 15;
	make(s);
	denied(s, 0);
	s->plan.family.len = 16;
	s->plan.image.len = 1;
	make(s);
	denied(s, 0);
}

/* At VMPL 0 without an SVSM a guest could write its manifest itself. */
static void
machine_without_svsm_taken_for_one(void **state)
{
	uint8_t other[SHA384_LEN + 1] = { 0x77 };

	SCENE(s, false);

	(void)state;
	make(s);
	s->c.svsm = true;
	denied(s, 4);
	s->plan.svsm = span(other, SHA384_LEN);
	make(s);
	denied(s, 4);
	s->plan.svsm = span(measurement, SHA384_LEN);
	s->plan.measurement = span(other, SHA384_LEN);
	make(s);
	accepted(s);
	s->c.svsm = false;
	denied(s, 4);
	s->plan.svsm = span(other, SHA384_LEN + 1);
	make(s);
	denied(s, 0);
}

static void
endorsement_too_old(void **state)
{
	SCENE(s, true);

	(void)state;
	make(s);
	s->policy.min_svn = LAUNCH_SVN + 1;
	denied(s, 5);
	s->policy.min_svn = UINT32_MAX;
	denied(s, 5);
	s->policy.min_svn = LAUNCH_SVN;
	accepted(s);
}

/* Protocol Buffers. */

static void
append(struct scene *s, bool outer, const char *hex)
{
	static uint8_t bytes[128];
	size_t n = strlen(hex) / 2;

	assert_int_equal(hex_decode(hex, bytes, n), 0);
	s->plan.extra = s->plan.outer = span(NULL, 0);
	*(outer ? &s->plan.outer : &s->plan.extra) = span(bytes, n);
	make(s);
}

static void
field_unknown_refused(void **state)
{
	/* a varint, 64 bits, bytes, 32 bits; number 15, and a large one */
	static const char *const rows[] = { "7801", "790102030405060708",
		"7a03010203", "7d01020304", "f8ffffff0f01", "78808001" };

	(void)state;
	for (size_t i = 0; i < 2 * NELEMS(rows); i++) {
		SCENE(s, false);

		append(s, i % 2, rows[i / 2]);
		accepted(s);
	}
}

static void
message_malformed(void **state)
{
	static const struct {
		bool outer;
		const char *hex;
	} rows[] = {
		{ false, "1001" },	 /* cl_spec twice */
		{ false, "0a00" },	 /* timestamp twice */
		{ false, "2200" },	 /* cert twice */
		{ false, "3200" },	 /* ca_bundle twice */
		{ false, "3a00" },	 /* sev_snp twice */
		{ false, "4200" },	 /* tdx twice */
		{ true, "0a00" },	 /* what is signed twice */
		{ true, "1200" },	 /* signature twice */
		{ false, "12020102" },	 /* cl_spec as bytes */
		{ true, "0801" },	 /* what is signed as a number */
		{ false, "7b7c" },	 /* a group */
		{ false, "7e" },	 /* wire type 6 */
		{ false, "7f" },	 /* wire type 7 */
		{ false, "78" },	 /* no value */
		{ false, "7880" },	 /* half of one */
		{ false, "7a05010203" }, /* too few bytes */
		{ false, "79010203" },	 /* too few again */
		{ false, "0201" },	 /* number 0 */
		{ false, "78ffffffffffffffffff02" },   /* 65 bits */
		{ false, "78ffffffffffffffffffff01" }, /* 11 bytes */
		{ false, "7affffffffffffffffff01" },   /* endless */
		{ false, "8080808010ff" },	       /* number 2^29 */
		{ true, "ff" },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		SCENE(s, false);

		append(s, rows[i].outer, rows[i].hex);
		denied(s, 0);
	}
}

static int
parse_part(uint32_t field, const char *hex)
{
	struct writer golden = { 0 }, w = { 0 };
	struct blob b = { 0 }, message = { 0 };
	struct launch_endorsement e;
	struct why why = { 0 };
	uint8_t bytes[256];
	size_t n = strlen(hex) / 2;
	int r;

	assert_int_equal(hex_decode(hex, bytes, n), 0);
	launch_bytes(&golden, field, span(bytes, n));
	assert_int_equal(writer_end(&golden, &b), 0);
	launch_bytes(&w, 1, blob_span(&b));
	launch_bytes(&w, 2, span("x", 1));
	assert_int_equal(writer_end(&w, &message), 0);
	r = launch_parse(blob_span(&message), &e, &why);
	assert_true(r == 0 || why.expected[0] != '\0');
	blob_clear(&b);
	blob_clear(&message);
	return r;
}

#define M48 /* 48 bytes */                                                     \
	"111111111111111111111111111111111111111111111111"                     \
	"111111111111111111111111111111111111111111111111"
#define M47                                                                    \
	"1111111111111111111111111111111111111111111111"                       \
	"111111111111111111111111111111111111111111111111"

static const struct {
	uint32_t field;
	bool good;
	const char *hex;
} parts[] = {
	{ 7, true, "123408041230" M48 },
	{ 7, true, "12321230" M48 }, /* key 0 */
	{ 7, true, "123408041230" M48 "123408051230" M48 },
	{ 7, false, "123408041230" M48 "123408041230" M48 },
	{ 7, false, "12330804122f" M47 },
	{ 7, false, "123508041231" M48 "11" },
	{ 7, false, "12020804" }, /* no measurement */
	{ 7, false, "1236080408041230" M48 },
	{ 7, false, "12380880808080101230" M48 }, /* 33 bits */
	{ 7, false, "088080808010" },		  /* svn */
	{ 7, false, "08010801" },
	{ 8, true, "1236080410011a30" M48 },
	{ 8, true, "1236080410001a30" M48 "1236080410011a30" M48 },
	{ 8, false, "1236080410021a30" M48 },
	{ 8, false, "1235080410011a2f" M47 },
	{ 8, false, "120408041001" },
	{ 8, false, "088080808010" },
	{ 1, true, "0801" },
	{ 1, false, "08010801" },
	{ 1, false, "0a00" },
};

static void
measurements_malformed(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEMS(parts); i++)
		if ((parse_part(parts[i].field, parts[i].hex) == 0) !=
		    parts[i].good)
			fail_msg("row %zu", i);
}

static void
measurements_too_many(void **state)
{
	struct writer part = { 0 };
	struct blob b = { 0 };

	(void)state;
	for (uint32_t i = 0; i <= LAUNCH_VALUES_MAX; i++) {
		struct writer golden = { 0 }, w = { 0 }, e = { 0 };
		struct blob entry = { 0 }, g = { 0 }, message = { 0 };
		struct launch_endorsement x;

		launch_number(&e, 1, i);
		launch_bytes(&e, 2, span(measurement, sizeof(measurement)));
		assert_int_equal(writer_end(&e, &entry), 0);
		launch_bytes(&part, 2, blob_span(&entry));
		launch_bytes(&golden, 7, blob_span(&part.out));
		assert_int_equal(writer_end(&golden, &g), 0);
		launch_bytes(&w, 1, blob_span(&g));
		launch_bytes(&w, 2, span("x", 1));
		assert_int_equal(writer_end(&w, &message), 0);
		assert_int_equal(launch_parse(blob_span(&message), &x, NULL),
		    i < LAUNCH_VALUES_MAX ? CVM_OK : CVM_E_PARSE);
		blob_clear(&entry);
		blob_clear(&g);
		blob_clear(&message);
	}
	assert_int_equal(writer_end(&part, &b), 0);
	blob_clear(&b);
}

static void
message_truncated(void **state)
{
	SCENE(s, false);
	struct launch_endorsement e;

	(void)state;
	make(s);
	for (size_t n = 0; n < s->made.message.len; n++)
		assert_int_equal(launch_parse(span(s->made.message.data, n), &e,
				     NULL),
		    CVM_E_PARSE);
	assert_int_equal(launch_parse(blob_span(&s->made.message), &e, NULL),
	    CVM_OK);
	assert_int_equal(e.snp.n, 3);
	assert_int_equal(e.tdx.n, 3);
	assert_int_equal(e.snp.svn, LAUNCH_SVN);
}

static int
end(void **state)
{
	(void)state;
	launch_maker_end();
	return 0;
}

/* Each technology has check rows of its own. */
#define FOR_BOTH(fn)                                                           \
	static void fn##_snp(void **state)                                     \
	{                                                                      \
		(void)state;                                                   \
		fn(false);                                                     \
	}                                                                      \
	static void fn##_tdx(void **state)                                     \
	{                                                                      \
		(void)state;                                                   \
		fn(true);                                                      \
	}
FOR_BOTH(endorsement_missing)
FOR_BOTH(signature_of_another_kind)
FOR_BOTH(message_changed)
FOR_BOTH(provenance_missing_or_of_the_future)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_endorsement_refused),
		cmocka_unit_test(nothing_asked),
		cmocka_unit_test(endorsement_missing_snp),
		cmocka_unit_test(endorsement_missing_tdx),
		cmocka_unit_test(root_not_pinned_or_missing),
		cmocka_unit_test(certificate_unfit),
		cmocka_unit_test(signature_of_another_kind_snp),
		cmocka_unit_test(signature_of_another_kind_tdx),
		cmocka_unit_test(message_changed_snp),
		cmocka_unit_test(message_changed_tdx),
		cmocka_unit_test(provenance_missing_or_of_the_future_snp),
		cmocka_unit_test(provenance_missing_or_of_the_future_tdx),
		cmocka_unit_test(measurement_not_endorsed),
		cmocka_unit_test(endorsement_of_another_technology),
		cmocka_unit_test(guest_policy_looser_than_endorsed),
		cmocka_unit_test(id_block_of_another_image),
		cmocka_unit_test(machine_without_svsm_taken_for_one),
		cmocka_unit_test(endorsement_too_old),
		cmocka_unit_test(field_unknown_refused),
		cmocka_unit_test(message_malformed),
		cmocka_unit_test(measurements_malformed),
		cmocka_unit_test(measurements_too_many),
		cmocka_unit_test(message_truncated),
	};

	return denied_end("launch",
	    cmocka_run_group_tests_name("launch", tests, NULL, end));
}
