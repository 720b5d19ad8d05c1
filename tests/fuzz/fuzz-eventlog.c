/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdlib.h>

#include "attest/eventlog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A log that parses replays, and has facts, in each of its algorithms. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct log_facts facts;
	_cleanup_(eventlog_clear) struct event_log log = { 0 };
	struct pcr_values v;
	struct why why = { 0 };

	if (eventlog_parse(span(data, size), LOG_TCG, &log, &why) != CVM_OK) {
		if (why.err == 0 || why.expected[0] == '\0' || log.n != 0)
			abort();
		return 0;
	}
	if (log.n > LOG_EVENTS_MAX || log.n_algs == 0)
		abort();
	for (size_t i = 0; i < log.n_algs; i++) {
		if (eventlog_replay(&log, log.algs[i], &v, &why) != CVM_OK ||
		    v.mask >> LOG_MRS_MAX != 0 ||
		    eventlog_facts(&log, log.algs[i], &facts) != CVM_OK ||
		    facts.technology > 4)
			abort();
		log_facts_clear(&facts);
	}
	return 0;
}
