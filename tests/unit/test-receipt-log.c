/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "attest/collect.h"
#include "attest/receipt_log.h"
#include "attest/receipt_verify.h"
#include "base/forkid.h"
#include "conf/file.h"
#include "tests/unit/round-scene.h"

/* The receipt log of rounds on a virtual CVM, written and verified. */

#define QUOTES "tpm.command.0x158"

static struct round_scene scene;
static char path[128];
static struct config_token cfg;

/* Rounds that keep receipts. */
struct kept {
	struct rounds *rounds;
	struct receipt_log *log;
};

static int
start(void **state)
{
	(void)state;
	round_scene_start(&scene, "");
	(void)signal(SIGXFSZ, SIG_IGN);
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	round_scene_stop(&scene);
	return 0;
}

static void
remove_logs(void)
{
	char old[160];

	(void)unlink(path);
	for (int i = 1; i < 5; i++) {
		(void)snprintf(old, sizeof(old), "%s.%06d", path, i);
		(void)unlink(old);
	}
}

static void
keep(struct kept *k)
{
	struct round_witness w;

	assert_int_equal(rounds_new(scene.cfg, scene.policy, &k->rounds),
	    CVM_OK);
	assert_int_equal(receipt_log_new(&cfg, &k->log), CVM_OK);
	receipt_log_witness(k->log, &w);
	rounds_set_witness(k->rounds, &w);
}

static void
kept_clear(struct kept *k)
{
	rounds_freep(&k->rounds);
	receipt_log_freep(&k->log);
}

static void
begin(struct kept *k, enum config_receipts_log log,
    enum config_on_failure on_failure)
{
	static char name[] = "web";
	const struct round_options o = { .tee_max_age_s = 600 };

	machine_reset(&scene.m);
	round_scene_configure(&scene, &o);
	(void)snprintf(path, sizeof(path), "%s/receipts", scene.m.dir);
	remove_logs();
	cfg = (struct config_token){ .name = name,
		.store_mode = 0640,
		.receipts = { log, path, on_failure } };
	keep(k);
}

#define BEGIN(log, on_failure)                                                 \
	_cleanup_(kept_clear) struct kept k = { 0 };                           \
                                                                               \
	(void)state;                                                           \
	if (!scene.there)                                                      \
		skip();                                                        \
	begin(&k, log, on_failure)

static int
join_leaf(struct kept *k, struct span leaf, bool fresh, struct why *why)
{
	_cleanup_(admission_clear) struct admission a = { 0 };
	int err;

	/* After a failure, those who come too early get its answer. */
	for (int i = 0; i < 300; i++) {
		*why = (struct why){ 0 };
		err = rounds_join(k->rounds, leaf, fresh, &a, why);
		if (err == CVM_OK || a.round != NULL || fresh)
			break;
		(void)usleep(10000);
	}
	return err;
}

static int
join(struct kept *k, bool fresh, struct why *why)
{
	_cleanup_(blob_clear) struct blob leaf = { 0 };
	uint8_t rnd[32];

	if (random_bytes(rnd, sizeof(rnd)) != CVM_OK ||
	    leaf_session("0123456789abcdef", (uint64_t)getpid(), forkid(), rnd,
		&leaf) != CVM_OK)
		return CVM_E_CRYPTO;
	return join_leaf(k, blob_span(&leaf), fresh, why);
}

static void
join_well(struct kept *k)
{
	char text[WHY_SENTENCE_MAX];
	struct why why;

	if (join(k, false, &why) != CVM_OK)
		fail_msg("%s", why_sentence(&why, text, sizeof(text)));
}

static void
join_operation(struct kept *k)
{
	_cleanup_(blob_clear) struct blob leaf = { 0 };
	struct operation_leaf op = { .serial = "0123456789abcdef",
		.counter = 1,
		.function = "C_Sign",
		.mechanism = 0x1041 };
	struct why why;

	assert_int_equal(random_bytes(op.random, sizeof(op.random)), CVM_OK);
	assert_int_equal(leaf_operation(&op, &leaf), CVM_OK);
	assert_int_equal(join_leaf(k, blob_span(&leaf), false, &why), CVM_OK);
}

/* By the policy of the scene; files NULL-terminated, the oldest first. */
static int
verify_files(const char *const *files, bool simulated,
    struct receipt_counts *counts, struct why *why)
{
	struct receipt_options o = { .policy = scene.policy,
		.allow_simulated = simulated };
	_cleanup_(receipts_freep) struct receipt_verifier *v = NULL;
	int err = CVM_OK;

	assert_int_equal(receipts_new(&o, &v), CVM_OK);
	for (; err == CVM_OK && *files != NULL; files++) {
		_cleanup_(blob_clear) struct blob text = { 0 };

		assert_int_equal(file_read(*files, 16 << 20, FILE_ANY, &text,
				     why),
		    CVM_OK);
		err = receipts_verify(v, blob_span(&text), *files, why);
	}
	*counts = *receipts_counts(v);
	if (err == CVM_OK && receipts_refusal(v)->err != CVM_OK) {
		*why = *receipts_refusal(v);
		err = why->err;
	}
	return err;
}

static struct receipt_counts
verify_well(void)
{
	const char *const files[] = { path, NULL };
	char text[WHY_SENTENCE_MAX];
	struct receipt_counts c;
	struct why why;

	if (verify_files(files, true, &c, &why) != CVM_OK)
		fail_msg("%s", why_sentence(&why, text, sizeof(text)));
	return c;
}

static off_t
size_now(void)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_size : -1;
}

static void
round_without_proof(void **state)
{
	const char *const files[] = { path, NULL };
	struct receipt_counts c;
	struct why why;
	struct stat st;
	off_t first;

	BEGIN(RECEIPTS_ALL, ON_FAILURE_REFUSE);
	join_well(&k);
	first = size_now();
	join_well(&k);
	/* The evidence's parts stand there once. */
	assert_true(size_now() - first < 8192);
	/* Nor does another process repeat them. */
	first = size_now();
	kept_clear(&k);
	keep(&k);
	join_well(&k);
	assert_true(size_now() - first < 8192);
	c = verify_well();
	assert_int_equal(c.rounds, 3);
	assert_int_equal(c.admissions, 3);
	assert_int_equal(c.refused, 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);

	/* A machine that the verifier does not accept. */
	assert_int_equal(verify_files(files, false, &c, &why), CVM_E_DENIED);
	assert_int_equal(c.refused, 3);
}

static void
session_among_operations(void **state)
{
	struct receipt_counts c;

	BEGIN(RECEIPTS_OPERATIONS, ON_FAILURE_REFUSE);
	join_well(&k);
	join_operation(&k);
	join_well(&k);
	join_operation(&k);
	c = verify_well();
	assert_int_equal(c.rounds, 2);
	assert_int_equal(c.admissions, 2);
	assert_int_equal(c.operations, 2);
}

static void
denial_without_receipt(void **state)
{
	struct receipt_counts c;
	struct why why;

	BEGIN(RECEIPTS_OPERATIONS, ON_FAILURE_REFUSE);
	machine_ctl(&scene.m, "set debug on");
	assert_int_equal(join(&k, true, &why), CVM_E_DENIED);
	machine_reset(&scene.m);
	machine_ctl(&scene.m, "set tsm.eio -1");
	assert_int_not_equal(join(&k, true, &why), CVM_OK);
	machine_reset(&scene.m);
	join_operation(&k);
	c = verify_well();
	assert_int_equal(c.rounds, 3);
	assert_int_equal(c.denied, 1);
	assert_int_equal(c.unreachable, 1);
	assert_int_equal(c.admissions, 3);
}

static void
append_text(const char *s, size_t len)
{
	FILE *f = fopen(path, "ae");

	assert_non_null(f);
	assert_int_equal(fwrite(s, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static void
torn_line_kept(void **state)
{
	static char zeros[9000];
	struct receipt_counts c;

	BEGIN(RECEIPTS_ALL, ON_FAILURE_REFUSE);
	join_well(&k);
	append_text("{\"type\":\"rou", 12);
	join_well(&k);
	c = verify_well();
	assert_int_equal(c.rounds, 2);
	assert_int_equal(c.torn, 12);
	append_text(zeros, sizeof(zeros));
	join_well(&k);
	c = verify_well();
	assert_int_equal(c.rounds, 3);
	assert_int_equal(c.torn, 12 + sizeof(zeros));

	/* Even of the first one. */
	assert_int_equal(truncate(path, 40), 0);
	join_well(&k);
	c = verify_well();
	assert_int_equal(c.rounds, 1);
	assert_int_equal(c.torn, 40);
}

/* A whole line that no log has: nothing is built upon it. */
static void
damaged_log_continued(void **state)
{
	struct why why;
	off_t size;

	BEGIN(RECEIPTS_ALL, ON_FAILURE_REFUSE);
	join_well(&k);
	append_text("hello\n", 6);
	size = size_now();
	assert_int_equal(join(&k, true, &why), CVM_E_CORRUPT);
	assert_string_equal(why.where, path);
	assert_int_equal(size_now(), size);
}

static void
limit_to(off_t size)
{
	struct rlimit l = { .rlim_cur = (rlim_t)size,
		.rlim_max = RLIM_INFINITY };

	if (size < 0)
		l.rlim_cur = RLIM_INFINITY;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
}

static void
unwritten_round_admitted(void **state)
{
	struct receipt_counts c;
	struct why why;
	off_t size;

	BEGIN(RECEIPTS_ALL, ON_FAILURE_REFUSE);
	join_well(&k);
	size = size_now();
	limit_to(size + 100); /* some bytes go in, and come out again */
	assert_int_equal(join(&k, true, &why), CVM_E_IO);
	assert_string_equal(why.where, path);
	assert_int_equal(size_now(), size);
	limit_to(-1);
	join_well(&k);
	c = verify_well();
	assert_int_equal(c.rounds, 2);
	assert_int_equal(c.missed, 0);
}

static void
missing_round_untold(void **state)
{
	struct receipt_counts c;
	struct why why;

	BEGIN(RECEIPTS_ALL, ON_FAILURE_CONTINUE);
	join_well(&k);
	limit_to(size_now() + 100);
	assert_int_equal(join(&k, true, &why), CVM_OK);
	assert_int_equal(join(&k, true, &why), CVM_OK);
	limit_to(-1);
	join_well(&k);
	c = verify_well();
	assert_int_equal(c.rounds, 2);
	assert_int_equal(c.missed, 2);
}

/* Neither a lock that is not given back, nor a file that cannot be opened,
 * lets a round begin whose head is not known. */
static void
unreachable_log_ignored(void **state)
{
	unsigned quotes;
	struct why why;

	BEGIN(RECEIPTS_ALL, ON_FAILURE_REFUSE);
	join_well(&k);
	quotes = round_scene_count(&scene, QUOTES);
	assert_int_equal(chmod(path, 0666), 0);
	assert_int_equal(join(&k, true, &why), CVM_E_IO);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/dev/null", path), 0);
	assert_int_equal(join(&k, true, &why), CVM_E_IO);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(join(&k, true, &why), CVM_E_IO);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(round_scene_count(&scene, QUOTES), quotes);
}

static void
rotation_breaks_the_chain(void **state)
{
	char old[160];
	const char *both[] = { old, path, NULL };
	const char *new_one[] = { path, NULL };
	_cleanup_(freep) char *name = NULL;
	struct receipt_counts c;
	struct stat a, b;
	struct why why;

	BEGIN(RECEIPTS_ALL, ON_FAILURE_REFUSE);
	join_well(&k);
	assert_int_equal(stat(path, &a), 0);
	assert_int_equal(receipt_rotate(&cfg, &name, &why), CVM_OK);
	(void)snprintf(old, sizeof(old), "%s.000001", path);
	assert_string_equal(name, old);
	assert_int_equal(stat(path, &b), 0);
	assert_int_equal(a.st_mode, b.st_mode);
	join_well(&k);
	join_well(&k);
	assert_int_equal(verify_files(both, true, &c, &why), CVM_OK);
	assert_int_equal(c.rounds, 3);
	assert_false(c.continued);
	assert_int_equal(verify_files(new_one, true, &c, &why), CVM_OK);
	assert_int_equal(c.rounds, 2);
	assert_true(c.continued);

	/* Out of order, and with one that is left out. */
	assert_int_equal(verify_files((const char *[]){ path, old, NULL }, true,
			     &c, &why),
	    CVM_E_CORRUPT);
	assert_string_equal(why.field, "prev");
	freep(&name);
	assert_int_equal(receipt_rotate(&cfg, &name, &why), CVM_OK);
	assert_int_equal(verify_files((const char *[]){ old, path, NULL }, true,
			     &c, &why),
	    CVM_E_CORRUPT);
	assert_string_equal(why.field, "prev");
}

#define CHILDREN 3
#define EACH 4

static int
child(int rounds, struct kept *inherited)
{
	struct kept own = { 0 }, *k = inherited;
	struct why why;

	if (k != NULL) {
		rounds_after_fork(k->rounds);
	} else {
		k = &own;
		keep(k);
	}
	for (int i = 0; i < rounds; i++)
		if (join(k, false, &why) != CVM_OK)
			return 1;
	return 0;
}

static void
await(pid_t pid)
{
	int status = -1;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
lines_of_processes_mixed_up(void **state)
{
	struct receipt_counts c;
	pid_t pid[CHILDREN];

	BEGIN(RECEIPTS_ALL, ON_FAILURE_REFUSE);
	join_well(&k);
	for (int i = 0; i < CHILDREN; i++)
		if ((pid[i] = fork()) == 0)
			_exit(child(EACH, i == 0 ? &k : NULL));
	for (int i = 0; i < EACH; i++)
		join_well(&k);
	for (int i = 0; i < CHILDREN; i++)
		await(pid[i]);
	c = verify_well();
	assert_int_equal(c.rounds, 1 + EACH * (CHILDREN + 1));
	assert_int_equal(c.admissions, c.rounds);
}

/* Rotated under the feet of those who write. */
static void
lines_lost_in_rotation(void **state)
{
	char old[3][160];
	const char *files[] = { old[0], old[1], old[2], path, NULL };
	struct receipt_counts c;
	struct why why;
	pid_t pid;

	BEGIN(RECEIPTS_ALL, ON_FAILURE_REFUSE);
	join_well(&k);
	if ((pid = fork()) == 0)
		_exit(child(EACH, NULL));
	for (int i = 0; i < 3; i++) {
		_cleanup_(freep) char *name = NULL;

		join_well(&k);
		assert_int_equal(receipt_rotate(&cfg, &name, &why), CVM_OK);
		(void)snprintf(old[i], sizeof(old[i]), "%s", name);
	}
	await(pid);
	join_well(&k);
	assert_int_equal(verify_files(files, true, &c, &why), CVM_OK);
	assert_int_equal(c.rounds, 5 + EACH);
}

/* Byte for byte, with the evidence: nothing in it is free to be changed. */
static void
changed_evidence_accepted(void **state)
{
	struct receipt_options o = { .allow_simulated = true };
	_cleanup_(blob_clear) struct blob text = { 0 };
	struct why why;

	BEGIN(RECEIPTS_ALL, ON_FAILURE_REFUSE);
	o.policy = scene.policy;
	join_well(&k);
	assert_int_equal(file_read(path, 16 << 20, FILE_ANY, &text, &why),
	    CVM_OK);
	for (size_t at = 0; at < text.len; at += 211) {
		_cleanup_(receipts_freep) struct receipt_verifier *v = NULL;

		text.data[at] ^= 1;
		assert_int_equal(receipts_new(&o, &v), CVM_OK);
		assert_int_equal(receipts_verify(v, blob_span(&text), "log",
				     &why),
		    CVM_E_CORRUPT);
		text.data[at] ^= 1;
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_without_proof),
		cmocka_unit_test(session_among_operations),
		cmocka_unit_test(denial_without_receipt),
		cmocka_unit_test(torn_line_kept),
		cmocka_unit_test(damaged_log_continued),
		cmocka_unit_test(unwritten_round_admitted),
		cmocka_unit_test(missing_round_untold),
		cmocka_unit_test(unreachable_log_ignored),
		cmocka_unit_test(rotation_breaks_the_chain),
		cmocka_unit_test(lines_of_processes_mixed_up),
		cmocka_unit_test(lines_lost_in_rotation),
		cmocka_unit_test(changed_evidence_accepted),
	};

	forkid_setup();
	return cmocka_run_group_tests(tests, start, stop);
}
