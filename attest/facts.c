/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "attest/facts.h"

void
facts_init(struct appraisal_facts *f)
{
	memset(f, 0, sizeof(*f));
	f->valid_from = INT64_MIN;
	f->valid_until = INT64_MAX;
}

void
facts_narrow(struct appraisal_facts *f, int64_t from, int64_t until)
{
	if (from > f->valid_from)
		f->valid_from = from;
	if (until < f->valid_until)
		f->valid_until = until;
}

void
facts_newer(struct appraisal_facts *f, int64_t time)
{
	if (time > f->newest_time)
		f->newest_time = time;
}
