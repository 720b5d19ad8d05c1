/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef MODULE_CALL_H
#define MODULE_CALL_H

#include "module/rv.h"
#include "module/state.h"

/*
 * One PKCS#11 call from enter to leave:
 *	_cleanup_(call_leave) struct call c = { 0 };
 *	CK_RV rv = call_session(&c, session);
 * Where every nanosecond counts, call_begin(&c) instead of zeros, which are
 * more than a thousand.
 */
struct call {
	struct library *lib;
	unsigned shard; /* state_leave()'s */
	struct slot *slot;
	struct session *session; /* locked */
	struct token *token;
	struct permit permit; /* that caller.permit points to */
	struct caller caller;
	uint64_t login_ends; /* of the slot, before caller was asked for */
	bool renewed;	     /* see call_ran_out() */
	struct why why;
};

void call_begin(struct call *c);
CK_RV call_enter(struct call *c);
CK_RV call_slot(struct call *c, CK_SLOT_ID id);
/* Looks the session up; caller stays empty, for calls that look at nothing of
 * the token, or ask the gate anyway. */
CK_RV call_session_only(struct call *c, CK_SESSION_HANDLE handle);
/* Looks the session up and fills caller with what it may do as it is: with
 * the permit that the session has, if it is good, and no question asked. */
CK_RV call_session(struct call *c, CK_SESSION_HANDLE handle);
/* The second half of it. */
void call_look(struct call *c);
/* Fills caller as call_session() does, but that the time of its permit may be
 * over (gate_glance()); good until the gate is asked. */
void call_glance(struct call *c);
void call_leave(struct call *c);

/* Asks the gate for a permit if the session has none. */
int call_admit(struct call *c) _must_check_;
/* Fills caller anew, with permit p (copied) or NULL. */
void call_use_permit(struct call *c, const struct permit *p);
/*
 * A permit that was good when the call began may run out before the key is
 * used, of itself or by a denial: err is then CVM_E_PERMIT, and nothing was
 * done. True, once in a call, when it is worth another try with another
 * permit; else why says what happened.
 */
bool call_ran_out(struct call *c, int err);
/*
 * The same for what looks at objects with the caller's permit, or without
 * one: what is not found then may be found with a new permit, which caller
 * has when this is true. While nothing is admitted, *err becomes the reason:
 * handles stay valid, and clients need not drop them.
 */
bool call_again(struct call *c, int *err);
/*
 * The key of that handle. A public key needs no permit; for private and
 * secret ones the gate is asked. While nothing is admitted, a handle that
 * cannot be seen is answered like that of a private key.
 */
CK_RV call_key(struct call *c, CK_OBJECT_HANDLE handle, struct object **ret);
/*
 * Before the values in templ are read of a key, or (templ NULL) the key is
 * copied: an admission of its own where the key wants one for each use.
 */
int call_reveal(struct call *c, const char *function, CK_OBJECT_HANDLE handle,
    const CK_ATTRIBUTE *templ, CK_ULONG n) _must_check_;
/* Logs an error that the caller of C_ cannot be told, at debug. */
CK_RV call_fail(struct call *c, const char *function, CK_RV rv);
/* Logs why a call goes on without an admission, if err says so, at debug. */
void call_unadmitted(struct call *c, const char *function, int err);

/* Bytes that can be there: not NULL, and no more than an address space has. A
 * length beyond that went wrong on its way to us. */
bool bytes_bounded(const void *p, CK_ULONG len);
/* A template that can be walked: not NULL, not too long. */
bool template_bounded(const CK_ATTRIBUTE *templ, CK_ULONG n);

#endif
