/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TOKEN_OP_H
#define TOKEN_OP_H

#include "conf/config.h"
#include "token/object.h"

/*
 * Mechanisms and operations. One table (mech.c) carries for each mechanism
 * its name, key type, sizes, flags, parameter parser and EVP binding.
 */
struct mech {
	CK_MECHANISM_TYPE type;
	const char *name; /* "CKM_ECDSA_SHA256" */
	CK_KEY_TYPE key_type;
	CK_ULONG min_key, max_key; /* as CK_MECHANISM_INFO */
	CK_FLAGS flags;
	/* The rest is mech.c's. */
	const struct mech_ops *ops;
	int digest; /* enum digest, DIGEST_NONE */
	int cipher; /* enum cipher; only where ops has a use for it */
};

/* NULL: unknown here, or the OpenSSL at run time does not have it, or the
 * token's configuration forbids it. */
const struct mech *mech_find(const struct config_token *cfg,
    CK_MECHANISM_TYPE type);
/* The i-th mechanism that the token offers, or NULL past the end. */
const struct mech *mech_at(const struct config_token *cfg, size_t i);
/* CK_MECHANISM_INFO with the configured sizes. */
void mech_info(const struct config_token *cfg, const struct mech *m,
    CK_MECHANISM_INFO *ret);

enum op_kind { OP_SIGN, OP_VERIFY, OP_ENCRYPT, OP_DECRYPT, OP_DIGEST };

/* An operation in progress; belongs to one session, not thread-safe. */
struct op;

/*
 * Checks mechanism, parameter, key class, type, size, CKA_SIGN... usage,
 * CKA_ALLOWED_MECHANISMS, and prepares the EVP context. o is NULL for
 * OP_DIGEST; it is referenced, not consumed. Private and secret keys need a
 * permit already here (bind "session"); with bind "operation" p may be NULL
 * and key material is first touched at op_once()/op_final().
 */
int op_new(struct token *t, const struct config_token *cfg, enum op_kind kind,
    const CK_MECHANISM *mech, struct object *o, const struct permit *p,
    struct op **ret, struct why *reterr_why) _must_check_;
/* The same checks of mechanism and key alone, before there is a parameter. */
int op_check(const struct config_token *cfg, enum op_kind kind,
    CK_MECHANISM_TYPE type, const struct object *o,
    struct why *reterr_why) _must_check_;
/* As op_new() left it, for another message with the same parameter. */
int op_reset(struct op *op) _must_check_;
void op_freep(struct op **op);
/*
 * Ends op. What the same operation of the same session can go on with moves to
 * *rest, with a lease on the key's cipher: one that op_new() gave a permit,
 * for a mechanism that has use for it. Denial, logout and the end of the key
 * take the key out of it (key_cache_wipe()), as does a fork in the child.
 */
void op_rest(struct op **op, struct op **rest);
/*
 * What op_new() would give for this mechanism and the key of that handle, out
 * of *rest. That the permit stands is checked, and its deadline is left to the
 * use; so is whether the handle names the very object that was checked,
 * unchanged, and the caller sees it. False: it is not certain that nothing is
 * different, and op_new() has to say.
 */
bool op_again(struct op **rest, const struct caller *c,
    const CK_MECHANISM *mech, CK_OBJECT_HANDLE key,
    struct op **ret) _must_check_;
/* Its two halves, for who has something to do in between; what unchanged found
 * is not asked again, and resuming frees rest where it cannot be used. */
bool op_unchanged(struct op *rest, const struct caller *c,
    CK_MECHANISM_TYPE type, CK_OBJECT_HANDLE key) _must_check_;
bool op_resume(struct op **rest, const CK_MECHANISM *mech,
    const struct permit *p, struct op **ret) _must_check_;
/* The same for who has looked key up. */
bool op_again_with(struct op **rest, const CK_MECHANISM *mech,
    const struct object *key, const struct permit *p,
    struct op **ret) _must_check_;
/* In the child, before op, or NULL, is used or freed: its key may be one that a
 * thread of the parent was taking out of the table, which forgot it. */
void op_after_fork(struct op *op);
enum op_kind op_get_kind(const struct op *op);
struct object *op_object(const struct op *op); /* borrowed */
/* True when op_once() and op_final() need a permit. */
bool op_needs_permit(const struct op *op);
CK_MECHANISM_TYPE op_mechanism(const struct op *op);
/* SHA-256 of the mechanism's parameter as received, nested pointers encoded
 * (PROTOCOL.md); of the empty string when there is none. */
int op_parameter_digest(const struct op *op,
    uint8_t out[static SHA256_LEN]) _must_check_;
/* SHA-256 of all input so far; used with bind "operation" (op_hash_input()
 * switches it on before the first data). */
int op_hash_input(struct op *op) _must_check_;
int op_input_digest(struct op *op, uint8_t out[static SHA256_LEN]) _must_check_;

/*
 * One-shot and multi-part, PKCS#11 5.2 length rules: out NULL asks for the
 * size; CVM_E_BUFFER_TOO_SMALL sets *len and keeps the operation; every other
 * error ends it (the caller frees). For OP_VERIFY sig is the signature.
 */
int op_once(struct op *op, const struct permit *p, struct span in, uint8_t *out,
    CK_ULONG *len, struct why *reterr_why) _must_check_;
int op_update(struct op *op, const struct permit *p, struct span in,
    uint8_t *out, CK_ULONG *len, struct why *reterr_why) _must_check_;
int op_final(struct op *op, const struct permit *p, uint8_t *out, CK_ULONG *len,
    struct why *reterr_why) _must_check_;
/* The tag of authenticated encryption apart from the text in op_once(), which
 * writes it there, or reads it there to decrypt. */
void op_set_tag(struct op *op, uint8_t *tag);
int op_verify_once(struct op *op, struct span in, struct span sig) _must_check_;
int op_verify_final(struct op *op, struct span sig) _must_check_;
/* The permit of an operation whose op_new() had none, where the calls above
 * take none: verification with a secret key. */
void op_admit(struct op *op, const struct permit *p);

/*
 * A digest in progress as bytes, and back, on the token of that serial.
 * CVM_E_UNSUPPORTED: this operation cannot be saved. CVM_E_PARSE: bytes that
 * op_save() did not write, or for another token.
 */
int op_save(const struct op *op, const char *serial,
    struct blob *ret) _must_check_;
int op_restore(struct token *t, const struct config_token *cfg,
    const char *serial, struct span saved, struct op **ret) _must_check_;
/* Input came in parts: it is ended by op_final() only. */
bool op_in_parts(const struct op *op);

/*
 * C_EncapsulateKey, C_DecapsulateKey. out NULL asks for the size of the
 * ciphertext, and CVM_E_BUFFER_TOO_SMALL sets *len: no key is made. The shared
 * key is a new object, which needs the caller's permit as any secret key does.
 */
int token_encapsulate(struct token *t, const struct caller *c,
    const CK_MECHANISM *mech, CK_OBJECT_HANDLE key, const CK_ATTRIBUTE *templ,
    CK_ULONG n, uint8_t *out, CK_ULONG *len, CK_OBJECT_HANDLE *ret,
    struct why *reterr_why) _must_check_;
int token_decapsulate(struct token *t, const struct caller *c,
    const CK_MECHANISM *mech, CK_OBJECT_HANDLE key, const CK_ATTRIBUTE *templ,
    CK_ULONG n, struct span in, CK_OBJECT_HANDLE *ret,
    struct why *reterr_why) _must_check_;

/* C_WrapKey, C_UnwrapKey, C_DeriveKey. */
int token_wrap(struct token *t, const struct caller *c,
    const CK_MECHANISM *mech, CK_OBJECT_HANDLE wrapping, CK_OBJECT_HANDLE key,
    uint8_t *out, CK_ULONG *len, struct why *reterr_why) _must_check_;
int token_unwrap(struct token *t, const struct caller *c,
    const CK_MECHANISM *mech, CK_OBJECT_HANDLE unwrapping, struct span wrapped,
    const CK_ATTRIBUTE *templ, CK_ULONG n, CK_OBJECT_HANDLE *ret,
    struct why *reterr_why) _must_check_;
int token_derive(struct token *t, const struct caller *c,
    const CK_MECHANISM *mech, CK_OBJECT_HANDLE base, const CK_ATTRIBUTE *templ,
    CK_ULONG n, CK_OBJECT_HANDLE *ret, struct why *reterr_why) _must_check_;

#endif
