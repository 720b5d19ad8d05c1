/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "attest/retry.h"
#include "attest/svsm.h"
#include "attest/tsm.h"

/* statfs(2): f_type of the file systems that only the kernel fills. */
#define CONFIGFS_TYPE 0x62656570
#define SECURITYFS_TYPE 0x73636673
#define SYSFS_TYPE 0x62656572

#define ENTRY_NAME_MAX 64
#define ATTRIBUTE_MAX 64 /* of a line of text */
#define TSM_LEVEL_MAX 3	 /* VMPL0..3: AMD SEV-SNP ABI, MSG_REPORT_REQ */
#define BACK_OFF_MIN_MS 20
#define BACK_OFF_MAX_MS 1000

void
tsm_report_clear(struct tsm_report *r)
{
	blob_clear(&r->outblob);
	blob_clear(&r->auxblob);
	blob_clear(&r->hcl);
	blob_clear(&r->manifest);
	memset(r, 0, sizeof(*r));
}

/* One request: its directory, and how to say where something failed. */
struct entry {
	const char *dir;
	int dirfd;
	char name[ENTRY_NAME_MAX]; /* empty: not made */
	int fd;
};

/* rmdir(2) is the end of a request, whatever became of it. */
static void
entry_end(struct entry *e)
{
	closep(&e->fd);
	if (e->name[0] != '\0')
		(void)unlinkat(e->dirfd, e->name, AT_REMOVEDIR);
	e->name[0] = '\0';
}

/* Reads fd to its end; E2BIG when there are more than max bytes. */
static int
read_all(int fd, size_t max, struct blob *ret)
{
	_cleanup_(blob_clear) struct blob out = { 0 };
	uint8_t buf[4096];

	for (;;) {
		ssize_t n = read(fd, buf, sizeof(buf));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		if (n == 0)
			break;
		if ((size_t)n > max - out.len)
			return E2BIG;
		if (blob_append(&out, span(buf, (size_t)n)) != CVM_OK)
			return ENOMEM;
	}
	blob_clear(ret);
	*ret = out;
	out = (struct blob){ 0 };
	return 0;
}

static int
read_attribute(const struct entry *e, const char *attribute, size_t max,
    struct blob *ret)
{
	_cleanup_(closep) int fd = -1;

	fd = openat(e->fd, attribute, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? errno : read_all(fd, max, ret);
}

/* A line of text without its newline; EPROTO when it is none. */
static int
read_line(const struct entry *e, const char *attribute, char *out, size_t len)
{
	_cleanup_(blob_clear) struct blob b = { 0 };
	int err = read_attribute(e, attribute, ATTRIBUTE_MAX, &b);

	if (err != 0)
		return err;
	if (b.len > 0 && b.data[b.len - 1] == '\n')
		b.len--;
	if (b.len == 0 || b.len >= len || memchr(b.data, 0, b.len) != NULL)
		return EPROTO;
	memcpy(out, b.data, b.len);
	out[b.len] = '\0';
	return 0;
}

static int
read_number(const struct entry *e, const char *attribute, uint64_t *ret)
{
	char line[ATTRIBUTE_MAX], *end;
	int err = read_line(e, attribute, line, sizeof(line));

	if (err != 0)
		return err;
	errno = 0;
	*ret = strtoull(line, &end, 10);
	return errno != 0 || *end != '\0' || line[0] == '-' ? EPROTO : 0;
}

/* configfs takes a written blob over when the file is closed. */
static int
write_attribute(const struct entry *e, const char *attribute, struct span s)
{
	int fd = openat(e->fd, attribute, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	int err = 0;
	ssize_t n;

	if (fd < 0)
		return errno;
	do
		n = write(fd, s.data, s.len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		err = errno;
	else if ((size_t)n != s.len)
		err = EIO;
	if (close(fd) != 0 && err == 0)
		err = errno;
	return err;
}

/* Two of errno's values say here what strerror(3) does not. */
static const char *
error_text(int err, char *buf, size_t len)
{
	return err == E2BIG ? "more bytes" :
	    err == EPROTO   ? "no line of text" :
			      strerror_r(err, buf, len);
}

static int
refuse(const struct entry *e, const char *what, int err, struct why *why)
{
	char buf[128];

	return why_set(why, CVM_E_UNREACHABLE, e->dir, what, "a TEE report",
	    error_text(err, buf, sizeof(buf)));
}

static void
hint_module(const char *provider, struct why *why)
{
	const char *module = strcmp(provider, "tdx_guest") == 0 ? "tdx-guest" :
								  "sev-guest";

	why_hint(why,
	    "load the kernel module %s (package "
	    "linux-modules-extra-$(uname -r)) and mount configfs; needs Linux "
	    "6.7",
	    module);
}

static int
refuse_mkdir(const struct entry *e, const char *provider, int err,
    struct why *why)
{
	int r = refuse(e, "mkdir", err, why);

	if (err == EACCES || err == EPERM)
		why_hint(why,
		    "only root may ask for reports: use p11-kit "
		    "server, or give %s to a group",
		    e->dir);
	else if (err == ENXIO || err == ENOENT)
		hint_module(provider, why);
	return r;
}

/* A directory that nobody else knows of, so that nobody else writes there. */
static int
entry_make(struct entry *e, const char *provider, struct why *why)
{
	char hex[2 * 8 + 1];
	uint8_t rnd[8];

	if (random_bytes(rnd, sizeof(rnd)) != CVM_OK)
		return why_set(why, CVM_E_CRYPTO, e->dir, "name",
		    "random bytes", "none");
	(void)snprintf(e->name, sizeof(e->name), "cvm-pkcs11-%ld-%s",
	    (long)getpid(),
	    hex_encode(span(rnd, sizeof(rnd)), hex, sizeof(hex)));
	/* An existing directory is not ours: mkdir(2) has O_EXCL's meaning. */
	if (mkdirat(e->dirfd, e->name, 0700) != 0) {
		int err = errno;

		e->name[0] = '\0';
		return refuse_mkdir(e, provider, err, why);
	}
	e->fd = openat(e->dirfd, e->name,
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return e->fd >= 0 ? CVM_OK : refuse(e, "open", errno, why);
}

static int
check_provider(const struct entry *e, const char *provider,
    struct tsm_report *out, struct why *why)
{
	int err = read_line(e, "provider", out->provider,
	    sizeof(out->provider));

	if (err != 0)
		return refuse(e, "provider", err, why);
	if (strcmp(out->provider, provider) == 0)
		return CVM_OK;
	(void)why_set(why, CVM_E_UNREACHABLE, e->dir, "provider", provider,
	    out->provider);
	why_hint(why, "the policy's \"tee\" is not this machine's");
	return CVM_E_UNREACHABLE;
}

/* Before the kernel's ENXIO, which says nothing of levels. */
static int
check_floor(const struct entry *e, unsigned level, struct why *why)
{
	char expected[48];
	uint64_t floor = 0;
	int err = read_number(e, "privlevel_floor", &floor);

	if (err == ENOENT && level == 0)
		return CVM_OK;
	if (err != 0)
		return refuse(e, "privlevel_floor", err, why);
	if (level >= floor)
		return CVM_OK;
	(void)snprintf(expected, sizeof(expected), "at least %llu (snp.vmpl)",
	    (unsigned long long)floor);
	return why_setf(why, CVM_E_UNREACHABLE, e->dir, "privlevel", expected,
	    "%u", level);
}

/* The level must be written before the report is read: it is one of the
 * inputs that generation counts. Level 0 is the kernel's default. */
static int
set_level(const struct entry *e, unsigned level, struct why *why)
{
	char text[16];
	int err, r = check_floor(e, level, why);

	if (r != CVM_OK || level == 0)
		return r;
	(void)snprintf(text, sizeof(text), "%u", level);
	err = write_attribute(e, "privlevel", span(text, strlen(text)));
	return err == 0 ? CVM_OK : refuse(e, "privlevel", err, why);
}

/* Each of them is counted by generation, as inblob is. */
static const struct {
	const char *attribute, *value;
} service_inputs[] = {
	{ "service_provider", "svsm" },
	{ "service_guid", SVSM_VTPM_GUID },
	{ "service_manifest_version", SVSM_MANIFEST_VERSION },
};

/* ENOENT: this guest is below no SVSM. */
static int
write_service(const struct entry *e, const char **ret_what)
{
	int err = 0;

	for (size_t i = 0; err == 0 && i < NELEMS(service_inputs); i++) {
		*ret_what = service_inputs[i].attribute;
		err = write_attribute(e, *ret_what,
		    span(service_inputs[i].value,
			strlen(service_inputs[i].value)));
	}
	return err;
}

/* The request itself; *ret_again tells whether another try makes sense. */
static int
request(const struct entry *e, struct span report_data, bool svsm,
    struct tsm_report *out, bool *ret_again, struct why *why)
{
	uint64_t before, after,
	    inputs = 1 + (svsm ? NELEMS(service_inputs) : 0);
	const char *what = "generation";
	int err;

	err = read_number(e, "generation", &before);
	if (err == 0 && svsm)
		err = write_service(e, &what);
	if (err == 0) {
		what = "inblob";
		err = write_attribute(e, what, report_data);
	}
	if (err == 0) {
		what = "outblob";
		err = read_attribute(e, what, EVIDENCE_TEE_MAX, &out->outblob);
	}
	if (err == 0) {
		what = "auxblob";
		err = read_attribute(e, what, EVIDENCE_AUX_MAX, &out->auxblob);
		if (err == ENOENT) /* TDX has none */
			err = 0;
	}
	if (err == 0 && svsm) {
		what = "manifestblob";
		err = read_attribute(e, what, SVSM_MANIFEST_MAX,
		    &out->manifest);
	}
	if (err == 0) {
		what = "generation";
		err = read_number(e, "generation", &after);
	}
	*ret_again = retry_helps(err);
	if (err != 0)
		return refuse(e, what, err, why);
	*ret_again = true;
	/* Another writer's input may be what the report is over. */
	if (after != before + inputs)
		return why_setf(why, CVM_E_UNREACHABLE, e->dir, "generation",
		    "what was written since before the request", "%llu more",
		    (unsigned long long)(after - before));
	if (out->outblob.len == 0)
		return why_set(why, CVM_E_UNREACHABLE, e->dir, "outblob",
		    "a TEE report", "an empty file: no quote from the host");
	return CVM_OK;
}

/* What is asked for, the same in every attempt. */
struct question {
	const char *dir;
	int dirfd;
	const char *provider;
	unsigned level;
	struct span report_data;
	bool svsm;
};

static int
try_once(const struct question *q, struct tsm_report *ret, bool *ret_again,
    struct why *why)
{
	_cleanup_(entry_end) struct entry e = { .dir = q->dir,
		.dirfd = q->dirfd,
		.fd = -1 };
	_cleanup_(tsm_report_clear) struct tsm_report out = { 0 };
	int r;

	*ret_again = false;
	r = entry_make(&e, q->provider, why);
	if (r == CVM_OK)
		r = check_provider(&e, q->provider, &out, why);
	/* The SVSM asks at its own level, whatever the guest's floor. */
	if (r == CVM_OK && !q->svsm)
		r = set_level(&e, q->level, why);
	if (r == CVM_OK)
		r = request(&e, q->report_data, q->svsm, &out, ret_again, why);
	if (r != CVM_OK)
		return r;
	out.simulated = ret->simulated;
	*ret = out;
	out = (struct tsm_report){ 0 };
	return CVM_OK;
}

/* Is fd what the kernel alone can have filled? */
static bool
is_kernels(int fd, const long *types, size_t n)
{
	struct statfs fs;
	struct stat st;

	if (fstatfs(fd, &fs) != 0 || fstat(fd, &st) != 0 || st.st_uid != 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if ((long)fs.f_type == types[i])
			return true;
	return false;
}

static int
open_dir(const char *dir, const char *provider, int *ret, struct why *why)
{
	const struct entry e = { .dir = dir };
	int fd, r;

	fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0) {
		*ret = fd;
		return CVM_OK;
	}
	if (errno == EACCES)
		return refuse_mkdir(&e, provider, EACCES, why);
	r = refuse(&e, "evidence.tsm", errno, why);
	if (errno == ENOENT)
		hint_module(provider, why);
	return r;
}

int
tsm_privlevel_floor(const char *dir, const char *provider, unsigned *ret_level,
    struct why *reterr_why)
{
	_cleanup_(closep) int dirfd = -1; /* outlives e */
	_cleanup_(entry_end) struct entry e = { .dir = dir, .fd = -1 };
	uint64_t floor = 0;
	int err, r;

	r = open_dir(dir, provider, &dirfd, reterr_why);
	if (r != CVM_OK)
		return r;
	e.dirfd = dirfd;
	if ((r = entry_make(&e, provider, reterr_why)) != CVM_OK)
		return r;
	err = read_number(&e, "privlevel_floor", &floor);
	if (err != 0 && err != ENOENT)
		return refuse(&e, "privlevel_floor", err, reterr_why);
	if (floor > TSM_LEVEL_MAX)
		return why_setf(reterr_why, CVM_E_UNREACHABLE, dir,
		    "privlevel_floor", "0..3", "%llu",
		    (unsigned long long)floor);
	*ret_level = (unsigned)floor;
	return CVM_OK;
}

static int
get_report(struct question q, uint32_t timeout_ms, struct tsm_report *ret,
    struct why *reterr_why)
{
	static const long configfs[] = { CONFIGFS_TYPE };
	_cleanup_(closep) int dirfd = -1;
	struct retry retry = retry_within(timeout_ms, BACK_OFF_MIN_MS,
	    BACK_OFF_MAX_MS);
	struct tsm_report out = { 0 };
	bool again;
	int r;

	r = open_dir(q.dir, q.provider, &dirfd, reterr_why);
	if (r != CVM_OK)
		return r;
	q.dirfd = dirfd;
	out.simulated = !is_kernels(dirfd, configfs, NELEMS(configfs));
	for (;;) {
		r = try_once(&q, &out, &again, reterr_why);
		if (r == CVM_OK)
			break;
		if (!again)
			return r;
		if (!retry_wait(&retry)) {
			why_hint(reterr_why,
			    "tried for %u ms "
			    "(evidence.timeout_ms)",
			    timeout_ms);
			return r;
		}
	}
	tsm_report_clear(ret);
	*ret = out;
	return CVM_OK;
}

int
tsm_get_report(const char *dir, const char *provider, unsigned level,
    const uint8_t report_data[static REPORT_DATA_LEN], uint32_t timeout_ms,
    struct tsm_report *ret, struct why *reterr_why)
{
	return get_report((struct question){ .dir = dir,
			      .provider = provider,
			      .level = level,
			      .report_data = span(report_data,
				  REPORT_DATA_LEN) },
	    timeout_ms, ret, reterr_why);
}

int
tsm_get_svsm_report(const char *dir,
    const uint8_t report_data[static REPORT_DATA_LEN], uint32_t timeout_ms,
    struct tsm_report *ret, struct why *reterr_why)
{
	int r = get_report((struct question){ .dir = dir,
			       .provider = "sev_guest",
			       .svsm = true,
			       .report_data = span(report_data,
				   REPORT_DATA_LEN) },
	    timeout_ms, ret, reterr_why);

	if (r == CVM_E_UNREACHABLE && reterr_why != NULL &&
	    strcmp(reterr_why->field, service_inputs[0].attribute) == 0)
		why_hint(reterr_why,
		    "is there an SVSM with a vTPM above this guest? Needs "
		    "Linux 6.11");
	return r;
}

int
kernel_log_read(const char *path, struct blob *ret, bool *ret_simulated,
    struct why *reterr_why)
{
	static const long types[] = { SECURITYFS_TYPE, SYSFS_TYPE };
	_cleanup_(closep) int fd = -1;
	char buf[128];
	struct stat st;
	bool simulated;
	int err = 0;

	/* O_NONBLOCK: a FIFO in its place must not stop us. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) != 0)
		err = errno;
	else if (!S_ISREG(st.st_mode))
		err = ENOTSUP;
	if (err == 0) {
		simulated = !is_kernels(fd, types, NELEMS(types));
		err = read_all(fd, EVIDENCE_LOG_MAX, ret);
	}
	if (err == 0) {
		*ret_simulated = simulated;
		return CVM_OK;
	}
	(void)why_set(reterr_why,
	    err == ENOENT ? CVM_E_NOT_FOUND : CVM_E_UNREACHABLE, path, "log",
	    "a regular file of at most 1 MiB",
	    error_text(err, buf, sizeof(buf)));
	if (err == EACCES || err == EPERM)
		why_hint(reterr_why,
		    "only root may read it: use p11-kit "
		    "server, or drop \"event_log\" from the policy");
	return err == ENOENT ? CVM_E_NOT_FOUND : CVM_E_UNREACHABLE;
}
