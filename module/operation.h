/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef MODULE_OPERATION_H
#define MODULE_OPERATION_H

#include "module/call.h"

/*
 * What C_SignInit, C_Sign, C_SignUpdate, C_SignFinal and their like have in
 * common: enter, look the operation up, allow, do, leave. Every error ends
 * the operation but CKR_BUFFER_TOO_SMALL; so does success, unless only the
 * size was asked for. function is the C_ name, as operation leaves have it.
 * The one-shot form and parts do not mix: CKR_OPERATION_ACTIVE, and the end.
 */
CK_RV operation_init(CK_SESSION_HANDLE h, enum session_op which,
    CK_MECHANISM *mech, CK_OBJECT_HANDLE key);
CK_RV operation_once(CK_SESSION_HANDLE h, enum session_op which,
    const char *function, const CK_BYTE *in, CK_ULONG in_len, CK_BYTE *out,
    CK_ULONG *out_len);
/* out_len NULL: the operation gives no output before its end. */
CK_RV operation_update(CK_SESSION_HANDLE h, enum session_op which,
    const char *function, const CK_BYTE *in, CK_ULONG in_len, CK_BYTE *out,
    CK_ULONG *out_len);
CK_RV operation_final(CK_SESSION_HANDLE h, enum session_op which,
    const char *function, CK_BYTE *out, CK_ULONG *out_len);
CK_RV operation_verify(CK_SESSION_HANDLE h, const CK_BYTE *in, CK_ULONG in_len,
    const CK_BYTE *sig, CK_ULONG sig_len);
CK_RV operation_verify_final(CK_SESSION_HANDLE h, const CK_BYTE *sig,
    CK_ULONG sig_len);
/* The same with the signature beforehand (PKCS#11 3.2): a verification that
 * was begun here is gone on with and ended by these only. */
CK_RV operation_signature_init(CK_SESSION_HANDLE h, CK_MECHANISM *mech,
    CK_OBJECT_HANDLE key, const CK_BYTE *sig, CK_ULONG sig_len);
CK_RV operation_signature(CK_SESSION_HANDLE h, const CK_BYTE *in,
    CK_ULONG in_len);
CK_RV operation_signature_update(CK_SESSION_HANDLE h, const CK_BYTE *in,
    CK_ULONG in_len);
CK_RV operation_signature_final(CK_SESSION_HANDLE h);

/* Two operations of a session that work on the same part. */
enum dual_order {
	INPUT_TO_BOTH,	 /* second gets what the first got */
	OUTPUT_TO_SECOND /* second gets what the first gave */
};
CK_RV operation_dual(CK_SESSION_HANDLE h, enum session_op first,
    enum session_op second, enum dual_order order, const char *function,
    const CK_BYTE *in, CK_ULONG in_len, CK_BYTE *out, CK_ULONG *out_len);

/*
 * The steps of the above, for module/message.c, in the order of their use.
 * All are for the operation of c's session.
 */
enum op_kind operation_kind(enum session_op which);
/* Makes op with the key (NULL for a digest); on an error there is none. */
typedef CK_RV operation_beginner(struct call *c, enum session_op which,
    const CK_MECHANISM *mech, struct object *key);
operation_beginner operation_begin;
/* As operation_init() with another last step. */
CK_RV operation_init_with(CK_SESSION_HANDLE h, enum session_op which,
    CK_MECHANISM *mech, CK_OBJECT_HANDLE key, operation_beginner *begin);
/* The login, and the key's own if it wants one for each use. */
CK_RV operation_check_login(const struct call *c, const struct operation *o,
    const struct object *key);
/*
 * Each asks for the login and the gate and then does it, with another permit
 * where the first runs out in between. input is what the admission is about,
 * or NULL: op has seen it in parts. out NULL asks for the size, and nobody.
 */
CK_RV operation_do_once(struct call *c, struct operation *o,
    const char *function, struct span input, CK_BYTE *out, CK_ULONG *out_len);
CK_RV operation_do_final(struct call *c, struct operation *o,
    const char *function, CK_BYTE *out, CK_ULONG *out_len);
CK_RV operation_do_verify(struct call *c, struct operation *o,
    const char *function, const struct span *input, struct span sig);
/* One part, with what allows it. */
CK_RV operation_feed(struct call *c, struct operation *o, const char *function,
    struct span in, CK_BYTE *out, CK_ULONG *out_len);

/* Feeds a part to the digest in progress; for C_DigestKey. */
CK_RV operation_digest_part(struct call *c, struct span part);

#endif
