/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The cvm-pkcs11 authors */

#include "ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define WORDS_MAX 8
#define REQUEST_MAX 65536

struct call {
	struct machine *m;
	struct tree *tree;
	int n; /* words after the command */
	const char *word[WORDS_MAX];
	struct buf out;
};

static int
fail(struct call *c, const char *why)
{
	buf_printf(&c->out, "%s\n", why);
	return -1;
}

static int
fail_errno(struct call *c, const char *what, int e)
{
	buf_printf(&c->out, "%s: %s\n", what, strerror(e < 0 ? -e : e));
	return -1;
}

static int
cmd_ping(struct call *c)
{
	buf_printf(&c->out, "%d\n", (int)getpid());
	return 0;
}

static int
cmd_facts(struct call *c)
{
	cJSON *facts = machine_facts(c->m);
	char *text = cJSON_Print(facts);

	machine_write_facts(c->m);
	buf_printf(&c->out, "%s\n", text);
	free(text);
	cJSON_Delete(facts);
	return 0;
}

static int
redo(struct call *c, unsigned what)
{
	int r = 0;

	if (what & REDO_COLLATERAL)
		machine_write_collateral(c->m);
	/* Now, so that no report has to wait for RSA keys. */
	if (what & REDO_FOREIGN)
		machine_prepare_foreign(c->m);
	if (what & REDO_AK)
		r = machine_write_aks(c->m);
	return r < 0 ? fail_errno(c, "writing AK certificates", r) : 0;
}

static int
cmd_set(struct call *c)
{
	_cleanup_(freep) char *message = NULL;
	unsigned what = 0;

	if (knobs_set(c->m->knobs, c->word[0], c->n > 1 ? c->word[1] : "",
		&what, &message) < 0)
		return fail(c, message);
	return redo(c, what);
}

static int
cmd_get(struct call *c)
{
	const char *name = c->n > 0 ? c->word[0] : NULL;

	if (knobs_print(c->m->knobs, name, &c->out) < 0)
		return fail(c, "no such knob");
	return 0;
}

static int
cmd_reset(struct call *c)
{
	return redo(c, knobs_reset(c->m->knobs));
}

static int
cmd_keys(struct call *c)
{
	knobs_help(&c->out);
	return 0;
}

static const struct {
	const char *name;
	size_t offset;
} counter_rows[] = {
	{ "tpm.commands", offsetof(struct counters, tpm_commands) },
	{ "tpm.opens", offsetof(struct counters, tpm_opens) },
	{ "tsm.mkdirs", offsetof(struct counters, tsm_mkdirs) },
	{ "tsm.reports", offsetof(struct counters, tsm_reports) },
	{ "tsm.errors", offsetof(struct counters, tsm_errors) },
};

static atomic_ulong *
counter_at(struct counters *count, size_t offset)
{
	return (atomic_ulong *)(void *)((char *)count + offset);
}

static int
cmd_counters(struct call *c)
{
	struct counters *count = &c->m->count;
	bool zero = c->n > 0 && strcmp(c->word[0], "reset") == 0;

	if (c->n > 0 && !zero)
		return fail(c, "counters: allowed nothing or 'reset'");
	for (size_t i = 0; i < ARRAY_LEN(counter_rows); i++) {
		atomic_ulong *v = counter_at(count, counter_rows[i].offset);

		buf_printf(&c->out, "%s %lu\n", counter_rows[i].name,
		    zero ? atomic_exchange(v, 0) : atomic_load(v));
	}
	for (size_t cc = 0; cc < TPM_CC_MAX; cc++) {
		atomic_ulong *v = &count->tpm_command[cc];
		unsigned long n = zero ? atomic_exchange(v, 0) : atomic_load(v);

		if (n > 0)
			buf_printf(&c->out, "tpm.command.%#zx %lu\n", cc, n);
	}
	return 0;
}

static int
cmd_boot(struct call *c)
{
	_cleanup_(freep) char *kept = machine_path(c->m, "state/boot.json");
	_cleanup_(buf_free) struct buf text = { 0 };
	struct boot_desc desc;
	int r;

	if (boot_desc_read(c->word[0], &desc) < 0)
		return fail(c, "no usable boot description; see the log");
	if (file_read(c->word[0], &text) < 0 ||
	    file_write(kept, text.p, text.len, 0600) < 0)
		return fail_errno(c, kept, errno);
	pthread_mutex_lock(&c->m->boot_lock);
	boot_desc_free(&c->m->desc);
	c->m->desc = desc;
	pthread_mutex_unlock(&c->m->boot_lock);
	r = machine_reboot(c->m, true);
	if (r < 0)
		return fail_errno(c, "boot", r);
	machine_write_facts(c->m);
	return 0;
}

static int
tpm_error(struct call *c)
{
	char *end;
	uint32_t rc;
	long n = 1;

	if (c->n < 2)
		return fail(c, "tpm error: RC [N] wanted");
	rc = (uint32_t)strtoul(c->word[1], &end, 0);
	if (*end != '\0')
		return fail(c, "tpm error: RC is not a number");
	if (c->n > 2)
		n = strtol(c->word[2], &end, 0);
	if (*end != '\0')
		return fail(c, "tpm error: N is not a number");
	knobs_tpm_error(c->m->knobs, rc, n);
	return 0;
}

static int
cmd_tpm(struct call *c)
{
	struct tpm *tpm = &c->m->tpm;
	bool alive;
	int r = 0;

	if (strcmp(c->word[0], "error") == 0)
		return tpm_error(c);
	pthread_mutex_lock(&tpm->lock);
	alive = tpm->fd >= 0;
	if (strcmp(c->word[0], "kill") == 0)
		tpm_kill(tpm);
	pthread_mutex_unlock(&tpm->lock);
	if (strcmp(c->word[0], "kill") == 0)
		return 0;
	if (strcmp(c->word[0], "start") == 0 && alive)
		return fail(c, "the TPM is running");
	if (strcmp(c->word[0], "start") == 0)
		r = machine_reboot(c->m, false);
	else if (strcmp(c->word[0], "reboot") == 0)
		r = machine_reboot(c->m, true);
	else
		return fail(c, "tpm: allowed kill|start|reboot|error");
	return r < 0 ? fail_errno(c, "tpm", r) : 0;
}

static int
cmd_pcr(struct call *c)
{
	unsigned pcr = (unsigned)atoi(c->word[1]);
	int r;

	if (strcmp(c->word[0], "extend") != 0 || pcr >= TPM_PCRS)
		return fail(c, "pcr: 'extend INDEX TEXT' wanted");
	r = machine_pcr_extend(c->m, pcr, c->word[2]);
	return r < 0 ? fail_errno(c, "pcr extend", r) : 0;
}

static int
cmd_chmod(struct call *c)
{
	mode_t mode = (mode_t)strtoul(c->word[1], NULL, 8);

	if (tree_chmod(c->tree, c->word[0], mode) < 0)
		return fail_errno(c, c->word[0], errno);
	return 0;
}

static int
cmd_chown(struct call *c)
{
	const struct passwd *user = getpwnam(c->word[1]);
	const struct group *group = getgrnam(c->word[2]);
	uid_t uid = user ? user->pw_uid : (uid_t)atoi(c->word[1]);
	gid_t gid = group ? group->gr_gid : (gid_t)atoi(c->word[2]);

	if (tree_chown(c->tree, c->word[0], uid, gid) < 0)
		return fail_errno(c, c->word[0], errno);
	return 0;
}

static int
cmd_stop(struct call *c)
{
	(void)c;
	return kill(getpid(), SIGTERM);
}

static const struct command {
	const char *name;
	int words; /* at least */
	int (*run)(struct call *c);
	const char *args, *help;
} commands[] = {
	{ "ping", 0, cmd_ping, "", "print the process id" },
	{ "facts", 0, cmd_facts, "",
	    "what a policy needs, as JSON; also writes pki/machine.json" },
	{ "set", 1, cmd_set, "KEY VALUE", "misbehave; 'keys' lists how" },
	{ "get", 0, cmd_get, "[KEY]", "print knobs" },
	{ "reset", 0, cmd_reset, "", "behave again" },
	{ "keys", 0, cmd_keys, "", "explain the knobs" },
	{ "counters", 0, cmd_counters, "[reset]",
	    "TPM commands by code, opens, reports, entries made" },
	{ "boot", 1, cmd_boot, "FILE", "reboot with this boot description" },
	{ "tpm", 1, cmd_tpm, "kill|start|reboot|error RC [N]",
	    "power cut, power on, orderly reboot; answer N commands with RC" },
	{ "pcr", 3, cmd_pcr, "extend INDEX TEXT", "extend one PCR" },
	{ "chmod", 2, cmd_chmod, "PATH MODE", "of an entry below root/" },
	{ "chown", 3, cmd_chown, "PATH USER GROUP", "of an entry below root/" },
	{ "stop", 0, cmd_stop, "", "turn the machine off" },
};

void
ctl_help(struct buf *out)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		buf_printf(out, "  ctl DIR %s %s\n      %s\n", commands[i].name,
		    commands[i].args, commands[i].help);
}

static int
dispatch(struct call *c, const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (strcmp(commands[i].name, name) != 0)
			continue;
		if (c->n < commands[i].words) {
			buf_printf(&c->out, "%s: %s wanted\n", name,
			    commands[i].args);
			return -1;
		}
		return commands[i].run(c);
	}
	buf_printf(&c->out, "no command %s\n", name);
	return -1;
}

static int
run_request(struct call *c, const char *text)
{
	cJSON *json = cJSON_Parse(text);
	const cJSON *item;
	const char *name = NULL;
	int r = 0;

	cJSON_ArrayForEach(item, json) {
		if (!cJSON_IsString(item) || c->n == WORDS_MAX)
			r = fail(c, "request: at most 8 words wanted");
		else if (name == NULL)
			name = item->valuestring;
		else
			c->word[c->n++] = item->valuestring;
	}
	if (r == 0)
		r = name != NULL ? dispatch(c, name) :
				   fail(c, "request: no command");
	cJSON_Delete(json);
	return r;
}

static void
send_all(int fd, const void *p, size_t len)
{
	const char *at = p;

	while (len > 0) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		at += n;
		len -= (size_t)n;
	}
}

static void
serve_one(struct machine *m, struct tree *tree, int fd)
{
	struct call c = { .m = m, .tree = tree };
	_cleanup_(buf_free) struct buf in = { 0 };
	char chunk[4096];
	ssize_t n;
	int r;

	do {
		n = recv(fd, chunk, sizeof(chunk), 0);
		if (n > 0)
			buf_put(&in, chunk, (size_t)n);
	} while (n > 0 && chunk[n - 1] != '\n' && in.len < REQUEST_MAX);
	r = run_request(&c, buf_cstr(&in));
	if (r < 0)
		send_all(fd, "error\n", 6);
	else
		send_all(fd, "ok\n", 3);
	send_all(fd, c.out.p, c.out.len);
	buf_free(&c.out);
}

struct server {
	struct machine *m;
	struct tree *tree;
	int fd;
};

/* One request at a time: they change the machine. */
static void *
serve(void *arg)
{
	struct server *s = arg;

	for (;;) {
		int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0 && errno != EINTR)
			return NULL;
		if (fd < 0)
			continue;
		serve_one(s->m, s->tree, fd);
		close(fd);
	}
}

/* Paths of test directories may be longer than a socket address. */
int
ctl_socket(const char *dir, bool listening)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int at = open(dir, O_DIRECTORY | O_CLOEXEC);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const struct sockaddr *sa = (const struct sockaddr *)(void *)&addr;
	int r;

	snprintf(addr.sun_path, sizeof(addr.sun_path),
	    "/proc/self/fd/%d/control", at);
	if (at < 0 || fd < 0) {
		r = -1;
	} else if (listening) {
		unlink(addr.sun_path);
		r = bind(fd, sa, sizeof(addr));
		if (r == 0)
			r = listen(fd, 64);
	} else {
		r = connect(fd, sa, sizeof(addr));
	}
	if (at >= 0)
		close(at);
	if (r == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

void
ctl_serve(struct machine *m, struct tree *tree)
{
	struct server *s = xcalloc(1, sizeof(*s));
	pthread_t thread;

	s->m = m;
	s->tree = tree;
	s->fd = ctl_socket(m->dir, true);
	if (s->fd < 0)
		die("%s/control: %s", m->dir, strerror(errno));
	if (pthread_create(&thread, NULL, serve, s) != 0)
		die("no thread for the control socket");
	pthread_detach(thread);
}

int
ctl_client(const char *dir, int argc, char **argv)
{
	int fd = ctl_socket(dir, false);
	_cleanup_(buf_free) struct buf in = { 0 };
	char chunk[4096], *text, *body;
	cJSON *json;
	bool ok;
	ssize_t n;

	if (fd < 0) {
		fprintf(stderr, "vcvm: %s/control: %s\n", dir, strerror(errno));
		return 1;
	}
	json = cJSON_CreateArray();
	for (int i = 0; i < argc; i++)
		cJSON_AddItemToArray(json, cJSON_CreateString(argv[i]));
	text = cJSON_PrintUnformatted(json);
	send_all(fd, text, strlen(text));
	send_all(fd, "\n", 1);
	while ((n = recv(fd, chunk, sizeof(chunk), 0)) > 0)
		buf_put(&in, chunk, (size_t)n);
	ok = strncmp(buf_cstr(&in), "ok\n", 3) == 0;
	body = strchr((char *)in.p, '\n');
	if (body != NULL)
		fputs(body + 1, ok ? stdout : stderr);
	else
		fprintf(stderr, "vcvm: %s: no answer; see its log\n", dir);
	free(text);
	cJSON_Delete(json);
	close(fd);
	return ok ? 0 : 1;
}
