/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The cvm-pkcs11 authors */

/*
 * configfs-tsm: Documentation/ABI/testing/configfs-tsm-report, with the errno
 * values and generation counters of drivers/virt/coco/tsm.c (report entries)
 * and the buffering of fs/configfs/file.c (what is written to a binary
 * attribute counts when the file is closed).
 */

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tree.h"

#define INBLOB_MAX 64
#define OUTBLOB_MAX 32768
#define MANIFEST_MAX 4096
#define TEXT_MAX 4095
#define PRIVLEVEL_MAX 3

/* One entry of sys/kernel/config/tsm/report. */
struct report {
	struct machine *m;
	atomic_uint refs; /* the entry and its open files */
	atomic_bool dead; /* removed while files were open */
	unsigned long write_generation, read_generation;
	uint8_t inblob[INBLOB_MAX];
	size_t inblob_len;
	unsigned privlevel;
	char *service_provider;
	bool have_out;
	struct buf out, aux, manifest;
};

/* As in the kernel: one lock for all entries, held while a report is made. */
static pthread_mutex_t tsm_lock = PTHREAD_MUTEX_INITIALIZER;
static struct timespec last_report;
static struct buf stale_report;

struct attr {
	const char *name;
	mode_t mode;
	bool binary;
	size_t max;
	bool (*visible)(const struct machine *m);
	int (*show)(struct report *r, struct buf *ret);
	int (*store)(struct report *r, const char *text, size_t len);
};

static bool
is_snp(const struct machine *m)
{
	return m->setting[S_PLATFORM] == PLATFORM_SNP;
}

/* The kernel shows the service attributes to guests above VMPL 0. */
static bool
has_svsm(const struct machine *m)
{
	return is_snp(m) && m->setting[S_VMPL] > 0;
}

static int
advance(struct report *r)
{
	/* Unread writes must not make the counter meet itself. */
	if (r->write_generation == r->read_generation - 1)
		return -EBUSY;
	r->write_generation++;
	return 0;
}

static int
store_inblob(struct report *r, const char *p, size_t len)
{
	int e = advance(r);

	if (e < 0)
		return e;
	memcpy(r->inblob, p, len);
	r->inblob_len = len;
	return 0;
}

static int
parse_uint(const char *text, unsigned *ret)
{
	char *end;
	unsigned long v;

	errno = 0;
	v = strtoul(text, &end, 0);
	if (*end == '\n')
		end++;
	if (end == text || *end != '\0' || !isdigit((unsigned char)*text))
		return -EINVAL;
	if (errno != 0 || v > 0xFFFFFFFF)
		return -ERANGE;
	*ret = (unsigned)v;
	return 0;
}

static int
store_privlevel(struct report *r, const char *text, size_t len)
{
	unsigned v;
	int e = parse_uint(text, &v);

	(void)len;
	if (e < 0)
		return e;
	if (v < r->m->setting[S_VMPL] || v > PRIVLEVEL_MAX)
		return -EINVAL;
	e = advance(r);
	if (e == 0)
		r->privlevel = v;
	return e;
}

static int
store_service_provider(struct report *r, const char *text, size_t len)
{
	int e = advance(r);

	if (e < 0)
		return e;
	while (len > 0 && isspace((unsigned char)text[len - 1]))
		len--;
	free(r->service_provider);
	r->service_provider = xasprintf("%.*s", (int)len, text);
	return 0;
}

static int
store_service_guid(struct report *r, const char *text, size_t len)
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

	for (size_t i = 0; form[i] != '\0'; i++) {
		bool ok = i < len &&
		    (form[i] == '-' ? text[i] == '-' :
				      isxdigit((unsigned char)text[i]));

		if (!ok)
			return -EINVAL;
	}
	return advance(r);
}

static int
store_manifest_version(struct report *r, const char *text, size_t len)
{
	unsigned v;
	int e = parse_uint(text, &v);

	(void)len;
	return e < 0 ? e : advance(r);
}

static int
show_generation(struct report *r, struct buf *ret)
{
	buf_printf(ret, "%lu\n", r->write_generation);
	return 0;
}

static int
show_provider(struct report *r, struct buf *ret)
{
	bool other = knobs_get(r->m->knobs, K_TSM_PROVIDER) == PROVIDER_OTHER;

	buf_text(ret, is_snp(r->m) != other ? "sev_guest\n" : "tdx_guest\n");
	return 0;
}

static int
show_floor(struct report *r, struct buf *ret)
{
	buf_printf(ret, "%s\n", machine_setting(r->m, S_VMPL));
	return 0;
}

static void
sleep_until(struct timespec t)
{
	while (
	    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		continue;
}

static struct timespec
after_ms(struct timespec t, long ms)
{
	t.tv_sec += ms / 1000;
	t.tv_nsec += ms % 1000 * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

/* The host's pace: throttled requests wait, as the guest driver does. */
static void
pace(struct machine *m)
{
	long interval = knobs_get(m->knobs, K_TSM_MIN_INTERVAL_MS);
	struct timespec now;

	if (interval > 0 && last_report.tv_sec != 0)
		sleep_until(after_ms(last_report, interval));
	clock_gettime(CLOCK_MONOTONIC, &now);
	sleep_until(after_ms(now, knobs_get(m->knobs, K_TSM_DELAY_MS)));
	clock_gettime(CLOCK_MONOTONIC, &last_report);
}

static int
wanted_error(struct machine *m)
{
	static const struct {
		enum knob knob;
		int error;
	} errors[] = { { K_TSM_EBUSY, EBUSY }, { K_TSM_EAGAIN, EAGAIN },
		{ K_TSM_EIO, EIO } };

	for (size_t i = 0; i < ARRAY_LEN(errors); i++)
		if (knobs_take(m->knobs, errors[i].knob))
			return -errors[i].error;
	return 0;
}

/* An SVSM binds its service manifest into a report at VMPL 0. */
static void
svsm_report(struct report *r, const uint8_t nonce[INBLOB_MAX])
{
	uint8_t both[INBLOB_MAX + 1024], data[64];
	size_t len = r->m->ek.len;

	buf_put(&r->manifest, r->m->ek.p, len);
	memcpy(both, nonce, INBLOB_MAX);
	memcpy(both + INBLOB_MAX, r->manifest.p, len);
	digest("SHA512", both, INBLOB_MAX + len, data);
	amd_report(r->m, data, 0, &r->out, &r->aux);
}

static void
spoil(struct report *r)
{
	struct knobs *knobs = r->m->knobs;

	if (stale_report.len > 0 && knobs_take(knobs, K_TSM_STALE)) {
		r->out.len = 0;
		buf_put(&r->out, stale_report.p, stale_report.len);
	} else {
		stale_report.len = 0;
		buf_put(&stale_report, r->out.p, r->out.len);
	}
	if (knobs_take(knobs, K_TSM_GARBAGE) &&
	    RAND_bytes(r->out.p, (int)r->out.len) != 1)
		die("no random numbers");
	if (knobs_take(knobs, K_TSM_TRUNCATED))
		r->out.len /= 2;
	if (knobs_take(knobs, K_TSM_EMPTY))
		r->out.len = 0;
}

/* sev_report_new() and tdx_report_new(). */
static int
report_new(struct report *r)
{
	struct machine *m = r->m;
	uint8_t data[INBLOB_MAX];
	int e;

	if (r->inblob_len != INBLOB_MAX)
		return -EINVAL;
	if (r->service_provider != NULL &&
	    strcmp(r->service_provider, "svsm") != 0)
		return -EINVAL;
	pace(m);
	e = wanted_error(m);
	if (e < 0)
		return e;
	/* The firmware refuses levels above the guest's own. */
	if (is_snp(m) && r->service_provider == NULL &&
	    r->privlevel < m->setting[S_VMPL])
		return -ENXIO;
	memcpy(data, r->inblob, sizeof(data));
	if (knobs_take(m->knobs, K_TSM_WRONG_NONCE))
		data[0] ^= 1;
	if (!is_snp(m))
		intel_quote(m, data, &r->out);
	else if (r->service_provider != NULL)
		svsm_report(r, data);
	else
		amd_report(m, data, r->privlevel, &r->out, &r->aux);
	spoil(r);
	return 0;
}

/* tsm_report_read(): makes the report unless it is the current one. */
static int
refresh(struct report *r)
{
	int e;

	if (r->inblob_len == 0)
		return -EINVAL;
	if (r->have_out && r->read_generation == r->write_generation)
		return 0;
	r->have_out = false;
	r->out.len = r->aux.len = r->manifest.len = 0;
	e = report_new(r);
	if (e < 0) {
		atomic_fetch_add(&r->m->count.tsm_errors, 1);
		return e;
	}
	atomic_fetch_add(&r->m->count.tsm_reports, 1);
	r->have_out = true;
	r->read_generation = r->write_generation;
	return 0;
}

static int
show_blob(struct report *r, const struct buf *blob, struct buf *ret)
{
	int e = refresh(r);

	if (e < 0)
		return e;
	buf_put(ret, blob->p, blob->len);
	return 0;
}

static int
show_outblob(struct report *r, struct buf *ret)
{
	int e = show_blob(r, &r->out, ret);

	/* Somebody else seems to have used this entry in between. */
	if (e == 0 && knobs_take(r->m->knobs, K_TSM_GENERATION))
		r->write_generation++;
	return e;
}

static int
show_auxblob(struct report *r, struct buf *ret)
{
	return show_blob(r, &r->aux, ret);
}

static int
show_manifestblob(struct report *r, struct buf *ret)
{
	return show_blob(r, &r->manifest, ret);
}

static const struct attr attrs[] = {
	{ "generation", 0444, false, 0, NULL, show_generation, NULL },
	{ "provider", 0444, false, 0, NULL, show_provider, NULL },
	{ "privlevel", 0200, false, 0, is_snp, NULL, store_privlevel },
	{ "privlevel_floor", 0444, false, 0, is_snp, show_floor, NULL },
	{ "service_provider", 0200, false, 0, has_svsm, NULL,
	    store_service_provider },
	{ "service_guid", 0200, false, 0, has_svsm, NULL, store_service_guid },
	{ "service_manifest_version", 0200, false, 0, has_svsm, NULL,
	    store_manifest_version },
	{ "inblob", 0200, true, INBLOB_MAX, NULL, NULL, store_inblob },
	{ "outblob", 0444, true, OUTBLOB_MAX, NULL, show_outblob, NULL },
	{ "auxblob", 0444, true, OUTBLOB_MAX, is_snp, show_auxblob, NULL },
	{ "manifestblob", 0444, true, MANIFEST_MAX, has_svsm, show_manifestblob,
	    NULL },
};

struct attr_file {
	struct report *report;
	const struct attr *attr;
	pthread_mutex_t lock;
	bool filled, written;
	struct buf buffer;
};

static void
report_unref(struct report *r)
{
	if (atomic_fetch_sub(&r->refs, 1) > 1)
		return;
	buf_free(&r->out);
	buf_free(&r->aux);
	buf_free(&r->manifest);
	free(r->service_provider);
	free(r);
}

/* root, too, finds no way to read what has no reader. */
static int
attr_open(struct node *node, int flags, void **ret)
{
	const struct attr *attr = &attrs[node->index];
	struct report *r = node->data;
	struct attr_file *f;

	if ((flags & O_ACCMODE) != O_RDONLY && attr->store == NULL)
		return -EACCES;
	if ((flags & O_ACCMODE) != O_WRONLY && attr->show == NULL)
		return -EACCES;
	f = xcalloc(1, sizeof(*f));
	f->report = r;
	f->attr = attr;
	pthread_mutex_init(&f->lock, NULL);
	atomic_fetch_add(&r->refs, 1);
	*ret = f;
	return 0;
}

static int
fill(struct attr_file *f)
{
	int e;

	if (f->filled)
		return 0;
	pthread_mutex_lock(&tsm_lock);
	e = f->report->dead ? -ENOENT : f->attr->show(f->report, &f->buffer);
	pthread_mutex_unlock(&tsm_lock);
	/* An empty blob is asked for again with the next read. */
	f->filled = e == 0 && f->buffer.len > 0;
	return e;
}

static void
attr_read(fuse_req_t req, void *file, size_t size, off_t off)
{
	struct attr_file *f = file;
	size_t from, n;
	int e;

	pthread_mutex_lock(&f->lock);
	e = f->written && f->attr->binary ? -ETXTBSY : fill(f);
	from = (size_t)off < f->buffer.len ? (size_t)off : f->buffer.len;
	n = f->buffer.len - from < size ? f->buffer.len - from : size;
	if (e < 0)
		fuse_reply_err(req, -e);
	else
		fuse_reply_buf(req, n > 0 ? (char *)f->buffer.p + from : NULL,
		    n);
	pthread_mutex_unlock(&f->lock);
}

/* A binary attribute collects until the file is closed. */
static int
write_binary(struct attr_file *f, const void *p, size_t size, size_t off)
{
	if (f->filled)
		return -ETXTBSY;
	if (off + size > f->attr->max)
		return -EFBIG;
	f->written = true;
	if (off + size > f->buffer.len)
		buf_fill(&f->buffer, 0, off + size - f->buffer.len);
	buf_set(&f->buffer, off, p, size);
	return 0;
}

static int
write_text(struct attr_file *f, const void *p, size_t *size)
{
	char text[TEXT_MAX + 1];
	int e;

	if (*size > TEXT_MAX)
		*size = TEXT_MAX;
	memcpy(text, p, *size);
	text[*size] = '\0';
	pthread_mutex_lock(&tsm_lock);
	e = f->report->dead ? -ENOENT : f->attr->store(f->report, text, *size);
	pthread_mutex_unlock(&tsm_lock);
	return e;
}

static void
attr_write(fuse_req_t req, void *file, const void *p, size_t size, off_t off)
{
	struct attr_file *f = file;
	int e;

	pthread_mutex_lock(&f->lock);
	if (f->attr->binary)
		e = write_binary(f, p, size, (size_t)off);
	else
		e = write_text(f, p, &size);
	pthread_mutex_unlock(&f->lock);
	if (e < 0)
		fuse_reply_err(req, -e);
	else
		fuse_reply_write(req, size);
}

/* With the close(2), not with the release, which nobody waits for. */
static void
attr_flush(void *file)
{
	struct attr_file *f = file;

	pthread_mutex_lock(&f->lock);
	pthread_mutex_lock(&tsm_lock);
	if (f->written && !f->report->dead)
		/* As in the kernel, nobody hears of an error here. */
		(void)f->attr->store(f->report, (char *)f->buffer.p,
		    f->buffer.len);
	f->written = false;
	pthread_mutex_unlock(&tsm_lock);
	pthread_mutex_unlock(&f->lock);
}

static void
attr_release(void *file)
{
	struct attr_file *f = file;

	attr_flush(f);
	report_unref(f->report);
	buf_free(&f->buffer);
	free(f);
}

static const struct file_ops attr_ops = {
	.open = attr_open,
	.read = attr_read,
	.write = attr_write,
	.flush = attr_flush,
	.release = attr_release,
};

static void
entry_free(void *data)
{
	report_unref(data);
}

static int
entry_mkdir(struct node *parent, const char *name, struct node **ret)
{
	struct machine *m = tree_machine(parent->tree);
	struct report *r = xcalloc(1, sizeof(*r));
	struct node *dir = node_add(parent, name, S_IFDIR | 0755);

	r->m = m;
	r->refs = 1;
	dir->data = r;
	dir->free_data = entry_free;
	for (size_t i = 0; i < ARRAY_LEN(attrs); i++) {
		struct node *node;

		if (attrs[i].visible != NULL && !attrs[i].visible(m))
			continue;
		node = node_add(dir, attrs[i].name, S_IFREG | attrs[i].mode);
		node->size = attrs[i].binary ? 0 : 4096;
		node->files = &attr_ops;
		node->data = r;
		node->index = (int)i;
	}
	atomic_fetch_add(&m->count.tsm_mkdirs, 1);
	*ret = dir;
	return 0;
}

static int
entry_rmdir(struct node *node)
{
	struct report *r = node->data;

	atomic_store(&r->dead, true);
	return 0;
}

static const struct dir_ops report_dir = { entry_mkdir, entry_rmdir };

void
tsm_add(struct tree *tree)
{
	const struct machine *m = tree_machine(tree);

	if (m->setting[S_PLATFORM] != PLATFORM_SNP &&
	    m->setting[S_PLATFORM] != PLATFORM_TDX)
		return;
	if (m->setting[S_CLOUD] == CLOUD_AZURE)
		return;
	node_add_path(tree, "sys/kernel/config/tsm/report")->dirs = &report_dir;
}
