/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_UNIT_SCENE_H
#define TESTS_UNIT_SCENE_H

#include <stdint.h>
#include <string.h>

#include "base/pkcs11.h"
#include "tests/unit/machine.h"

/*
 * A stage for the module: a virtual CVM with SEV-SNP and a vTPM, a policy
 * that admits it, a configuration, and a token "web" with keys on it.
 */
#define SO_PIN "so-pin-12345678"
#define USER_PIN "1234"
#define RW (CKF_SERIAL_SESSION | CKF_RW_SESSION)
#define RO CKF_SERIAL_SESSION

struct scene {
	struct machine m;
	bool there; /* false: no virtual CVM, skip */
	char config[128];
	char caught[128]; /* what went to stderr */
	int stderr_fd;	  /* the real one */
	char
	    *sealed_under; /* text of the policy that the token is sealed for */
	bool attested;	   /* its login */
};

struct scene_options {	       /* what the policy and the configuration say */
	const char *bind;      /* "session" */
	const char *login;     /* "pin" */
	const char *on_denial; /* "hide" */
	const char *policy;    /* text of the policy, or NULL: the right one */
	const char *tcti;      /* NULL: the machine's */
	const char *pin_file;  /* or NULL */
	const char *receipts;  /* NULL: "off" */
	const char *older_collateral; /* NULL: the default */
	unsigned max_age_s;	      /* 300 */
	unsigned open_max_age_s;      /* 0 */
	unsigned retry_ms;	      /* 10 */
	unsigned tee_max_age_s;	      /* 0 */
	bool no_init_token;
};

/* Starts the machine and catches what is written to stderr. */
void scene_start(struct scene *s);
void scene_stop(struct scene *s);
/* Writes both files and lets CVM_PKCS11_CONF name the configuration. */
void scene_configure(struct scene *s, const struct scene_options *o);
/* The same, and makes the token and its keys anew where the policy is not
 * the one that they were made under. */
void scene_prepare(struct scene *s, const struct scene_options *o);
/* False evidence from now on, and a verdict that says so. */
void scene_deny(struct scene *s);
/* True evidence again. */
void scene_allow(struct scene *s);
/* The last lines of the module's log contain text. */
bool scene_logged(const struct scene *s, const char *text);
/* Fails when anything was written to stderr since the last call. */
void scene_silent(struct scene *s);
/* Messages of a test that failed are not the next one's. */
void scene_forget_stderr(struct scene *s);

CK_SLOT_ID the_slot(void);
CK_SESSION_HANDLE open_session(CK_FLAGS flags);
void login(CK_SESSION_HANDLE s);
/* The object of that class and label, or CK_INVALID_HANDLE. */
CK_OBJECT_HANDLE find(CK_SESSION_HANDLE s, CK_OBJECT_CLASS class,
    const char *label);

#define assert_rv(want, call)                                                  \
	do {                                                                   \
		CK_RV rv_ = (call);                                            \
		if (rv_ != (want)) {                                           \
			print_error("%s: 0x%lx, expected 0x%lx\n", #call, rv_, \
			    (CK_RV)(want));                                    \
			fail();                                                \
		}                                                              \
	} while (0)
#define assert_ok(call) assert_rv(CKR_OK, call)

/* Mechanisms without parameter. */
#define MECH(type) (&(CK_MECHANISM){ (type), NULL, 0 })

#endif
