/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "base/log.h"
#include "module/call.h"

CK_RV
C_GetSlotList(CK_BBOOL tokenPresent, CK_SLOT_ID_PTR pSlotList,
    CK_ULONG_PTR pulCount)
{
	_cleanup_(call_leave) struct call c = { 0 };
	CK_SLOT_ID ids[SLOTS_MAX];
	CK_ULONG n = 0, room;
	CK_RV rv = call_enter(&c);

	if (rv != CKR_OK)
		return rv;
	if (pulCount == NULL)
		return CKR_ARGUMENTS_BAD;
	for (size_t i = 0; i < c.lib->n_slots; i++)
		if (tokenPresent == CK_FALSE || slot_present(&c.lib->slots[i]))
			ids[n++] = c.lib->slots[i].id;
	room = *pulCount;
	*pulCount = n;
	if (pSlotList == NULL)
		return CKR_OK;
	if (room < n)
		return CKR_BUFFER_TOO_SMALL;
	for (CK_ULONG i = 0; i < n; i++)
		pSlotList[i] = ids[i];
	return CKR_OK;
}

CK_RV
C_GetSlotInfo(CK_SLOT_ID slotID, CK_SLOT_INFO_PTR pInfo)
{
	_cleanup_(call_leave) struct call c = { 0 };
	CK_RV rv = call_slot(&c, slotID);

	if (rv != CKR_OK)
		return rv;
	if (pInfo == NULL)
		return CKR_ARGUMENTS_BAD;
	slot_info(c.slot, pInfo);
	return CKR_OK;
}

CK_RV
C_GetTokenInfo(CK_SLOT_ID slotID, CK_TOKEN_INFO_PTR pInfo)
{
	_cleanup_(call_leave) struct call c = { 0 };
	CK_RV rv = call_slot(&c, slotID);

	if (rv != CKR_OK)
		return rv;
	if (pInfo == NULL)
		return CKR_ARGUMENTS_BAD;
	if (!slot_present(c.slot))
		return CKR_TOKEN_NOT_PRESENT;
	return rv_of(slot_token_info(c.slot, pInfo));
}

/* Which slot's token came or went since the last call. Waiting would need a
 * thread of our own; there is none. */
CK_RV
C_WaitForSlotEvent(CK_FLAGS flags, CK_SLOT_ID_PTR pSlot, CK_VOID_PTR pReserved)
{
	_cleanup_(call_leave) struct call c = { 0 };
	CK_RV rv = call_enter(&c);

	if (rv != CKR_OK)
		return rv;
	if (pSlot == NULL || pReserved != NULL)
		return CKR_ARGUMENTS_BAD;
	if ((flags & CKF_DONT_BLOCK) == 0)
		return CKR_FUNCTION_NOT_SUPPORTED;
	for (size_t i = 0; i < c.lib->n_slots; i++) {
		struct slot *s = &c.lib->slots[i];
		bool now = slot_present(s);

		if (atomic_exchange(&s->was_present, now) == now)
			continue;
		*pSlot = s->id;
		return CKR_OK;
	}
	return CKR_NO_EVENT;
}

CK_RV
C_GetMechanismList(CK_SLOT_ID slotID, CK_MECHANISM_TYPE_PTR pMechanismList,
    CK_ULONG_PTR pulCount)
{
	_cleanup_(call_leave) struct call c = { 0 };
	const struct mech *m;
	CK_ULONG n = 0, room;
	CK_RV rv = call_slot(&c, slotID);

	if (rv != CKR_OK)
		return rv;
	if (pulCount == NULL)
		return CKR_ARGUMENTS_BAD;
	if (!slot_present(c.slot))
		return CKR_TOKEN_NOT_PRESENT;
	room = pMechanismList != NULL ? *pulCount : 0;
	while ((m = mech_at(c.slot->cfg, n)) != NULL) {
		if (n < room)
			pMechanismList[n] = m->type;
		n++;
	}
	*pulCount = n;
	return pMechanismList == NULL || n <= room ? CKR_OK :
						     CKR_BUFFER_TOO_SMALL;
}

CK_RV
C_GetMechanismInfo(CK_SLOT_ID slotID, CK_MECHANISM_TYPE type,
    CK_MECHANISM_INFO_PTR pInfo)
{
	_cleanup_(call_leave) struct call c = { 0 };
	const struct mech *m;
	CK_RV rv = call_slot(&c, slotID);

	if (rv != CKR_OK)
		return rv;
	if (pInfo == NULL)
		return CKR_ARGUMENTS_BAD;
	if (!slot_present(c.slot))
		return CKR_TOKEN_NOT_PRESENT;
	m = mech_find(c.slot->cfg, type);
	if (m == NULL)
		return CKR_MECHANISM_INVALID;
	mech_info(c.slot->cfg, m, pInfo);
	return CKR_OK;
}

/* PKCS#11 pads the label with blanks; ours ends in NUL. */
static bool
unpad_label(const CK_UTF8CHAR *label, char out[static CONFIG_LABEL_MAX + 1])
{
	size_t n = CONFIG_LABEL_MAX;

	while (n > 0 && label[n - 1] == ' ')
		n--;
	for (size_t i = 0; i < n; i++) {
		if (label[i] == '\0')
			return false;
		out[i] = (char)label[i];
	}
	out[n] = '\0';
	return true;
}

static CK_RV
init_token_allowed(struct slot *s)
{
	if (atomic_load(&s->n_sessions) > 0)
		return CKR_SESSION_EXISTS;
	if (s->cfg->init_token)
		return CKR_OK;
	log_line(LOG_LEVEL_WARNING,
	    "token %s: C_InitToken refused: "
	    "init_token is false in the configuration",
	    s->cfg->name);
	return CKR_TOKEN_WRITE_PROTECTED;
}

/* A token is made where a machine that its policy admits asks for it. */
CK_RV
C_InitToken(CK_SLOT_ID slotID, CK_UTF8CHAR_PTR pPin, CK_ULONG ulPinLen,
    CK_UTF8CHAR_PTR pLabel)
{
	_cleanup_(call_leave) struct call c = { 0 };
	_cleanup_(gate_session_clear) struct gate_session s = { 0 };
	char label[CONFIG_LABEL_MAX + 1];
	struct token_init in = { .label = label,
		.so_pin = span(pPin, ulPinLen) };
	CK_RV rv = call_slot(&c, slotID);
	int err;

	if (rv != CKR_OK)
		return rv;
	if (pPin == NULL || pLabel == NULL || !unpad_label(pLabel, label))
		return CKR_ARGUMENTS_BAD;
	if ((rv = init_token_allowed(c.slot)) != CKR_OK)
		return rv;
	err = gate_admit(c.slot->gate, &s, &c.why);
	if (err == CVM_OK) {
		in.policy = gate_policy(c.slot->gate);
		in.vtpm = gate_vtpm(c.slot->gate);
		err = token_init(c.token, &in, /* ret_recovery= */ NULL,
		    &c.why);
	}
	return call_fail(&c, "C_InitToken", rv_of(err));
}
