/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "attest/derive.h"
#include "base/tuple.h"

int
derive_report_data(const uint8_t root[static SHA256_LEN], struct span ak_name,
    const uint8_t policy_digest[static SHA256_LEN],
    uint8_t out[static REPORT_DATA_LEN])
{
	_cleanup_(blob_clear) struct blob t = { 0 };
	const struct span fields[] = { span(root, SHA256_LEN), ak_name,
		span(policy_digest, SHA256_LEN) };
	int r;

	if ((r = tuple("cvm-pkcs11/report-data/1", fields, NELEMS(fields),
		 &t)) != CVM_OK)
		return r;
	return hash(HASH_SHA512, blob_span(&t), out);
}

int
derive_qualifying(const uint8_t root[static SHA256_LEN], struct span tee_report,
    uint8_t out[static QUALIFYING_LEN])
{
	_cleanup_(blob_clear) struct blob t = { 0 };
	uint8_t digest[SHA256_LEN];
	struct span fields[] = { span(root, SHA256_LEN), span(NULL, 0) };
	int r;

	if (tee_report.len > 0) {
		if ((r = hash(HASH_SHA256, tee_report, digest)) != CVM_OK)
			return r;
		fields[1] = span(digest, sizeof(digest));
	}
	if ((r = tuple("cvm-pkcs11/quote/1", fields, NELEMS(fields), &t)) !=
	    CVM_OK)
		return r;
	return hash(HASH_SHA256, blob_span(&t), out);
}

int
leaf_session(const char *serial, uint64_t pid, uint64_t fork_count,
    const uint8_t rnd[static 32], struct blob *ret)
{
	uint8_t pid_be[8], fork_be[8];
	const struct span fields[] = { span(serial, strlen(serial)),
		tuple_u64(pid, pid_be), tuple_u64(fork_count, fork_be),
		span(rnd, 32) };

	return tuple("cvm-pkcs11/session/1", fields, NELEMS(fields), ret);
}

int
leaf_operation(const struct operation_leaf *op, struct blob *ret)
{
	uint8_t counter[8], mechanism[8];
	const struct span fields[] = {
		span(op->serial, strlen(op->serial)),
		span(op->session_id, sizeof(op->session_id)),
		tuple_u64(op->counter, counter),
		span(op->function, strlen(op->function)),
		tuple_u64(op->mechanism, mechanism),
		span(op->parameter_digest, sizeof(op->parameter_digest)),
		span(op->key_fingerprint, sizeof(op->key_fingerprint)),
		span(op->input_digest, sizeof(op->input_digest)),
		span(op->random, sizeof(op->random)),
	};

	return tuple("cvm-pkcs11/operation/1", fields, NELEMS(fields), ret);
}

int
leaf_challenge(struct span nonce, struct span key_fingerprint, struct blob *ret)
{
	const struct span fields[] = { nonce, key_fingerprint };

	if (nonce.len < CHALLENGE_NONCE_MIN || nonce.len > CHALLENGE_NONCE_MAX)
		return CVM_E_INVAL;
	return tuple("cvm-pkcs11/challenge/1", fields, NELEMS(fields), ret);
}
