/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/reader.h"
#include "tests/unit/swtpm.h"

#define MESSAGE_MAX 4096

static void
pause_ms(long ms)
{
	struct timespec ts = { .tv_sec = ms / 1000,
		.tv_nsec = ms % 1000 * 1000000 };

	(void)nanosleep(&ts, NULL);
}

static void
address(struct sockaddr_un *un, const char *dir, const char *name)
{
	memset(un, 0, sizeof(*un));
	un->sun_family = AF_UNIX;
	(void)snprintf(un->sun_path, sizeof(un->sun_path), "%s/%s", dir, name);
}

/* Connects, or -1. */
static int
dial(const char *dir, const char *name)
{
	struct sockaddr_un un;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address(&un, dir, name);
	if (fd >= 0 && connect(fd, (void *)&un, sizeof(un)) != 0)
		closep(&fd);
	return fd;
}

static void
end(pid_t *pid)
{
	if (*pid <= 0)
		return;
	(void)kill(*pid, SIGKILL);
	(void)waitpid(*pid, NULL, 0);
	*pid = 0;
}

static void
launch(struct swtpm *s)
{
	char state[96], server[96], ctrl[96], path[96];

	(void)snprintf(state, sizeof(state), "dir=%s", s->dir);
	(void)snprintf(server, sizeof(server), "type=unixio,path=%s/sock",
	    s->dir);
	(void)snprintf(ctrl, sizeof(ctrl), "type=unixio,path=%s/ctrl", s->dir);
	(void)snprintf(path, sizeof(path), "%s/sock", s->dir);
	(void)unlink(path);
	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid == 0) {
		int null = open("/dev/null", O_RDWR);

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)dup2(null, STDERR_FILENO);
		execlp("swtpm", "swtpm", "socket", "--tpm2", "--tpmstate",
		    state, "--server", server, "--ctrl", ctrl, "--flags",
		    "not-need-init,startup-clear", (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < 500; i++) {
		int fd = dial(s->dir, "sock");

		if (fd >= 0) {
			closep(&fd);
			return;
		}
		if (waitpid(s->pid, NULL, WNOHANG) == s->pid) {
			s->pid = 0;
			return;
		}
		pause_ms(10);
	}
	fail_msg("swtpm does not listen");
}

bool
swtpm_start(struct swtpm *s)
{
	memset(s, 0, sizeof(*s));
	(void)snprintf(s->dir, sizeof(s->dir), "/tmp/cvm-swtpm-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	(void)snprintf(s->tcti, sizeof(s->tcti), "swtpm:path=%s/sock", s->dir);
	launch(s);
	return s->pid != 0;
}

void
swtpm_kill(struct swtpm *s)
{
	end(&s->pid);
}

void
swtpm_restart(struct swtpm *s)
{
	swtpm_kill(s);
	launch(s);
	assert_int_not_equal(s->pid, 0);
}

void
swtpm_stop(struct swtpm *s)
{
	char command[128];

	end(&s->proxy);
	swtpm_kill(s);
	(void)snprintf(command, sizeof(command), "rm -rf %s", s->dir);
	assert_int_equal(system(command), 0);
}

/* One message with a TPM header, or 0 at the end of the stream. */
static size_t
take(int fd, uint8_t buf[static MESSAGE_MAX])
{
	size_t have = 0, want = 10;

	while (have < want) {
		ssize_t n = read(fd, buf + have, want - have);

		if (n <= 0)
			return 0;
		have += (size_t)n;
		if (have == 10)
			want = (size_t)buf[2] << 24 | (size_t)buf[3] << 16 |
			    (size_t)buf[4] << 8 | buf[5];
		if (want > MESSAGE_MAX)
			return 0;
	}
	return have;
}

struct proxy {
	enum fault fault;
	unsigned n, seen;
	uint32_t rc;
};

/* Changes the response; returns its new length. */
static size_t
harm(const struct proxy *p, uint8_t buf[static MESSAGE_MAX], size_t len)
{
	const uint8_t rc[10] = { 0x80, 0x01, 0, 0, 0, 10,
		(uint8_t)(p->rc >> 24), (uint8_t)(p->rc >> 16),
		(uint8_t)(p->rc >> 8), (uint8_t)p->rc };

	switch (p->fault) {
	case FAULT_RC:
		memcpy(buf, rc, sizeof(rc));
		return sizeof(rc);
	case FAULT_GARBAGE:
		memset(buf + 10, 0xee, len - 10);
		return len;
	case FAULT_SHORT:
		return len / 2;
	case FAULT_FLIP:
		if (len > 10)
			buf[10 + (len - 10) / 2] ^= 1;
		return len;
	default:
		return len;
	}
}

/* Serves one connection; false when it was hung up on purpose. */
static bool
relay(struct proxy *p, int client, int tpm)
{
	uint8_t buf[MESSAGE_MAX];
	size_t len;

	while ((len = take(client, buf)) > 0) {
		bool now = ++p->seen == p->n;

		if (now && p->fault == FAULT_DROP_COMMAND)
			return false;
		if (!now || p->fault != FAULT_RC) {
			if (write(tpm, buf, len) != (ssize_t)len ||
			    (len = take(tpm, buf)) == 0)
				return true;
		}
		if (now && p->fault == FAULT_DROP_RESPONSE)
			return false;
		if (now)
			len = harm(p, buf, len);
		if (write(client, buf, len) != (ssize_t)len)
			return true;
		if (now && p->fault == FAULT_SHORT)
			return false;
	}
	return true;
}

/* Like the kernel's resource manager, it flushes what a client left. */
static void
serve(struct proxy *p, int listener, const struct swtpm *s)
{
	char path[96];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/reached", s->dir);
	for (;;) {
		int client = accept(listener, NULL, NULL);
		int tpm = dial(s->dir, "sock");

		(void)relay(p, client, tpm);
		if (p->seen >= p->n &&
		    (fd = open(path, O_CREAT | O_WRONLY, 0600)) >= 0)
			closep(&fd);
		closep(&tpm);
		swtpm_flush_all(s);
		closep(&client);
	}
}

void
swtpm_proxy(struct swtpm *s, enum fault fault, unsigned n, uint32_t rc,
    char tcti[static 96])
{
	struct proxy p = { .fault = fault, .n = n, .rc = rc };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un un;
	char path[96];

	(void)snprintf(path, sizeof(path), "%s/reached", s->dir);
	(void)unlink(path);
	address(&un, s->dir, "proxy");
	(void)unlink(un.sun_path);
	assert_int_equal(bind(listener, (void *)&un, sizeof(un)), 0);
	assert_int_equal(listen(listener, 4), 0);
	s->proxy = fork();
	assert_true(s->proxy >= 0);
	if (s->proxy == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)signal(SIGPIPE, SIG_IGN);
		serve(&p, listener, s);
	}
	closep(&listener);
	(void)snprintf(tcti, 96, "swtpm:path=%s/proxy", s->dir);
}

bool
swtpm_proxy_end(struct swtpm *s)
{
	char path[96];

	/* The proxy notes what it did once the client has hung up. */
	pause_ms(5);
	end(&s->proxy);
	(void)snprintf(path, sizeof(path), "%s/reached", s->dir);
	return access(path, F_OK) == 0;
}

struct blob
swtpm_raw(const struct swtpm *s, const char *hex)
{
	_cleanup_(closep) int fd = dial(s->dir, "sock");
	struct blob command = { 0 }, response = { 0 };
	uint8_t buf[MESSAGE_MAX];
	size_t len;

	assert_true(fd >= 0);
	assert_int_equal(hex_decode_blob(hex, MESSAGE_MAX, &command), 0);
	assert_int_equal(write(fd, command.data, command.len),
	    (ssize_t)command.len);
	len = take(fd, buf);
	assert_true(len >= 10);
	assert_int_equal(blob_set(&response, span(buf, len)), 0);
	blob_clear(&command);
	return response;
}

/* TPM2_GetCapability of handles from first on: their number and values. */
static unsigned
handles(const struct swtpm *s, uint32_t first, uint32_t out[16])
{
	char hex[64];
	struct blob b;
	struct reader r;
	unsigned n;

	(void)snprintf(hex, sizeof(hex), "8001000000160000017a%08x%08x%08x", 1,
	    first, 16);
	b = swtpm_raw(s, hex);
	r = reader_init(blob_span(&b));
	read_skip(&r, 15);
	n = read_be32(&r);
	assert_true(n <= 16);
	for (unsigned i = 0; i < n; i++)
		out[i] = read_be32(&r);
	assert_int_equal(reader_end(&r), 0);
	blob_clear(&b);
	return n;
}

#define TRANSIENT_FIRST 0x80000000u
#define LOADED_SESSION_FIRST 0x02000000u

unsigned
swtpm_loaded(const struct swtpm *s)
{
	uint32_t out[16];

	return handles(s, TRANSIENT_FIRST, out) +
	    handles(s, LOADED_SESSION_FIRST, out);
}

void
swtpm_flush_all(const struct swtpm *s)
{
	static const uint32_t first[] = { TRANSIENT_FIRST,
		LOADED_SESSION_FIRST };

	for (size_t k = 0; k < NELEMS(first); k++) {
		uint32_t out[16];
		unsigned n = handles(s, first[k], out);

		for (unsigned i = 0; i < n; i++) {
			char hex[64];
			struct blob b;

			(void)snprintf(hex, sizeof(hex),
			    "80010000000e00000165%08x", out[i]);
			b = swtpm_raw(s, hex);
			blob_clear(&b);
		}
	}
}

uint32_t
swtpm_lockout_counter(const struct swtpm *s)
{
	/* TPM_CAP_TPM_PROPERTIES, TPM_PT_LOCKOUT_COUNTER, one. */
	struct blob b = swtpm_raw(s,
	    "8001000000160000017a"
	    "00000006"
	    "0000020e"
	    "00000001");
	struct reader r = reader_init(blob_span(&b));
	uint32_t v;

	read_skip(&r, 10 + 1 + 4 + 4 + 4);
	v = read_be32(&r);
	assert_int_equal(reader_end(&r), 0);
	blob_clear(&b);
	return v;
}
