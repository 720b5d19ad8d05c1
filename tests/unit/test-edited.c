/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "module/gate.h"
#include "module/policy_file.h"
#include "tests/unit/scene-program.h"

/* A policy that is edited while a process has it loaded: the next round goes
 * by what the file says then, and what the former admitted is over. */

static struct {
	struct config *cfg;
	const struct config_token *tcfg;
	struct gate *g;
	struct gate_session s[3];
	struct why why;
	struct blob text; /* the policy that the token is sealed for */
} f;

static int
close_all(void **state)
{
	for (size_t i = 0; i < NELEMS(f.s); i++)
		gate_session_clear(&f.s[i]);
	gate_freep(&f.g);
	config_freep(&f.cfg);
	blob_clear(&f.text);
	return teardown(state);
}

static void
write_text(const char *path, struct span text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text.data, text.len), text.len);
	assert_int_equal(close(fd), 0);
}

static void
write_policy(struct span text)
{
	write_text(f.tcfg->policy, text);
}

/* The same policy to a reader, and another one to a seal: one blank of it
 * becomes another. The file stays as long as it was. */
static void
write_reworded_to(const char *path)
{
	_cleanup_(blob_clear) struct blob b = { 0 };
	char *at;

	assert_int_equal(blob_set(&b, blob_span(&f.text)), CVM_OK);
	at = memchr(b.data, '\t', b.len);
	assert_non_null(at);
	*at = ' ';
	write_text(path, blob_span(&b));
}

static void
write_reworded(void)
{
	write_reworded_to(f.tcfg->policy);
}

static int
opens(size_t i)
{
	gate_session_clear(&f.s[i]);
	/* A failure is remembered for retry_ms. */
	usleep(20000);
	return gate_open_session(f.g, &f.s[i], &f.why);
}

static bool
stands(size_t i)
{
	return permit_check(&f.s[i].permit, rounds_issuer(gate_rounds(f.g))) ==
	    CVM_OK;
}

static void
begin(const struct scene_options *o)
{
	scene_prepare(&scene, o);
	assert_int_equal(config_load(scene.config, &f.cfg, &f.why), CVM_OK);
	f.tcfg = &f.cfg->tokens[0];
	assert_int_equal(gate_new(f.cfg, f.tcfg, &f.g), CVM_OK);
	assert_int_equal(blob_set(&f.text, blob_span(&gate_policy(f.g)->text)),
	    CVM_OK);
	assert_int_equal(opens(0), CVM_OK);
	assert_true(stands(0));
}

#define BEGIN(...)                                                             \
	do {                                                                   \
		(void)state;                                                   \
		NEEDS_MACHINE();                                               \
		begin(&(struct scene_options){ __VA_ARGS__ });                 \
	} while (0)

static void
edited_policy_goes_unnoticed(void **state)
{
	/* The report in hand names the former policy. */
	BEGIN(.tee_max_age_s = 60);
	write_reworded();
	assert_true(stands(0));
	assert_int_equal(opens(1), CVM_E_SEALED);
	assert_non_null(strstr(f.why.hint, "reseal"));
	assert_true(scene_logged(&scene, "was changed"));
	assert_false(stands(0));
	assert_false(token_unsealed(gate_token(f.g)));
	/* As long, and written at once: only its content tells. */
	write_policy(blob_span(&f.text));
	assert_int_equal(opens(1), CVM_OK);
	assert_true(token_unsealed(gate_token(f.g)));
	assert_false(stands(0));
	assert_int_equal(opens(0), CVM_OK);
	assert_true(stands(1));
}

/* Not what the session has, but what the file says. */
static void
revoked_measurement_admits(void **state)
{
	_cleanup_(blob_clear) struct blob b = { 0 };
	char *at;

	BEGIN(0);
	assert_int_equal(blob_set(&b, blob_span(&f.text)), CVM_OK);
	at = memmem(b.data, b.len, "\"measurement\"", 13);
	assert_non_null(at);
	at = memchr(at + 13, '"', 32);
	assert_non_null(at);
	at[1] = at[1] == '0' ? '1' : '0';
	write_policy(blob_span(&b));
	assert_int_equal(opens(1), CVM_E_DENIED);
	assert_false(stands(0));
	assert_false(token_unsealed(gate_token(f.g)));
	write_policy(blob_span(&f.text));
	assert_int_equal(opens(1), CVM_OK);
}

/* Nor may a session take over what another was admitted by. */
static void
admission_of_the_former_policy_taken_over(void **state)
{
	BEGIN(.open_max_age_s = 60, .login = "pin");
	assert_int_equal(opens(1), CVM_OK);
	assert_ptr_equal(f.s[1].admission.round, f.s[0].admission.round);
	write_reworded();
	gate_session_clear(&f.s[2]);
	assert_int_equal(gate_admit(f.g, &f.s[2], &f.why), CVM_OK);
	assert_false(stands(0));
	assert_false(stands(1));
	assert_int_equal(opens(1), CVM_E_SEALED);
}

static void
half_a_policy(void)
{
	write_policy(span(f.text.data, f.text.len / 2));
}

static void
no_bytes(void)
{
	write_policy(span("", 0));
}

static void
for_everybody_to_write(void)
{
	assert_int_equal(chmod(f.tcfg->policy, 0606), 0);
}

static void
for_a_group_to_write(void)
{
	assert_int_equal(chmod(f.tcfg->policy, 0660), 0);
}

static void
gone(void)
{
	assert_int_equal(unlink(f.tcfg->policy), 0);
}

static void
a_directory(void)
{
	gone();
	assert_int_equal(mkdir(f.tcfg->policy, 0700), 0);
}

/* Nobody is admitted by what the operator does not want any more; what was
 * admitted runs out by itself, since an editor may be at work. */
static void
refused_policy_admits(void **state)
{
	static void (*const spoil[])(void) = { half_a_policy, no_bytes,
		for_everybody_to_write, for_a_group_to_write, gone,
		a_directory };

	BEGIN(0);
	for (size_t i = 0; i < NELEMS(spoil); i++) {
		spoil[i]();
		assert_int_equal(opens(1), CVM_E_CONFIG);
		assert_ptr_equal(strstr(f.why.where, f.tcfg->policy),
		    f.why.where);
		assert_true(scene_logged(&scene, "policy refused"));
		assert_int_equal(gate_state(f.g), ROUND_UNREACHABLE);
		assert_true(stands(0));
		(void)rmdir(f.tcfg->policy);
		(void)unlink(f.tcfg->policy);
		write_policy(blob_span(&f.text));
		assert_int_equal(opens(1), CVM_OK);
		assert_true(stands(0));
	}
}

/* Written anew by a tool that changed nothing. */
static void
same_policy_ends_admissions(void **state)
{
	char other[160];

	BEGIN(0);
	(void)snprintf(other, sizeof(other), "%s.new", f.tcfg->policy);
	write_text(other, blob_span(&f.text));
	assert_int_equal(rename(other, f.tcfg->policy), 0);
	assert_int_equal(opens(1), CVM_OK);
	assert_true(stands(0));
	assert_ptr_equal(f.s[0].admission.round->policy,
	    f.s[1].admission.round->policy);
}

/* The bundle of an admission names the policy that it was judged by. */
static void
bundle_names_a_later_policy(void **state)
{
	char digest[2 * POLICY_DIGEST_LEN + 1];
	_cleanup_(freep) char *json = NULL;

	BEGIN(0);
	(void)hex_encode(span(gate_policy(f.g)->digest, POLICY_DIGEST_LEN),
	    digest, sizeof(digest));
	write_reworded();
	assert_int_equal(opens(1), CVM_E_SEALED);
	assert_int_equal(gate_bundle(f.g, &f.s[0].admission, &json, &f.why),
	    CVM_OK);
	assert_non_null(strstr(json, digest));
	free(TAKE_PTR(json));
	assert_int_equal(gate_bundle(f.g, &f.s[1].admission, &json, &f.why),
	    CVM_OK);
	assert_null(strstr(json, digest));
}

/* A policy file of its own. */
struct alone {
	char dir[32], path[64];
	struct policy_file *file;
};

static void
open_alone(struct alone *a)
{
	strcpy(a->dir, "/tmp/edited-XXXXXX");
	assert_non_null(mkdtemp(a->dir));
	(void)snprintf(a->path, sizeof(a->path), "%s/policy.json", a->dir);
	write_text(a->path, blob_span(&f.text));
	assert_int_equal(policy_file_open(a->path, &a->file, &f.why), CVM_OK);
}

static void
close_alone(struct alone *a)
{
	policy_file_freep(&a->file);
	(void)unlink(a->path);
	(void)rmdir(a->dir);
}

/* Two edits within a tick of the file system's clock leave the same times, and
 * the same length. */
static void
edit_within_a_tick_unnoticed(void **state)
{
	struct alone a;
	bool changed;

	BEGIN(0);
	open_alone(&a);
	for (int i = 0; i < 50; i++) {
		write_reworded_to(a.path);
		assert_int_equal(policy_file_refresh(a.file, &changed, &f.why),
		    CVM_OK);
		assert_true(changed);
		write_text(a.path, blob_span(&f.text));
		assert_int_equal(policy_file_refresh(a.file, &changed, &f.why),
		    CVM_OK);
		assert_true(changed);
		assert_int_equal(policy_file_refresh(a.file, &changed, &f.why),
		    CVM_OK);
		assert_false(changed);
	}
	close_alone(&a);
}

/* Who gave up his rights after C_Initialize goes on by what he read. */
static void
policy_out_of_sight_refused(void **state)
{
	struct alone a;
	bool changed = true;

	BEGIN(0);
	if (geteuid() != 0)
		skip();
	open_alone(&a);
	write_text(a.path, span("{}", 2));
	assert_int_equal(seteuid(65534), 0);
	assert_int_equal(policy_file_refresh(a.file, &changed, &f.why), CVM_OK);
	assert_int_equal(seteuid(0), 0);
	assert_false(changed);
	assert_int_equal(policy_file_refresh(a.file, &changed, &f.why),
	    CVM_E_CONFIG);
	assert_false(changed);
	close_alone(&a);
}

#define ON(f) cmocka_unit_test_teardown(f, close_all)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON(edited_policy_goes_unnoticed),
		ON(revoked_measurement_admits),
		ON(admission_of_the_former_policy_taken_over),
		ON(refused_policy_admits),
		ON(same_policy_ends_admissions),
		ON(bundle_names_a_later_policy),
		ON(edit_within_a_tick_unnoticed),
		ON(policy_out_of_sight_refused),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
