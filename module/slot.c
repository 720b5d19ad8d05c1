/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>

#include "base/build.h"
#include "module/slot.h"

#define MANUFACTURER "cvm-pkcs11"
#define MODEL "attested"

void
pad_text(unsigned char *field, size_t len, const char *text)
{
	size_t n = strnlen(text, len);

	memset(field, ' ', len);
	memcpy(field, text, n);
}

/* Ids are hashes of names; the rare collision moves to the next number. */
static CK_SLOT_ID
unique_id(const struct slot *slots, size_t n, CK_SLOT_ID id)
{
	for (size_t i = 0; i < n; i++)
		if (slots[i].id == id) {
			id = (id + 1) & 0x7fffffff;
			i = (size_t)-1;
		}
	return id;
}

int
slots_new(const struct config *cfg, struct slot *slots, size_t *ret_n)
{
	size_t n = 0;
	int err = CVM_OK;

	for (; n < cfg->n_tokens && n < SLOTS_MAX; n++) {
		slots[n].cfg = &cfg->tokens[n];
		slots[n].id = unique_id(slots, n, token_slot_id(slots[n].cfg));
		err = gate_new(cfg, slots[n].cfg, &slots[n].gate);
		if (err != CVM_OK)
			break;
		(void)pthread_mutex_init(&slots[n].logging_in, /* attr= */
		    NULL);
		atomic_store(&slots[n].was_present, true);
	}
	if (err == CVM_OK) {
		*ret_n = n;
		return CVM_OK;
	}
	while (n-- > 0)
		slot_clear(&slots[n]);
	return err;
}

void
slot_clear(struct slot *s)
{
	gate_freep(&s->gate);
}

void
slot_close(struct slot *s)
{
	gate_close(s->gate);
}

void
slot_after_fork(struct slot *s)
{
	(void)pthread_mutex_init(&s->logging_in, /* attr= */ NULL);
	gate_after_fork(s->gate);
}

bool
slot_present(struct slot *s)
{
	if (s->cfg->on_denial == ON_DENIAL_FAIL &&
	    gate_state(s->gate) == ROUND_DENY)
		return false;
	return !gate_forbidden(s->gate);
}

void
slot_info(struct slot *s, CK_SLOT_INFO *ret)
{
	char text[sizeof(ret->slotDescription) + 1];

	*ret = (CK_SLOT_INFO){ 0 };
	(void)snprintf(text, sizeof(text), "%s", s->cfg->name);
	pad_text(ret->slotDescription, sizeof(ret->slotDescription), text);
	pad_text(ret->manufacturerID, sizeof(ret->manufacturerID),
	    MANUFACTURER);
	if (slot_present(s))
		ret->flags |= CKF_TOKEN_PRESENT;
	/* Only such a token comes and goes. */
	if (s->cfg->on_denial == ON_DENIAL_FAIL)
		ret->flags |= CKF_REMOVABLE_DEVICE;
	ret->hardwareVersion.major = CVM_VERSION_MAJOR;
	ret->hardwareVersion.minor = CVM_VERSION_MINOR;
	ret->firmwareVersion = ret->hardwareVersion;
}

/* PKCS#11 v3.0 section 3.2: the count is low after the first wrong PIN since
 * the last right one. */
static CK_FLAGS
tries_flags(uint32_t left, CK_FLAGS low, CK_FLAGS final, CK_FLAGS locked)
{
	if (left == 0)
		return locked | low;
	return (left == 1 ? final : 0) | (left < PIN_TRIES ? low : 0);
}

static CK_FLAGS
token_flags(struct slot *s, const struct token_info *info)
{
	struct why why = { 0 };
	/* No state that can be saved needs a key: see C_GetOperationState. */
	CK_FLAGS flags = CKF_RNG | CKF_DUAL_CRYPTO_OPERATIONS |
	    CKF_RESTORE_KEY_NOT_NEEDED;

	gate_trouble(s->gate, &why);
	if (why.err != CVM_OK || info->error_state)
		flags |= CKF_ERROR_STATE;
	if (!info->initialised)
		return flags;
	flags |= CKF_TOKEN_INITIALIZED;
	if (!info->writable)
		flags |= CKF_WRITE_PROTECTED;
	flags |= tries_flags(info->so_tries_left, CKF_SO_PIN_COUNT_LOW,
	    CKF_SO_PIN_FINAL_TRY, CKF_SO_PIN_LOCKED);
	if (s->cfg->login == LOGIN_ATTESTATION)
		return flags | CKF_USER_PIN_INITIALIZED;
	flags |= CKF_LOGIN_REQUIRED;
	if (s->cfg->pin_file != NULL)
		flags |= CKF_PROTECTED_AUTHENTICATION_PATH;
	if (info->user_pin_set)
		flags |= CKF_USER_PIN_INITIALIZED |
		    tries_flags(info->user_tries_left, CKF_USER_PIN_COUNT_LOW,
			CKF_USER_PIN_FINAL_TRY, CKF_USER_PIN_LOCKED);
	return flags;
}

int
slot_token_info(struct slot *s, CK_TOKEN_INFO *ret)
{
	struct token *t = gate_token(s->gate);
	struct token_info info = { 0 };

	if (t == NULL)
		return CVM_E_NOMEM;
	token_get_info(t, &info);
	*ret = (CK_TOKEN_INFO){ 0 };
	pad_text(ret->label, sizeof(ret->label),
	    info.label[0] != '\0' ? info.label : s->cfg->label);
	pad_text(ret->manufacturerID, sizeof(ret->manufacturerID),
	    MANUFACTURER);
	pad_text(ret->model, sizeof(ret->model), MODEL);
	pad_text(ret->serialNumber, sizeof(ret->serialNumber), info.serial);
	ret->flags = token_flags(s, &info);
	ret->ulMaxSessionCount = CK_EFFECTIVELY_INFINITE;
	ret->ulSessionCount = atomic_load(&s->n_sessions);
	ret->ulMaxRwSessionCount = CK_EFFECTIVELY_INFINITE;
	ret->ulRwSessionCount = atomic_load(&s->n_writable);
	ret->ulMinPinLen = PIN_LEN_MIN;
	ret->ulMaxPinLen = PIN_LEN_MAX;
	ret->ulTotalPublicMemory = CK_UNAVAILABLE_INFORMATION;
	ret->ulFreePublicMemory = CK_UNAVAILABLE_INFORMATION;
	ret->ulTotalPrivateMemory = CK_UNAVAILABLE_INFORMATION;
	ret->ulFreePrivateMemory = CK_UNAVAILABLE_INFORMATION;
	ret->hardwareVersion.major = CVM_VERSION_MAJOR;
	ret->hardwareVersion.minor = CVM_VERSION_MINOR;
	ret->firmwareVersion = ret->hardwareVersion;
	memset(ret->utcTime, ' ', sizeof(ret->utcTime));
	return CVM_OK;
}

bool
slot_so(struct slot *s)
{
	struct token *t = gate_token(s->gate);

	return t != NULL && token_so_logged_in(t);
}

bool
slot_user(struct slot *s)
{
	struct token *t = gate_token(s->gate);

	if (s->cfg->login == LOGIN_ATTESTATION)
		return atomic_load(&s->attested_login);
	return t != NULL && token_user_logged_in(t);
}

/*
 * Whether a logout has something to take away: a login, or what was opened in
 * sessions. Programs that open a session and close it again, for an answer to
 * whether they can, do not pay for a look at every object.
 */
static bool
may_hold(struct slot *s, struct token *t)
{
	bool used = atomic_exchange(&s->used, false);

	if (token_so_logged_in(t))
		return true;
	return s->cfg->login == LOGIN_PIN && (used || token_user_logged_in(t));
}

void
slot_forget_login(struct slot *s)
{
	struct token *t = gate_token(s->gate);

	atomic_store(&s->attested_login, false);
	(void)atomic_fetch_add(&s->login_ends, 1);
	/* With login by attestation only the SO has logged in. */
	if (t != NULL && may_hold(s, t))
		token_logout(t);
	/* What began in between saw the login that was ending. */
	(void)atomic_fetch_add(&s->login_ends, 1);
}
