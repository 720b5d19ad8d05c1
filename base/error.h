/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "base/cleanup.h"

/*
 * The one error type below module/: 0 is success, everything else negative.
 * module/ maps it to CK_RV in one place.
 */
enum cvm_err {
	CVM_OK = 0,
	/* Trouble of our own or of the machine. */
	CVM_E_NOMEM = -1,
	CVM_E_INTERNAL = -2, /* an invariant does not hold: fail closed */
	CVM_E_INVAL = -3,    /* the caller's arguments make no sense */
	CVM_E_IO = -4,	     /* a file: I/O error, wrong kind or mode */
	CVM_E_CRYPTO = -5,   /* OpenSSL failed where it should not */
	CVM_E_WRITE_PROTECTED = -7, /* a file system that is read-only */
	CVM_E_FULL = -8,	    /* ... or full */
	/* What came from outside. */
	CVM_E_PARSE = -10,	 /* malformed bytes */
	CVM_E_UNSUPPORTED = -11, /* well-formed, but not spoken here */
	CVM_E_CONFIG = -12,	 /* configuration or policy refused */
	CVM_E_CORRUPT = -13,	 /* a store record fails authentication */
	CVM_E_NEWER = -14,	 /* a store of a newer format */
	CVM_E_NOT_FOUND = -15,
	CVM_E_EXISTS = -16,
	/* Attestation and keys. */
	CVM_E_UNREACHABLE = -20, /* evidence source: try again later */
	CVM_E_DENIED = -21,	 /* the verdict is deny */
	CVM_E_SEALED = -22,	 /* no seal opens here and now */
	CVM_E_PERMIT = -23,	 /* no permit, or one that is over */
	CVM_E_PIN_INCORRECT = -24,
	CVM_E_PIN_LOCKED = -25,
	CVM_E_PIN_LEN = -26,
	CVM_E_PIN_INVALID = -27,
	CVM_E_BUSY = -28,      /* another process holds what is needed */
	CVM_E_PIN_UNSET = -29, /* the user PIN was not initialised */
	CVM_E_NOT_LOGGED_IN = -30,
	CVM_E_STALE = -31, /* changed by somebody else meanwhile */
	/* PKCS#11 object and mechanism rules. */
	CVM_E_ATTR_TYPE = -40,
	CVM_E_ATTR_VALUE = -41,
	CVM_E_ATTR_READ_ONLY = -42,
	CVM_E_ATTR_SENSITIVE = -43,
	CVM_E_TEMPLATE_INCOMPLETE = -44,
	CVM_E_TEMPLATE_INCONSISTENT = -45,
	CVM_E_ACTION_PROHIBITED = -46,
	CVM_E_MECH_INVALID = -47,
	CVM_E_MECH_PARAM = -48,
	CVM_E_KEY_TYPE = -49,
	CVM_E_KEY_SIZE = -50,
	CVM_E_KEY_FUNCTION = -51,
	CVM_E_KEY_UNEXTRACTABLE = -52,
	CVM_E_KEY_NOT_WRAPPABLE = -53,
	CVM_E_DATA_LEN = -54,
	CVM_E_DATA_INVALID = -55,
	CVM_E_ENCRYPTED_INVALID = -56,
	CVM_E_ENCRYPTED_LEN = -57,
	CVM_E_SIGNATURE_INVALID = -58,
	CVM_E_SIGNATURE_LEN = -59,
	CVM_E_BUFFER_TOO_SMALL = -60,
	CVM_E_DOMAIN_PARAMS = -61,
	CVM_E_WRAPPED_INVALID = -62,
	CVM_E_READ_ONLY = -63, /* the session is read-only */
	CVM_E_PARAMETER_SET = -64,
	CVM_E_WRAPPED_LEN = -65,
	CVM_E_CURVE = -66,
};

#define WHY_WHERE_MAX 192
#define WHY_FIELD_MAX 128
#define WHY_VALUE_MAX 256
#define WHY_HINT_MAX 192

/*
 * Why something was refused. A function that can refuse takes one as its last
 * argument (may be NULL) and fills it on failure only. Fixed size, so that
 * filling it cannot fail; long values are cut and end in "...".
 */
struct why {
	int err;		      /* the enum cvm_err that was returned */
	char where[WHY_WHERE_MAX];    /* file:line, device, or check id */
	char field[WHY_FIELD_MAX];    /* JSON path, structure field, PCR */
	char expected[WHY_VALUE_MAX]; /* what was allowed */
	char got[WHY_VALUE_MAX];      /* what was received */
	char hint[WHY_HINT_MAX];      /* what the operator can do, or empty */
};

/* Printable ASCII sentence for err; static storage, never NULL. */
const char *cvm_strerror(int err);

/*
 * Fills *why (if not NULL) and returns err, so that refusing is one line:
 *	return why_set(why, CVM_E_PARSE, "report", "VERSION", "2..5", "9");
 * NULL strings leave their field empty.
 */
int why_set(struct why *why, int err, const char *where, const char *field,
    const char *expected, const char *got);

/* Nothing was refused: the texts say nothing, and are left as they are. */
static inline void
why_none(struct why *why)
{
	why->err = 0;
}

/* As why_set(), with the received value formatted. */
int why_setf(struct why *why, int err, const char *where, const char *field,
    const char *expected, const char *fmt, ...) _printf_(6, 7);

/* Sets the hint of *why (if not NULL). */
void why_hint(struct why *why, const char *fmt, ...) _printf_(2, 3);

/*
 * One sentence: "WHERE: FIELD: expected X, got Y (error text); HINT", without
 * line breaks. Writes at most len bytes including the NUL; returns buf.
 */
#define WHY_SENTENCE_MAX 1200
const char *why_sentence(const struct why *why, char *buf, size_t len);

#endif
