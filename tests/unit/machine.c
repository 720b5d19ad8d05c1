/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/machine.h"

static int
shell(const char *program, const char *verb, const char *dir, const char *words)
{
	char command[1024];

	(void)snprintf(command, sizeof(command), "'%s' %s '%s' %s >/dev/null",
	    program, verb, dir, words);
	return system(command);
}

bool
machine_start(struct machine *m, const char *platform)
{
	const char *program = getenv("VCVM"), *pki = getenv("VCVM_PKI");
	char words[256];

	if (program == NULL || access("/dev/fuse", R_OK | W_OK) != 0) {
		print_message("# no virtual CVM: needs VCVM and /dev/fuse\n");
		return false;
	}
	/* A policy that a group can write is refused. */
	(void)umask(022);
	(void)snprintf(m->dir, sizeof(m->dir), "/tmp/cvm-machine-XXXXXX");
	assert_non_null(mkdtemp(m->dir));
	/* Vendors take seconds to make, and may be shared. */
	(void)snprintf(words, sizeof(words), "--platform %s%s%s", platform,
	    pki != NULL ? " --pki " : "", pki != NULL ? pki : "");
	assert_int_equal(shell(program, "start", m->dir, words), 0);
	return true;
}

void
machine_stop(struct machine *m)
{
	assert_int_equal(shell(getenv("VCVM"), "stop", m->dir, ""), 0);
	assert_int_equal(shell("rm", "-rf", m->dir, ""), 0);
}

/* What it said; a sanitizer's report, say, when it is gone. */
static void
print_log(const struct machine *m)
{
	char path[128], line[256];
	FILE *in;

	(void)snprintf(path, sizeof(path), "%s/log", m->dir);
	if ((in = fopen(path, "re")) == NULL)
		return;
	while (fgets(line, sizeof(line), in) != NULL)
		print_message("# vcvm: %s", line);
	(void)fclose(in);
}

void
machine_ctl(const struct machine *m, const char *words)
{
	int status = shell(getenv("VCVM"), "ctl", m->dir, words);

	if (status != 0)
		print_log(m);
	assert_int_equal(status, 0);
}

/* A machine that died failed the test before: it boots for the others. */
void
machine_reset(const struct machine *m)
{
	const char *program = getenv("VCVM");

	if (shell(program, "ctl", m->dir, "ping") != 0) {
		print_log(m);
		assert_int_equal(shell(program, "start", m->dir, ""), 0);
	}
	machine_ctl(m, "reset");
}

const char *
machine_path(const struct machine *m, const char *name)
{
	static char path[256];

	(void)snprintf(path, sizeof(path), "%s/root/%s", m->dir, name);
	return path;
}
