/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>

#include "attest/verdict.h"
#include "tests/unit/denied.h"

static const struct row {
	enum check_id check;
	const char *program;
	bool alone; /* else others, further down in the table, follow from it */
} rows[] = {
#define ALONE(id, program) { CHECK_##id, program, true },
#define FIRST(id, program) { CHECK_##id, program, false },
#include "tests/unit/denied.def"
#undef ALONE
#undef FIRST
};

static bool alone[CHECK_COUNT], first[CHECK_COUNT], passed[CHECK_COUNT];

void __real_verdict_finish(struct verdict *v);
void __wrap_verdict_finish(struct verdict *v);

void
__wrap_verdict_finish(struct verdict *v)
{
	enum check_id not_run, id;
	size_t failed = 0;

	__real_verdict_finish(v);
	for (size_t i = 0; i < CHECK_COUNT; i++)
		passed[i] |= v->results[i].status == CHECK_PASS;
	id = verdict_first_fail(v, &not_run);
	if (v->admit || id == CHECK_COUNT)
		return;
	for (size_t i = 0; i < CHECK_COUNT; i++)
		failed += v->results[i].status == CHECK_FAIL;
	first[id] = true;
	alone[id] |= failed == 1;
}

int
denied_end(const char *program, int failed)
{
	size_t mine = 0;

	for (size_t i = 0; i < NELEMS(rows); i++) {
		const struct row *r = &rows[i];

		if (strcmp(r->program, program) != 0)
			continue;
		mine++;
		if (!passed[r->check]) {
			(void)fprintf(stderr, "# %s: never seen to pass\n",
			    check_table[r->check].name);
			failed = 1;
		}
		if ((r->alone ? alone : first)[r->check])
			continue;
		(void)fprintf(stderr, "# %s: never seen to deny%s\n",
		    check_table[r->check].name, r->alone ? " alone" : " first");
		failed = 1;
	}
	if (mine == 0)
		(void)fprintf(stderr, "# %s: no row in denied.def\n", program);
	return mine > 0 ? failed : 1;
}
