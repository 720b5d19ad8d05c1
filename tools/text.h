/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TOOLS_TEXT_H
#define TOOLS_TEXT_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/crypto.h"

/* Text that people write and read; nothing in here does I/O. */

/* "2026-01-31T12:00:00Z" (RFC 3339 in UTC, no other zone, no fraction), or
 * seconds since 1970. CVM_E_PARSE. */
int time_parse(const char *text, int64_t *ret) _must_check_;
#define TIME_TEXT_MAX 24
/* The first form; "" for a time that it cannot write. */
const char *time_text(int64_t when, char buf[static TIME_TEXT_MAX]);

/* "0,2,4,7": each of 0..23 at most once, decimal. CVM_E_PARSE. */
int pcr_list_parse(const char *text, uint32_t *ret_mask) _must_check_;
/* The same back, in order. */
#define PCR_LIST_MAX 64
const char *pcr_list_text(uint32_t mask, char buf[static PCR_LIST_MAX]);

/* A PCR bank as policies write it, "sha256", and back: CVM_E_PARSE. */
const char *bank_text(enum hash_alg bank);
int bank_parse(const char *text, enum hash_alg *ret) _must_check_;

/*
 * PKCS#11 URIs, RFC 7512. Appends s percent-encoded to out (NUL-terminated,
 * len bytes in all); all: every byte is, as consumers expect it of an id.
 * CVM_E_BUFFER_TOO_SMALL leaves out as it was.
 */
#define URI_TEXT_MAX 2048
int uri_escape(char *out, size_t len, struct span s, bool all) _must_check_;
struct uri_key {
	const char *token; /* labels */
	const char *object;
	struct span id;
};
/* "pkcs11:token=...;object=...;id=...;type=private" */
int uri_private_key(const struct uri_key *k,
    char out[static URI_TEXT_MAX]) _must_check_;

/* "a FIFO", of a file that is not regular. */
const char *file_kind_text(mode_t mode);

/*
 * What somebody else wrote, for a terminal: the characters of well-formed
 * UTF-8 as they are, each byte of what is not, of control characters and of
 * those that change the direction of a line, as \xNN.
 * Cut to len, at the end of a character. Returns buf. PLAIN() is the same in
 * a buffer that lasts as long as the block.
 */
#define PLAIN_MAX 1200
const char *text_plain(const char *s, char *buf, size_t len);
#define PLAIN(s) text_plain((s), (char[PLAIN_MAX]){ 0 }, PLAIN_MAX)

bool text_is_utf8(const char *s);

/* Cuts text that is longer than columns, and ends it in "...". */
void text_cut(char *text, size_t columns);

#endif
