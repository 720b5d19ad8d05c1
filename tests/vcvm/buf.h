/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The cvm-pkcs11 authors */

#ifndef VCVM_BUF_H
#define VCVM_BUF_H

#include <stddef.h>
#include <stdint.h>

/*
 * A growing byte string, and the writers for the formats that the virtual
 * machine speaks: little-endian for SNP, TDX and event logs, big-endian for
 * TPM 2.0. Running out of memory ends the program.
 */
struct buf {
	uint8_t *p;
	size_t len;
	size_t cap;
};

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _printf_(a, b) __attribute__((format(printf, a, b)))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

void buf_free(struct buf *b);
void buf_put(struct buf *b, const void *p, size_t len);
void buf_fill(struct buf *b, uint8_t byte, size_t len);
void buf_text(struct buf *b, const char *text);
void buf_printf(struct buf *b, const char *fmt, ...) _printf_(2, 3);
void buf_u8(struct buf *b, uint8_t v);
void buf_le16(struct buf *b, uint16_t v);
void buf_le32(struct buf *b, uint32_t v);
void buf_le64(struct buf *b, uint64_t v);
void buf_be16(struct buf *b, uint16_t v);
void buf_be32(struct buf *b, uint32_t v);
void buf_be64(struct buf *b, uint64_t v);
/* The text as UTF-16LE, without a terminator. */
void buf_utf16(struct buf *b, const char *text);
/* Overwrites len bytes that are already there. */
void buf_set(struct buf *b, size_t off, const void *p, size_t len);
/* The bytes as a C string; stays owned by the buffer. */
char *buf_cstr(struct buf *b);

uint16_t get_be16(const uint8_t *p);
uint32_t get_be32(const uint8_t *p);
uint32_t get_le32(const uint8_t *p);
void set_be32(uint8_t *p, uint32_t v);
void set_le16(uint8_t *p, uint16_t v);
void set_le32(uint8_t *p, uint32_t v);
void set_le64(uint8_t *p, uint64_t v);

void *xcalloc(size_t n, size_t size);
char *xstrdup(const char *s);
char *xasprintf(const char *fmt, ...) _printf_(1, 2);
void freep(void *p);

/* Lower-case hex of the bytes; the caller frees. */
char *hex_of(const void *p, size_t len);
/* Reads exactly len bytes of hex; 0, or -1 when the text is anything else. */
int hex_to(const char *hex, uint8_t *ret, size_t len);

/* Whole files. Both return 0, or -1 with errno. */
int file_read(const char *path, struct buf *ret);
int file_write(const char *path, const void *p, size_t len, unsigned mode);

/* One line to stderr, which a running machine has redirected to its log. */
void vlog(const char *fmt, ...) _printf_(1, 2);
void die(const char *fmt, ...) _printf_(1, 2) __attribute__((noreturn));

#endif
