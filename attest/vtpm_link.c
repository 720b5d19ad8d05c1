/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <tss2/tss2_tctildr.h>
#include <unistd.h>

#include "attest/vtpm_priv.h"

/* Three ways to a TPM: a character device, a socket, a TCTI library. */
struct tpm_link {
	char *name;
	int fd; /* -1: tcti */
	bool stream;
	TSS2_TCTI_CONTEXT *tcti;
};

static int
ms_left(uint64_t deadline_ns)
{
	uint64_t now = monotonic_ns(), ms;

	if (now >= deadline_ns)
		return 0;
	ms = (deadline_ns - now + 999999) / 1000000;
	return ms > 1 << 30 ? 1 << 30 : (int)ms;
}

static int
refuse(const char *where, const char *what, int err, struct why *why)
{
	char buf[128];

	return why_setf(why, CVM_E_UNREACHABLE, where, what, "an answer", "%s",
	    err == ETIMEDOUT ? "no answer in tpm.timeout_ms" :
			       strerror_r(err, buf, sizeof(buf)));
}

static const struct {
	int err;
	const char *hint;
} open_hints[] = {
	{ EACCES, "add the user to group tss" },
	{ EPERM, "add the user to group tss" },
	{ ENOENT,
	    "no TPM driver: load tpm_crb or tpm_tis (package "
	    "linux-modules-extra), or correct tpm.tcti" },
	{ ENODEV, "the TPM driver lost its device" },
	{ EBUSY, "another process has it: use device:/dev/tpmrm0" },
	{ ECONNREFUSED, "is the TPM's server running?" },
};

static int
refuse_open(const char *tcti, int err, struct why *why)
{
	char buf[128];
	int r;

	r = why_setf(why, CVM_E_UNREACHABLE, tcti, "tpm.tcti",
	    "a TPM that can be opened", "%s",
	    strerror_r(err, buf, sizeof(buf)));
	for (size_t i = 0; i < NELEMS(open_hints); i++)
		if (open_hints[i].err == err)
			why_hint(why, "%s", open_hints[i].hint);
	return r;
}

/*
 * O_NONBLOCK makes the kernel run the command on its own time (since 4.20),
 * so that poll(2) can end the waiting; older kernels ignore it.
 */
static int
open_device(const char *path)
{
	int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

	return fd >= 0 ? fd : -errno;
}

/* A TPM of the kernel's: root's device of class tpm or tpmrm. */
bool
tpm_link_is_kernels(const struct tpm_link *l)
{
	char path[64], to[256];
	const char *class;
	struct stat st;
	ssize_t n;

	if (l->fd < 0 || l->stream || fstat(l->fd, &st) != 0 ||
	    !S_ISCHR(st.st_mode) || st.st_uid != 0)
		return false;
	(void)snprintf(path, sizeof(path), "/sys/dev/char/%u:%u/subsystem",
	    major(st.st_rdev), minor(st.st_rdev));
	n = readlink(path, to, sizeof(to) - 1);
	if (n <= 0)
		return false;
	to[n] = '\0';
	class = strrchr(to, '/');
	return class != NULL &&
	    (strcmp(class, "/tpm") == 0 || strcmp(class, "/tpmrm") == 0);
}

static int
wait_connected(int fd, uint64_t deadline_ns)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	socklen_t len = sizeof(int);
	int err = 0, n;

	do
		n = poll(&p, 1, ms_left(deadline_ns));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno;
	if (n == 0)
		return ETIMEDOUT;
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) == 0 ? err :
								       errno;
}

/* A connected, non-blocking socket, or a negative errno. */
static int
open_address(const struct sockaddr *sa, socklen_t len, uint64_t deadline_ns)
{
	_cleanup_(closep) int fd = -1;
	int err = 0;

	fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0);
	if (fd < 0)
		return -errno;
	if (connect(fd, sa, len) != 0)
		err = errno;
	if (err == EINPROGRESS || err == EINTR)
		err = wait_connected(fd, deadline_ns);
	return err == 0 ? TAKE_FD(fd) : -err;
}

/* The value of key in "key=value,key=value". */
static bool
option(const char *conf, const char *key, char *out, size_t len)
{
	size_t k = strlen(key);

	for (const char *p = conf; p != NULL; p = strchr(p, ',')) {
		size_t n;

		p += *p == ',';
		if (strncmp(p, key, k) != 0 || p[k] != '=')
			continue;
		n = strcspn(p + k + 1, ",");
		if (n >= len)
			return false;
		memcpy(out, p + k + 1, n);
		out[n] = '\0';
		return true;
	}
	return false;
}

static int
open_swtpm(const char *conf, uint64_t deadline_ns)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV },
			*ai = NULL;
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	char host[64] = "127.0.0.1", port[8] = "2321";
	int fd;

	if (option(conf, "path", un.sun_path, sizeof(un.sun_path)))
		return open_address((const void *)&un, sizeof(un), deadline_ns);
	(void)option(conf, "host", host, sizeof(host));
	(void)option(conf, "port", port, sizeof(port));
	/* Numeric only: no resolver, no network inside a library. */
	if (strcmp(host, "localhost") == 0)
		(void)snprintf(host, sizeof(host), "127.0.0.1");
	if (getaddrinfo(host, port, &hints, &ai) != 0)
		return -EADDRNOTAVAIL;
	fd = open_address(ai->ai_addr, ai->ai_addrlen, deadline_ns);
	freeaddrinfo(ai);
	return fd;
}

static int
open_tcti(struct tpm_link *l, struct why *why)
{
	TSS2_RC rc;

	/* The empty name would be a search, which ends at anybody's TPM. */
	if (l->name[0] == '\0')
		return why_set(why, CVM_E_UNREACHABLE, "tpm.tcti", "name",
		    "an explicit TCTI", "an empty string");
	rc = Tss2_TctiLdr_Initialize(l->name, &l->tcti);
	if (rc == TSS2_RC_SUCCESS)
		return CVM_OK;
	l->tcti = NULL;
	return why_setf(why, CVM_E_UNREACHABLE, l->name, "tpm.tcti",
	    "a TCTI that can be loaded", "TSS2_RC 0x%08x", rc);
}

int
tpm_link_open(const char *tcti, uint64_t deadline_ns, struct tpm_link **ret,
    struct why *reterr_why)
{
	_cleanup_(tpm_link_freep) struct tpm_link *l = NULL;
	int r;

	l = calloc(1, sizeof(*l));
	if (l == NULL)
		return CVM_E_NOMEM;
	l->fd = -1;
	l->name = strdup(tcti);
	if (l->name == NULL)
		return CVM_E_NOMEM;
	if (strncmp(tcti, "device:", 7) == 0) {
		r = open_device(tcti + 7);
	} else if (strncmp(tcti, "swtpm:", 6) == 0) {
		r = open_swtpm(tcti + 6, deadline_ns);
		l->stream = true;
	} else {
		r = open_tcti(l, reterr_why);
		if (r == CVM_OK)
			*ret = TAKE_PTR(l);
		return r;
	}
	if (r < 0)
		return refuse_open(tcti, -r, reterr_why);
	l->fd = r;
	*ret = TAKE_PTR(l);
	return CVM_OK;
}

static int
wait_for(int fd, short events, uint64_t deadline_ns)
{
	struct pollfd p = { .fd = fd, .events = events };
	int n;

	do
		n = poll(&p, 1, ms_left(deadline_ns));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno;
	return n > 0 ? 0 : ETIMEDOUT;
}

static int
put(struct tpm_link *l, struct span s, uint64_t deadline_ns)
{
	struct reader left = reader_init(s);

	while (reader_left(&left) > 0) {
		const uint8_t *at = s.data + left.pos;
		size_t len = reader_left(&left);
		ssize_t n;

		n = l->stream ? send(l->fd, at, len, MSG_NOSIGNAL) :
				write(l->fd, at, len);
		if (n > 0) {
			read_skip(&left, (size_t)n);
			continue;
		}
		if (n == 0)
			return EIO;
		if (errno != EINTR && errno != EAGAIN)
			return errno;
		if (errno == EAGAIN &&
		    wait_for(l->fd, POLLOUT, deadline_ns) != 0)
			return ETIMEDOUT;
	}
	return 0;
}

/* How many bytes the response has, judging by those that are here. */
static size_t
wanted(struct span have)
{
	struct reader r = reader_init(have);

	if (have.len < 10)
		return 10;
	(void)read_be16(&r);
	return read_be32(&r);
}

static int
get(struct tpm_link *l, uint8_t buf[static TPM_RESPONSE_MAX], size_t *ret_len,
    uint64_t deadline_ns)
{
	size_t have = 0;

	while (have < wanted(span(buf, have))) {
		size_t want = wanted(span(buf, have));
		int err = wait_for(l->fd, POLLIN, deadline_ns);
		ssize_t n;

		if (err != 0)
			return err;
		if (want > TPM_RESPONSE_MAX)
			return EMSGSIZE;
		/* A device hands out its response in one piece. */
		n = read(l->fd, buf + have,
		    (l->stream ? want : TPM_RESPONSE_MAX) - have);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return n == 0 ? ECONNRESET : errno;
		have += (size_t)n;
	}
	*ret_len = have;
	return 0;
}

static int
exchange_tcti(struct tpm_link *l, struct span command,
    uint8_t buf[static TPM_RESPONSE_MAX], size_t *ret_len, uint64_t deadline_ns,
    struct why *why)
{
	size_t len = TPM_RESPONSE_MAX;
	const char *what = "transmit";
	TSS2_RC rc;

	rc = Tss2_Tcti_Transmit(l->tcti, command.len, command.data);
	if (rc == TSS2_RC_SUCCESS) {
		what = "receive";
		rc = Tss2_Tcti_Receive(l->tcti, &len, buf,
		    ms_left(deadline_ns));
		/* Not every TCTI can wait for a limited time. */
		if (rc == TSS2_TCTI_RC_BAD_VALUE) {
			len = TPM_RESPONSE_MAX;
			rc = Tss2_Tcti_Receive(l->tcti, &len, buf,
			    TSS2_TCTI_TIMEOUT_BLOCK);
		}
	}
	if (rc != TSS2_RC_SUCCESS)
		return why_setf(why, CVM_E_UNREACHABLE, l->name, what,
		    "an answer", "TSS2_RC 0x%08x", rc);
	*ret_len = len;
	return CVM_OK;
}

int
tpm_link_exchange(struct tpm_link *l, struct span command, uint64_t deadline_ns,
    struct blob *ret, struct why *reterr_why)
{
	uint8_t buf[TPM_RESPONSE_MAX];
	size_t len = 0;
	int r;

	if (l->fd < 0) {
		r = exchange_tcti(l, command, buf, &len, deadline_ns,
		    reterr_why);
		return r != CVM_OK ? r : blob_set(ret, span(buf, len));
	}
	r = put(l, command, deadline_ns);
	if (r != 0)
		return refuse(l->name, "write", r, reterr_why);
	r = get(l, buf, &len, deadline_ns);
	if (r != 0)
		return refuse(l->name, "read", r, reterr_why);
	return blob_set(ret, span(buf, len));
}

void
tpm_link_freep(struct tpm_link **l)
{
	if (l == NULL || *l == NULL)
		return;
	if ((*l)->tcti != NULL)
		Tss2_TctiLdr_Finalize(&(*l)->tcti);
	closep(&(*l)->fd);
	free((*l)->name);
	free(*l);
	*l = NULL;
}

void
tpm_link_abandon(struct tpm_link **l)
{
	if (l == NULL || *l == NULL)
		return;
	/*
	 * A TCTI library may say goodbye to the TPM when finalised, on the
	 * connection that the parent still uses: leak it instead.
	 */
	(*l)->tcti = NULL;
	tpm_link_freep(l);
}
