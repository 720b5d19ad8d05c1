/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "tests/unit/quick-pin.h"

void (*quick_pin_hook)(const uint8_t *token_id);

int __wrap_pin_auth(struct span pin, const uint8_t *token_id,
    enum seal_purpose purpose, struct secret **ret);
int
__wrap_pin_auth(struct span pin, const uint8_t *token_id,
    enum seal_purpose purpose, struct secret **ret)
{
	_cleanup_(secret_freep) struct secret *s = secret_new(SHA256_LEN);
	const uint8_t byte = (uint8_t)purpose;
	const struct span parts[] = { pin, span(token_id, TOKEN_ID_LEN),
		span(&byte, 1) };
	int err;

	if (s == NULL)
		return CVM_E_NOMEM;
	if (quick_pin_hook != NULL)
		quick_pin_hook(token_id);
	err = hash_parts(HASH_SHA256, parts, NELEMS(parts), secret_data(s));
	if (err == CVM_OK)
		*ret = TAKE_PTR(s);
	return err;
}
