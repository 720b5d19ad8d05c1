/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "attest/verdict.h"

const struct check_info check_table[CHECK_COUNT] = {
#define CHECK(id, name, group, title, reads, field)                            \
	[CHECK_##id] = { name, group, title, reads, field },
#include "attest/checks.def"
#undef CHECK
};

void
verdict_init(struct verdict *v, unsigned groups)
{
	v->admit = v->simulated = false;
	v->groups = groups;
	/* The texts end where they begin: to clear them all takes as long as
	 * to verify half a signature. */
	for (size_t i = 0; i < CHECK_COUNT; i++) {
		v->results[i].status = CHECK_NOT_RUN;
		v->results[i].absent = false;
		v->results[i].expected[0] = v->results[i].got[0] = '\0';
	}
}

/* Values may hold bytes of the evidence: nothing but printable ASCII stays. */
static void
copy(char out[static CHECK_VALUE_MAX], const char *s)
{
	size_t n = 0;

	for (; s != NULL && s[n] != '\0' && n < CHECK_VALUE_MAX - 1; n++)
		out[n] = s[n] < 0x20 || s[n] > 0x7e ? '?' : s[n];
	out[n] = '\0';
}

static bool
put(struct verdict *v, enum check_id id, enum check_status status,
    const char *expected, const char *got)
{
	struct check_result *r = &v->results[id];

	if (r->status == CHECK_FAIL)
		return false;
	r->status = status;
	copy(r->expected, expected);
	copy(r->got, got);
	return status != CHECK_FAIL;
}

bool
verdict_pass(struct verdict *v, enum check_id id)
{
	return put(v, id, CHECK_PASS, NULL, NULL);
}

bool
verdict_pass_value(struct verdict *v, enum check_id id, const char *fmt, ...)
{
	char got[CHECK_VALUE_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(got, sizeof(got), fmt, ap);
	va_end(ap);
	return put(v, id, CHECK_PASS, NULL, got);
}

bool
verdict_skip(struct verdict *v, enum check_id id, const char *reason)
{
	return put(v, id, CHECK_SKIPPED, NULL, reason);
}

bool
verdict_fail(struct verdict *v, enum check_id id, const char *expected,
    const char *fmt, ...)
{
	char got[CHECK_VALUE_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(got, sizeof(got), fmt, ap);
	va_end(ap);
	return put(v, id, CHECK_FAIL, expected, got);
}

bool
verdict_absent(struct verdict *v, enum check_id id, const char *expected,
    const char *fmt, ...)
{
	bool first = v->results[id].status != CHECK_FAIL;
	char got[CHECK_VALUE_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(got, sizeof(got), fmt, ap);
	va_end(ap);
	(void)put(v, id, CHECK_FAIL, expected, got);
	v->results[id].absent = first;
	return false;
}

bool
verdict_check(struct verdict *v, enum check_id id, bool ok,
    const char *expected, const char *fmt, ...)
{
	char got[CHECK_VALUE_MAX];
	va_list ap;

	/* A constant text says what is wrong, and is no value of a pass. */
	if (ok && strchr(fmt, '%') == NULL)
		return verdict_pass(v, id);
	va_start(ap, fmt);
	(void)vsnprintf(got, sizeof(got), fmt, ap);
	va_end(ap);
	return put(v, id, ok ? CHECK_PASS : CHECK_FAIL, ok ? NULL : expected,
	    got);
}

bool
verdict_from_why(struct verdict *v, enum check_id id, int r,
    const struct why *why)
{
	if (r == CVM_OK)
		return verdict_pass(v, id);
	return (r == CVM_E_NOT_FOUND ? verdict_absent : verdict_fail)(v, id,
	    why->expected, "%s%s%s%s%s", why->where, why->where[0] ? ": " : "",
	    why->field, why->field[0] && why->got[0] ? ": " : "",
	    why->got[0] ? why->got : cvm_strerror(r));
}

/* How bad it is; to skip is no better than to pass, but says less. */
static int
badness(enum check_status s)
{
	static const int of[] = {
		[CHECK_SKIPPED] = 0,
		[CHECK_NOT_APPLICABLE] = 0,
		[CHECK_PASS] = 1,
		[CHECK_NOT_RUN] = 2,
		[CHECK_FAIL] = 3,
	};

	return of[s];
}

void
verdict_merge(struct verdict *v, const struct verdict *from,
    enum check_group group, unsigned also, const char *called)
{
	for (size_t i = 0; i < CHECK_COUNT; i++) {
		const struct check_result *r = &from->results[i];
		struct check_result *mine = &v->results[i];
		char got[CHECK_VALUE_MAX];

		if ((check_table[i].group & group) == 0)
			continue;
		if ((check_table[i].group & also) == 0) {
			*mine = *r;
			continue;
		}
		if (badness(r->status) <= badness(mine->status))
			continue;
		*mine = *r;
		if (snprintf(got, sizeof(got), "%s%s%s", called,
			r->got[0] != '\0' ? ": " : "", r->got) > 0)
			copy(mine->got, got);
	}
}

bool
verdict_lacks(const struct verdict *v)
{
	size_t absent = 0;

	for (size_t i = 0; i < CHECK_COUNT; i++)
		if (v->results[i].status != CHECK_FAIL)
			continue;
		else if (!v->results[i].absent)
			return false;
		else
			absent++;
	return absent > 0;
}

void
verdict_finish(struct verdict *v)
{
	bool passed = false, bad = false;

	for (size_t i = 0; i < CHECK_COUNT; i++) {
		struct check_result *r = &v->results[i];

		/* What failed has failed, whoever asked for it. */
		if ((check_table[i].group & v->groups) == 0 &&
		    r->status != CHECK_FAIL) {
			r->status = CHECK_NOT_APPLICABLE;
			continue;
		}
		if (r->status == CHECK_PASS)
			passed = true;
		else if (r->status != CHECK_SKIPPED)
			bad = true;
	}
	v->admit = passed && !bad;
}

enum check_id
verdict_first_fail(const struct verdict *v, enum check_id *ret_not_run)
{
	*ret_not_run = CHECK_COUNT;
	for (size_t i = 0; i < CHECK_COUNT; i++) {
		if (v->results[i].status == CHECK_FAIL)
			return (enum check_id)i;
		if ((check_table[i].group & v->groups) != 0 &&
		    v->results[i].status == CHECK_NOT_RUN &&
		    *ret_not_run == CHECK_COUNT)
			*ret_not_run = (enum check_id)i;
	}
	return CHECK_COUNT;
}

static size_t
count(const struct verdict *v, enum check_status status)
{
	size_t n = 0;

	for (size_t i = 0; i < CHECK_COUNT; i++)
		if (v->results[i].status == status)
			n++;
	return n;
}

const char *
verdict_sentence(const struct verdict *v, char *buf, size_t len)
{
	enum check_id not_run, id = verdict_first_fail(v, &not_run);
	const struct check_info *c;

	if (v->admit) {
		(void)snprintf(buf, len,
		    "admitted%s: %zu checks passed, %zu skipped by policy",
		    v->simulated ? " (SIMULATED machine)" : "",
		    count(v, CHECK_PASS), count(v, CHECK_SKIPPED));
		return buf;
	}
	if (id == CHECK_COUNT) {
		(void)snprintf(buf, len, "denied: %s was not reached",
		    not_run < CHECK_COUNT ? check_table[not_run].name :
					    "any check");
		return buf;
	}
	c = &check_table[id];
	(void)snprintf(buf, len, "denied: %s %s: expected %s, got %s%s%s%s",
	    c->name, c->title, v->results[id].expected, v->results[id].got,
	    c->field[0] ? " (policy field " : "", c->field,
	    c->field[0] ? ")" : "");
	return buf;
}

/* What the issuer would give, or give anew. */
static bool
can_be_fetched(const struct check_result *r)
{
	return r->absent || strstr(r->got, "nextUpdate") != NULL;
}

int
verdict_why(const struct verdict *v, struct why *why)
{
	enum check_id not_run, id = verdict_first_fail(v, &not_run);
	char where[WHY_WHERE_MAX];

	if (id == CHECK_COUNT)
		return why_set(why, CVM_E_DENIED, "appraisal",
		    not_run < CHECK_COUNT ? check_table[not_run].name : "",
		    "every check decided", "a check was not reached");
	(void)snprintf(where, sizeof(where), "%s %s", check_table[id].name,
	    check_table[id].title);
	(void)why_set(why, CVM_E_DENIED, where, check_table[id].field,
	    v->results[id].expected, v->results[id].got);
	if (can_be_fetched(&v->results[id]))
		why_hint(why, "cvm-token collateral fetch, or import");
	return CVM_E_DENIED;
}

const char *
check_status_name(enum check_status s)
{
	static const char *const names[] = {
		[CHECK_NOT_RUN] = "not reached",
		[CHECK_PASS] = "pass",
		[CHECK_FAIL] = "FAIL",
		[CHECK_SKIPPED] = "skipped",
		[CHECK_NOT_APPLICABLE] = "n/a",
	};

	return (size_t)s < NELEMS(names) ? names[s] : "?";
}

enum check_id
check_find(const char *name)
{
	for (size_t i = 0; i < CHECK_COUNT; i++)
		if (strcmp(check_table[i].name, name) == 0)
			return (enum check_id)i;
	return CHECK_COUNT;
}
