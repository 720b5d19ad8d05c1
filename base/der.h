/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef BASE_DER_H
#define BASE_DER_H

#include "base/reader.h"

/*
 * DER (X.690) over a reader: definite lengths in their shortest form, no tag
 * above 30, one spelling of every value. What breaks a rule latches the
 * reader's failure, as everything else there.
 */
#define DER_BOOLEAN 0x01
#define DER_INTEGER 0x02
#define DER_BITS 0x03
#define DER_OCTETS 0x04
#define DER_NULL 0x05
#define DER_OID 0x06
#define DER_ENUMERATED 0x0a
#define DER_UTF8 0x0c
#define DER_NUMERIC 0x12
#define DER_PRINTABLE 0x13
#define DER_IA5 0x16
#define DER_UTC_TIME 0x17
#define DER_GENERALIZED_TIME 0x18
#define DER_SEQUENCE 0x30
#define DER_SET 0x31
#define DER_IMPLICIT(n) (0x80 | (n)) /* [n] of a primitive type */
#define DER_EXPLICIT(n) (0xa0 | (n)) /* [n] of a constructed one */

/* The tag of the next element; 0 at the end. */
uint8_t der_tag(const struct reader *r);
/* The contents of the next element, of any tag. */
struct span der_any(struct reader *r, uint8_t *ret_tag);
/* The contents of the next element, which must have this tag. */
struct span der_value(struct reader *r, uint8_t tag);
/* The same with tag and length before it: what a signature or a digest
 * covers. */
struct span der_whole(struct reader *r, uint8_t tag);
/*
 * A reader of the contents of a constructed element, and its end: nothing may
 * be left in it, and its failure is the outer one's.
 */
struct reader der_open(struct reader *r, uint8_t tag);
void der_close(struct reader *r, const struct reader *inner);

bool der_bool(struct reader *r);
/* Non-negative, at most max; INTEGER or ENUMERATED. */
uint64_t der_uint(struct reader *r, uint8_t tag, uint64_t max);
/* The two's complement bytes of an INTEGER of any size. */
struct span der_integer(struct reader *r);
/* The bytes of a positive INTEGER of any size, without a sign byte. */
struct span der_positive(struct reader *r);
/* The contents of an OBJECT IDENTIFIER. */
struct span der_oid(struct reader *r);
/* A BIT STRING of whole bytes. */
struct span der_bits(struct reader *r);
/* A BIT STRING of named bits, at most 16: bit 0 is 0x80, bit 8 is 0x8000. */
uint16_t der_named_bits(struct reader *r);
/* UTCTime or GeneralizedTime as RFC 5280 section 4.1.2.5 writes them, to the
 * second and in UTC: seconds since 1970. */
int64_t der_time(struct reader *r);

/* The contents of an OBJECT IDENTIFIER from its dotted form; 0 when that is
 * none, or longer than max. */
size_t der_oid_encode(const char *dotted, uint8_t *out, size_t max);
/* And back, cut to len; returns buf. */
const char *der_oid_text(struct span oid, char *buf, size_t len);

#endif
