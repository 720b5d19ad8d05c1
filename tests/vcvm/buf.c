/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The cvm-pkcs11 authors */

#include "buf.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void
buf_free(struct buf *b)
{
	free(b->p);
	*b = (struct buf){ 0 };
}

static uint8_t *
buf_grow(struct buf *b, size_t len)
{
	size_t cap = b->cap ? b->cap : 256;
	uint8_t *at;

	while (cap - b->len < len)
		cap *= 2;
	if (cap != b->cap) {
		b->p = realloc(b->p, cap);
		if (b->p == NULL)
			die("out of memory");
		b->cap = cap;
	}
	at = b->p + b->len;
	b->len += len;
	return at;
}

void
buf_put(struct buf *b, const void *p, size_t len)
{
	if (len > 0)
		memcpy(buf_grow(b, len), p, len);
}

void
buf_fill(struct buf *b, uint8_t byte, size_t len)
{
	if (len > 0)
		memset(buf_grow(b, len), byte, len);
}

void
buf_text(struct buf *b, const char *text)
{
	buf_put(b, text, strlen(text));
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		die("out of memory");
	buf_put(b, text, (size_t)n);
	free(text);
}

static void
buf_int(struct buf *b, uint64_t v, int size, int big)
{
	uint8_t *p = buf_grow(b, (size_t)size);

	for (int i = 0; i < size; i++)
		p[i] = (uint8_t)(v >> 8 * (big ? size - 1 - i : i));
}

void
buf_u8(struct buf *b, uint8_t v)
{
	buf_int(b, v, 1, 0);
}

void
buf_le16(struct buf *b, uint16_t v)
{
	buf_int(b, v, 2, 0);
}

void
buf_le32(struct buf *b, uint32_t v)
{
	buf_int(b, v, 4, 0);
}

void
buf_le64(struct buf *b, uint64_t v)
{
	buf_int(b, v, 8, 0);
}

void
buf_be16(struct buf *b, uint16_t v)
{
	buf_int(b, v, 2, 1);
}

void
buf_be32(struct buf *b, uint32_t v)
{
	buf_int(b, v, 4, 1);
}

void
buf_be64(struct buf *b, uint64_t v)
{
	buf_int(b, v, 8, 1);
}

void
buf_utf16(struct buf *b, const char *text)
{
	for (; *text != '\0'; text++)
		buf_le16(b, (uint8_t)*text);
}

void
buf_set(struct buf *b, size_t off, const void *p, size_t len)
{
	if (off > b->len || len > b->len - off)
		die("buf_set outside of the buffer");
	memcpy(b->p + off, p, len);
}

char *
buf_cstr(struct buf *b)
{
	buf_u8(b, 0);
	b->len--;
	return (char *)b->p;
}

uint16_t
get_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

uint32_t
get_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	    (uint32_t)p[2] << 8 | p[3];
}

uint32_t
get_le32(const uint8_t *p)
{
	return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 |
	    (uint32_t)p[1] << 8 | p[0];
}

void
set_be32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

void
set_le16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

void
set_le32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

void
set_le64(uint8_t *p, uint64_t v)
{
	for (int i = 0; i < 8; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

void *
xcalloc(size_t n, size_t size)
{
	void *p = calloc(n, size);

	if (p == NULL)
		die("out of memory");
	return p;
}

char *
xstrdup(const char *s)
{
	char *copy = strdup(s);

	if (copy == NULL)
		die("out of memory");
	return copy;
}

char *
xasprintf(const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		die("out of memory");
	return text;
}

void
freep(void *p)
{
	void **pp = p;

	free(*pp);
	*pp = NULL;
}

char *
hex_of(const void *p, size_t len)
{
	const uint8_t *b = p;
	char *hex = xcalloc(len + 1, 2);

	for (size_t i = 0; i < len; i++)
		snprintf(hex + 2 * i, 3, "%02x", b[i]);
	return hex;
}

int
hex_to(const char *hex, uint8_t *ret, size_t len)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";

	if (strlen(hex) != 2 * len)
		return -1;
	for (size_t i = 0; i < 2 * len; i++) {
		const char *d = strchr(digits, hex[i]);

		if (d == NULL)
			return -1;
		ret[i / 2] = (uint8_t)(ret[i / 2] << 4 | ((d - digits) & 15));
	}
	return 0;
}

int
file_read(const char *path, struct buf *ret)
{
	uint8_t chunk[8192];
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	while ((n = read(fd, chunk, sizeof(chunk))) > 0)
		buf_put(ret, chunk, (size_t)n);
	close(fd);
	return n < 0 ? -1 : 0;
}

/* Written beside and renamed: a reader sees the old or the new file. */
int
file_write(const char *path, const void *p, size_t len, unsigned mode)
{
	_cleanup_(freep) char *tmp = xasprintf("%s.new", path);
	int fd, r;

	unlink(tmp);
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0)
		return -1;
	r = write(fd, p, len) == (ssize_t)len ? 0 : -1;
	if (fchmod(fd, mode) < 0 || close(fd) < 0 || r < 0)
		return -1;
	return rename(tmp, path);
}

static void vlogv(const char *fmt, va_list ap) _printf_(1, 0);

static void
vlogv(const char *fmt, va_list ap)
{
	char line[1024];

	vsnprintf(line, sizeof(line), fmt, ap);
	fprintf(stderr, "vcvm: %s\n", line);
}

void
vlog(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vlogv(fmt, ap);
	va_end(ap);
}

void
die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vlogv(fmt, ap);
	va_end(ap);
	_exit(1);
}
