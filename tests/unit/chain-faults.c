/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/chain-faults.h"

const char *const chain_fault_names[N_CHAIN_FAULTS] = {
	[FAULT_EXPIRED] = "expired",
	[FAULT_NOT_YET_VALID] = "not yet valid",
	[FAULT_ORDER] = "wrong order",
	[FAULT_KEY_USAGE] = "wrong key usage",
	[FAULT_OWN_ROOT] = "self-made root",
	[FAULT_LEAF_REVOKED] = "revoked leaf",
	[FAULT_CA_REVOKED] = "revoked intermediate",
	[FAULT_NO_CRL] = "missing CRL",
	[FAULT_STALE_CRL] = "stale CRL",
	[FAULT_SHA1] = "SHA-1",
	[FAULT_RSA_1024] = "RSA-1024",
	[FAULT_PATH_LENGTH] = "path too long",
	[FAULT_NAME] = "name mismatch",
};

void
fault_denied_first(const struct verdict *v, enum chain_fault fault,
    enum check_id check, const char *word)
{
	char sentence[VERDICT_SENTENCE_MAX];
	enum check_id not_run;

	(void)verdict_sentence(v, sentence, sizeof(sentence));
	if (v->admit || verdict_first_fail(v, &not_run) != check ||
	    strstr(sentence, word) == NULL)
		fail_msg("%s: expected %s, \"%s\": %s",
		    chain_fault_names[fault], check_table[check].name, word,
		    sentence);
}

void
fault_denied(const struct verdict *v, enum chain_fault fault,
    enum check_id check, const char *word)
{
	fault_denied_first(v, fault, check, word);
	for (enum check_id i = 0; i < CHECK_COUNT; i++)
		if (v->results[i].status == CHECK_FAIL && i != check)
			fail_msg("%s: %s failed too", chain_fault_names[fault],
			    check_table[i].name);
}

void
faults_complete(unsigned seen)
{
	for (unsigned i = 0; i < N_CHAIN_FAULTS; i++)
		if ((seen & 1u << i) == 0)
			fail_msg("no row for: %s", chain_fault_names[i]);
}
