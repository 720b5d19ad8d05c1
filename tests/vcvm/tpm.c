/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The cvm-pkcs11 authors */

#include "tpm.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

void
tpm_init(struct tpm *tpm, const char *state_dir)
{
	pthread_mutex_init(&tpm->lock, NULL);
	tpm->state_dir = xstrdup(state_dir);
	tpm->fd = -1;
}

static void
exec_swtpm(const char *state, const char *log_path, const char *fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int log = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
	    0644);

	/* Whoever started the machine must not wait for our end. */
	if (null < 0 || log < 0 || dup2(null, 0) < 0 || dup2(log, 1) < 0 ||
	    dup2(log, 2) < 0)
		_exit(127);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execlp("swtpm", "swtpm", "socket", "--tpm2", "--tpmstate", state,
	    "--fd", fd, "--flags", "not-need-init", (char *)NULL);
	die("swtpm: %s", strerror(errno));
}

int
tpm_spawn(struct tpm *tpm)
{
	_cleanup_(
	    freep) char *state = xasprintf("dir=%s,mode=0600", tpm->state_dir);
	_cleanup_(freep) char *log = xasprintf("%s/../log", tpm->state_dir);
	_cleanup_(freep) char *fd = NULL;
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return -errno;
	fd = xasprintf("%d", sv[1]);
	tpm->pid = fork();
	if (tpm->pid == 0) {
		fcntl(sv[1], F_SETFD, 0);
		exec_swtpm(state, log, fd);
	}
	close(sv[1]);
	if (tpm->pid < 0) {
		close(sv[0]);
		return -EAGAIN;
	}
	tpm->fd = sv[0];
	tpm->epoch++;
	tpm->current = NULL;
	tpm->platform_locked = false;
	return 0;
}

void
tpm_kill(struct tpm *tpm)
{
	if (tpm->fd < 0)
		return;
	kill(tpm->pid, SIGKILL);
	waitpid(tpm->pid, NULL, 0);
	close(tpm->fd);
	tpm->fd = -1;
	tpm->current = NULL;
}

void
tpm_shutdown(struct tpm *tpm)
{
	_cleanup_(buf_free) struct buf body = { 0 }, rsp = { 0 };

	if (tpm->fd < 0)
		return;
	buf_be16(&body, 0); /* TPM_SU_CLEAR */
	if (tpm_command(tpm, TPM_ST_NO_SESSIONS, TPM_CC_SHUTDOWN, &body, &rsp) <
	    0)
		vlog("TPM2_Shutdown failed");
	tpm_kill(tpm);
}

static int
read_full(int fd, void *p, size_t len)
{
	uint8_t *at = p;

	while (len > 0) {
		ssize_t n = recv(fd, at, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -EIO;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int
tpm_transmit(struct tpm *tpm, const void *cmd, size_t len, struct buf *ret)
{
	uint8_t rsp[TPM_BUFSIZE];
	uint32_t size;

	if (tpm->fd < 0)
		return -EIO;
	if (send(tpm->fd, cmd, len, MSG_NOSIGNAL) != (ssize_t)len ||
	    read_full(tpm->fd, rsp, TPM_HEADER) < 0)
		return -EIO;
	size = get_be32(rsp + 2);
	if (size < TPM_HEADER || size > sizeof(rsp) ||
	    read_full(tpm->fd, rsp + TPM_HEADER, size - TPM_HEADER) < 0)
		return -EIO;
	ret->len = 0;
	buf_put(ret, rsp, size);
	return 0;
}

int
tpm_command(struct tpm *tpm, uint16_t tag, uint32_t cc, const struct buf *body,
    struct buf *ret)
{
	_cleanup_(buf_free) struct buf cmd = { 0 };
	int r;

	buf_be16(&cmd, tag);
	buf_be32(&cmd, (uint32_t)(TPM_HEADER + body->len));
	buf_be32(&cmd, cc);
	buf_put(&cmd, body->p, body->len);
	r = tpm_transmit(tpm, cmd.p, cmd.len, ret);
	if (r < 0)
		return r;
	if (get_be32(ret->p + 6) == 0)
		return 0;
	vlog("TPM command %#x: response code %#x", cc, get_be32(ret->p + 6));
	return -EPROTO;
}

/* A TPM_RS_PW authorisation. */
static void
put_password(struct buf *b, const void *auth, size_t len)
{
	buf_be32(b, (uint32_t)(9 + len));
	buf_be32(b, TPM_RS_PW);
	buf_be16(b, 0); /* nonce */
	buf_u8(b, 1);	/* continueSession */
	buf_be16(b, (uint16_t)len);
	buf_put(b, auth, len);
}

static void
put_platform_auth(struct tpm *tpm, struct buf *b)
{
	put_password(b, tpm->platform_auth,
	    tpm->platform_locked ? sizeof(tpm->platform_auth) : 0);
}

static int
read_commands(struct tpm *tpm)
{
	_cleanup_(buf_free) struct buf body = { 0 }, rsp = { 0 };
	uint32_t n;
	int r;

	buf_be32(&body, 2); /* TPM_CAP_COMMANDS */
	buf_be32(&body, 0);
	buf_be32(&body, 1024);
	r = tpm_command(tpm, TPM_ST_NO_SESSIONS, TPM_CC_GET_CAPABILITY, &body,
	    &rsp);
	if (r < 0)
		return r;
	if (rsp.len < TPM_HEADER + 9)
		return -EPROTO;
	n = get_be32(rsp.p + TPM_HEADER + 5);
	if (rsp.len != TPM_HEADER + 9 + 4 * (size_t)n)
		return -EPROTO;
	free(tpm->cc_attrs);
	tpm->cc_attrs = xcalloc(n, sizeof(*tpm->cc_attrs));
	tpm->n_cc = n;
	for (uint32_t i = 0; i < n; i++)
		tpm->cc_attrs[i] = get_be32(rsp.p + TPM_HEADER + 9 + 4 * i);
	return 0;
}

int
tpm_startup(struct tpm *tpm)
{
	_cleanup_(buf_free) struct buf su = { 0 }, full = { 0 }, rsp = { 0 };
	int r;

	buf_be16(&su, 0); /* TPM_SU_CLEAR */
	r = tpm_command(tpm, TPM_ST_NO_SESSIONS, TPM_CC_STARTUP, &su, &rsp);
	if (r < 0)
		return r;
	buf_u8(&full, 1);
	r = tpm_command(tpm, TPM_ST_NO_SESSIONS, TPM_CC_SELF_TEST, &full, &rsp);
	return r < 0 ? r : read_commands(tpm);
}

int
tpm_lock_platform(struct tpm *tpm)
{
	_cleanup_(buf_free) struct buf body = { 0 }, rsp = { 0 };
	uint8_t secret[sizeof(tpm->platform_auth)];
	int r;

	if (RAND_bytes(secret, sizeof(secret)) != 1)
		return -EIO;
	buf_be32(&body, TPM_RH_PLATFORM);
	put_platform_auth(tpm, &body);
	buf_be16(&body, sizeof(secret));
	buf_put(&body, secret, sizeof(secret));
	r = tpm_command(tpm, TPM_ST_SESSIONS, TPM_CC_HIERARCHY_CHANGE_AUTH,
	    &body, &rsp);
	if (r < 0)
		return r;
	memcpy(tpm->platform_auth, secret, sizeof(secret));
	tpm->platform_locked = true;
	return 0;
}

int
tpm_allocate_banks(struct tpm *tpm)
{
	static const uint16_t banks[] = { TPM_ALG_SHA1, TPM_ALG_SHA256,
		TPM_ALG_SHA384, TPM_ALG_SHA512 };
	_cleanup_(buf_free) struct buf body = { 0 }, rsp = { 0 };

	buf_be32(&body, TPM_RH_PLATFORM);
	put_platform_auth(tpm, &body);
	buf_be32(&body, ARRAY_LEN(banks));
	for (size_t i = 0; i < ARRAY_LEN(banks); i++) {
		buf_be16(&body, banks[i]);
		buf_u8(&body, 3);
		buf_fill(&body, banks[i] == TPM_ALG_SHA512 ? 0 : 0xFF, 3);
	}
	return tpm_command(tpm, TPM_ST_SESSIONS, TPM_CC_PCR_ALLOCATE, &body,
	    &rsp);
}

int
tpm_pcr_extend(struct tpm *tpm, unsigned pcr, const struct tpm_digest *d,
    size_t n)
{
	_cleanup_(buf_free) struct buf body = { 0 }, rsp = { 0 };

	buf_be32(&body, pcr);
	put_password(&body, NULL, 0);
	buf_be32(&body, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		buf_be16(&body, d[i].alg);
		buf_put(&body, d[i].p, d[i].len);
	}
	return tpm_command(tpm, TPM_ST_SESSIONS, TPM_CC_PCR_EXTEND, &body,
	    &rsp);
}

int
tpm_pcr_read(struct tpm *tpm, unsigned pcr, uint8_t ret[32])
{
	_cleanup_(buf_free) struct buf body = { 0 }, rsp = { 0 };
	uint8_t select[3] = { 0 };
	int r;

	select[pcr / 8] = (uint8_t)(1u << pcr % 8);
	buf_be32(&body, 1);
	buf_be16(&body, TPM_ALG_SHA256);
	buf_u8(&body, sizeof(select));
	buf_put(&body, select, sizeof(select));
	r = tpm_command(tpm, TPM_ST_NO_SESSIONS, TPM_CC_PCR_READ, &body, &rsp);
	if (r < 0)
		return r;
	/* updateCounter 4, selection 10, count 4, size 2, digest */
	if (rsp.len != TPM_HEADER + 20 + 32)
		return -EPROTO;
	memcpy(ret, rsp.p + TPM_HEADER + 20, 32);
	return 0;
}

static int
flush(struct tpm *tpm, uint32_t handle)
{
	_cleanup_(buf_free) struct buf body = { 0 }, rsp = { 0 };

	buf_be32(&body, handle);
	return tpm_command(tpm, TPM_ST_NO_SESSIONS, TPM_CC_FLUSH_CONTEXT, &body,
	    &rsp);
}

/* Leaves the key loaded. */
static int
create_primary(struct tpm *tpm, const struct buf *template,
    uint32_t *ret_handle, struct buf *ret)
{
	_cleanup_(buf_free) struct buf body = { 0 }, rsp = { 0 };
	size_t size;
	int r;

	buf_be32(&body, TPM_RH_ENDORSEMENT);
	put_password(&body, NULL, 0);
	buf_be16(&body, 4); /* TPM2B_SENSITIVE_CREATE: no auth, no data */
	buf_be32(&body, 0);
	buf_be16(&body, (uint16_t) template->len);
	buf_put(&body, template->p, template->len);
	buf_be16(&body, 0); /* outsideInfo */
	buf_be32(&body, 0); /* creationPCR */
	r = tpm_command(tpm, TPM_ST_SESSIONS, TPM_CC_CREATE_PRIMARY, &body,
	    &rsp);
	if (r < 0)
		return r;
	/* handle 4, parameterSize 4, TPM2B_PUBLIC */
	size = get_be16(rsp.p + TPM_HEADER + 8);
	if (rsp.len < TPM_HEADER + 10 + size)
		return -EPROTO;
	ret->len = 0;
	buf_put(ret, rsp.p + TPM_HEADER + 10, size);
	*ret_handle = get_be32(rsp.p + TPM_HEADER);
	return 0;
}

int
tpm_create_primary(struct tpm *tpm, const struct buf *template, struct buf *ret)
{
	uint32_t handle;
	int r = create_primary(tpm, template, &handle, ret);

	return r < 0 ? r : flush(tpm, handle);
}

int
tpm_persist(struct tpm *tpm, const struct buf *template, uint32_t handle)
{
	_cleanup_(buf_free) struct buf body = { 0 }, rsp = { 0 };
	_cleanup_(buf_free) struct buf public = { 0 };
	uint32_t transient;
	int r = create_primary(tpm, template, &transient, &public);

	if (r < 0)
		return r;
	buf_be32(&body, TPM_RH_OWNER);
	buf_be32(&body, transient);
	put_password(&body, NULL, 0);
	buf_be32(&body, handle);
	r = tpm_command(tpm, TPM_ST_SESSIONS, TPM_CC_EVICT_CONTROL, &body,
	    &rsp);
	(void)flush(tpm, transient);
	return r;
}

/* TPMA_NV: PPWRITE, WRITEDEFINE, PPREAD, OWNERREAD, AUTHREAD, NO_DA,
 * PLATFORMCREATE. */
#define NV_ATTRS                                                               \
	(1u << 0 | 1u << 13 | 1u << 16 | 1u << 17 | 1u << 18 | 1u << 25 |      \
	    1u << 30)

void
tpm_nv_remove(struct tpm *tpm, uint32_t index)
{
	_cleanup_(buf_free) struct buf cmd = { 0 }, rsp = { 0 }, body = { 0 };

	buf_be32(&body, TPM_RH_PLATFORM);
	buf_be32(&body, index);
	put_platform_auth(tpm, &body);
	buf_be16(&cmd, TPM_ST_SESSIONS);
	buf_be32(&cmd, (uint32_t)(TPM_HEADER + body.len));
	buf_be32(&cmd, TPM_CC_NV_UNDEFINE_SPACE);
	buf_put(&cmd, body.p, body.len);
	if (tpm_transmit(tpm, cmd.p, cmd.len, &rsp) < 0)
		vlog("NV_UndefineSpace %#x failed", index);
}

static int
nv_write(struct tpm *tpm, uint32_t index, size_t off, const void *p, size_t len)
{
	_cleanup_(buf_free) struct buf body = { 0 }, rsp = { 0 };

	buf_be32(&body, TPM_RH_PLATFORM);
	buf_be32(&body, index);
	put_platform_auth(tpm, &body);
	buf_be16(&body, (uint16_t)len);
	buf_put(&body, p, len);
	buf_be16(&body, (uint16_t)off);
	return tpm_command(tpm, TPM_ST_SESSIONS, TPM_CC_NV_WRITE, &body, &rsp);
}

int
tpm_nv_put(struct tpm *tpm, uint32_t index, const void *p, size_t len)
{
	_cleanup_(buf_free) struct buf body = { 0 }, rsp = { 0 };
	const size_t step = 512;
	int r;

	tpm_nv_remove(tpm, index);
	buf_be32(&body, TPM_RH_PLATFORM);
	put_platform_auth(tpm, &body);
	buf_be16(&body, 0);  /* auth */
	buf_be16(&body, 14); /* TPM2B_NV_PUBLIC */
	buf_be32(&body, index);
	buf_be16(&body, TPM_ALG_SHA256);
	buf_be32(&body, NV_ATTRS);
	buf_be16(&body, 0); /* authPolicy */
	buf_be16(&body, (uint16_t)len);
	r = tpm_command(tpm, TPM_ST_SESSIONS, TPM_CC_NV_DEFINE_SPACE, &body,
	    &rsp);
	for (size_t off = 0; r == 0 && off < len; off += step)
		r = nv_write(tpm, index, off, (const uint8_t *)p + off,
		    len - off < step ? len - off : step);
	return r;
}
