/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "token/import.h"
#include "token/keys.h"
#include "token/template.h"

static CK_KEY_TYPE
type_of(const struct newborn *b)
{
	return attrs_ulong(&b->attrs, CKA_KEY_TYPE, CK_UNAVAILABLE_INFORMATION);
}

static int
refuse_type(struct why *why)
{
	return template_refuse(why, CVM_E_TEMPLATE_INCONSISTENT, CKA_KEY_TYPE,
	    "a type of the class", "another");
}

static int
check_size(const struct config_token *cfg, const struct newborn *b,
    struct why *why)
{
	if (type_of(b) != CKK_RSA)
		return CVM_OK;
	return rsa_check_bits(cfg, key_size(CKK_RSA, &b->attrs), why);
}

int
import_public(const struct config_token *cfg, struct newborn *b,
    struct why *reterr_why)
{
	CK_KEY_TYPE type = type_of(b);
	int err = check_size(cfg, b, reterr_why);

	if (err != CVM_OK)
		return err;
	if (type == CKK_RSA)
		err = rsa_from_public(&b->attrs, &b->pkey, reterr_why);
	else if (type == CKK_EC || type == CKK_EC_EDWARDS ||
	    type == CKK_EC_MONTGOMERY)
		err = ec_from_public(type, &b->attrs, &b->pkey, reterr_why);
	else if (pqc_is(type))
		err = pqc_from_public(type, &b->attrs, &b->pkey, reterr_why);
	else
		return refuse_type(reterr_why);
	if (err != CVM_OK)
		return err;
	return key_describe(b->pkey, CKO_PUBLIC_KEY, &b->attrs, reterr_why);
}

/* Attributes and material of the key in b->pkey. */
static int
finish_private(const struct config_token *cfg, struct newborn *b,
    struct why *why)
{
	int err = key_describe(b->pkey, CKO_PRIVATE_KEY, &b->attrs, why);

	if (err == CVM_OK)
		err = check_size(cfg, b, why);
	return err == CVM_OK ? key_encode_private(b->pkey, &b->material) : err;
}

int
import_private(const struct config_token *cfg, const CK_ATTRIBUTE *templ,
    CK_ULONG n, struct newborn *b, struct why *reterr_why)
{
	CK_KEY_TYPE type = type_of(b);
	int err = check_size(cfg, b, reterr_why);

	if (err != CVM_OK)
		return err;
	if (type == CKK_RSA)
		err = rsa_from_private(&b->attrs, templ, n, &b->pkey,
		    reterr_why);
	else if (type == CKK_EC || type == CKK_EC_EDWARDS ||
	    type == CKK_EC_MONTGOMERY)
		err = ec_from_private(type, &b->attrs,
		    template_value(templ, n, CKA_VALUE), &b->pkey, reterr_why);
	else if (pqc_is(type))
		err = pqc_from_private(type, &b->attrs,
		    template_value(templ, n, CKA_VALUE),
		    template_value(templ, n, CKA_SEED), &b->pkey, reterr_why);
	else
		return refuse_type(reterr_why);
	return err == CVM_OK ? finish_private(cfg, b, reterr_why) : err;
}

int
import_pkcs8(const struct config_token *cfg, struct span der, struct newborn *b,
    struct why *reterr_why)
{
	int err = key_decode_private(der, &b->pkey);

	if (err == CVM_E_PARSE ||
	    (err == CVM_OK && key_type_of(b->pkey) != type_of(b)))
		return why_set(reterr_why, CVM_E_WRAPPED_INVALID, "wrapped key",
		    "PrivateKeyInfo", "a key of the template's type",
		    "something else");
	return err == CVM_OK ? finish_private(cfg, b, reterr_why) : err;
}

int
import_value(struct secret **value, struct newborn *b, struct why *reterr_why)
{
	int err = secret_describe(type_of(b), secret_span(*value), &b->attrs,
	    reterr_why);

	if (err == CVM_OK)
		b->material = TAKE_PTR(*value);
	return err;
}

int
import_secret(const CK_ATTRIBUTE *templ, CK_ULONG n, struct newborn *b,
    struct why *reterr_why)
{
	_cleanup_(secret_freep) struct secret *value = secret_copy(
	    template_value(templ, n, CKA_VALUE));

	if (value == NULL)
		return CVM_E_NOMEM;
	return import_value(&value, b, reterr_why);
}
