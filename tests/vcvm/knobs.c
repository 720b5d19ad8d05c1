/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The cvm-pkcs11 authors */

#include "knobs.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum kind {
	NUMBER,	 /* any number from 0 */
	COUNTED, /* how often it still applies; -1: for ever */
	CHOICE,
	BYTES, /* hex, shorter values are padded with zeros */
};

static const struct row {
	const char *name;
	enum kind kind;
	unsigned redo;
	const char *choices[4]; /* the first is the default */
	const char *help;
} rows[KNOBS] = {
	[K_TSM_DELAY_MS] = { "tsm.delay_ms", NUMBER, 0, { 0 },
	    "time that a report takes" },
	[K_TSM_MIN_INTERVAL_MS] = { "tsm.min_interval_ms", NUMBER, 0, { 0 },
	    "the host throttles: least time between two reports" },
	[K_TSM_EBUSY] = { "tsm.ebusy", COUNTED, 0, { 0 },
	    "reports that fail with EBUSY" },
	[K_TSM_EAGAIN] = { "tsm.eagain", COUNTED, 0, { 0 },
	    "reports that fail with EAGAIN (EWOULDBLOCK)" },
	[K_TSM_EIO] = { "tsm.eio", COUNTED, 0, { 0 },
	    "reports that fail with EIO" },
	[K_TSM_EMPTY] = { "tsm.empty", COUNTED, 0, { 0 },
	    "reports of length 0, without error" },
	[K_TSM_GENERATION] = { "tsm.generation", COUNTED, 0, { 0 },
	    "reports after which another writer seems to have come" },
	[K_TSM_STALE] = { "tsm.stale", COUNTED, 0, { 0 },
	    "reports that are the one before, once more" },
	[K_TSM_WRONG_NONCE] = { "tsm.wrong_nonce", COUNTED, 0, { 0 },
	    "genuine reports over other REPORT_DATA" },
	[K_TSM_GARBAGE] = { "tsm.garbage", COUNTED, 0, { 0 },
	    "reports of random bytes" },
	[K_TSM_TRUNCATED] = { "tsm.truncated", COUNTED, 0, { 0 },
	    "reports cut in the middle" },
	[K_TSM_PROVIDER] = { "tsm.provider", CHOICE, 0, { "own", "other" },
	    "attribute provider names the other vendor" },
	[K_AUX] = { "aux", CHOICE, 0, { "full", "leaf", "empty" },
	    "certificates in auxblob: all, the V*EK only, none" },
	[K_DEBUG] = { "debug", CHOICE, 0, { "off", "on" },
	    "guest policy or TD attributes allow debugging" },
	[K_MIGRATABLE] = { "migratable", CHOICE, 0, { "off", "on" },
	    "guest policy or TD attributes allow migration" },
	[K_TCB] = { "tcb", CHOICE, 0, { "current", "old" },
	    "firmware of the host, and its certificate" },
	[K_ROOT] = { "root", CHOICE, REDO_FOREIGN, { "own", "foreign" },
	    "whose hierarchy signs reports" },
	[K_CHIP] = { "chip", CHOICE, 0, { "own", "other", "masked" },
	    "CHIP_ID in SNP reports" },
	[K_REVOKED] = { "revoked", CHOICE, REDO_COLLATERAL,
	    { "none", "ca", "leaf" },
	    "CRLs list the intermediate (ASK, ASVK, PCK CA), or the PCK "
	    "certificate" },
	[K_COLLATERAL] = { "collateral", CHOICE, REDO_COLLATERAL,
	    { "current", "expired", "future" }, "validity of CRLs and JSON" },
	[K_MEASUREMENT] = { "measurement", BYTES, 0, { 0 },
	    "SNP MEASUREMENT or MRTD, hex" },
	[K_HOST_DATA] = { "host_data", BYTES, 0, { 0 },
	    "SNP HOST_DATA or MRCONFIGID, hex" },
	[K_VMPL] = { "vmpl", NUMBER, 0, { 0 },
	    "VMPL in SNP reports, whatever was asked for; 0: as asked" },
	[K_PROVISIONAL] = { "provisional", CHOICE, 0, { "off", "on" },
	    "CURRENT_TCB above COMMITTED_TCB" },
	[K_SIGNATURE] = { "signature", CHOICE, 0, { "good", "bad" },
	    "one bit of the signature is wrong" },
	[K_TDX_PADDING] = { "tdx.padding", CHOICE, 0,
	    { "zero", "none", "junk" },
	    "what follows the quote, up to 8000 bytes" },
	[K_TPM_DELAY_MS] = { "tpm.delay_ms", NUMBER, 0, { 0 },
	    "time that a TPM command takes longer" },
	[K_TPM_AK] = { "tpm.ak", CHOICE, REDO_AK, { "own", "other", "none" },
	    "whose AK certificates the NV indexes hold" },
};

struct knobs {
	pthread_mutex_t lock;
	long value[KNOBS];
	uint8_t bytes[KNOBS][64];
	uint32_t tpm_rc;
	long tpm_errors;
};

struct knobs *
knobs_new(void)
{
	struct knobs *knobs = xcalloc(1, sizeof(*knobs));

	pthread_mutex_init(&knobs->lock, NULL);
	return knobs;
}

static const struct row *
find(const char *name, enum knob *ret)
{
	for (enum knob k = 0; k < KNOBS; k++) {
		if (strcmp(rows[k].name, name) != 0)
			continue;
		*ret = k;
		return &rows[k];
	}
	return NULL;
}

static int
parse_number(const char *text, long min, long *ret)
{
	char *end;
	long v;

	errno = 0;
	v = strtol(text, &end, 0);
	if (errno != 0 || end == text || *end != '\0' || v < min)
		return -1;
	*ret = v;
	return 0;
}

static int
parse_choice(const struct row *row, const char *text, long *ret)
{
	for (long i = 0; i < 4 && row->choices[i] != NULL; i++) {
		if (strcmp(row->choices[i], text) != 0)
			continue;
		*ret = i;
		return 0;
	}
	return -1;
}

static int
parse_bytes(const char *text, uint8_t ret[64], long *ret_set)
{
	size_t len = strlen(text);

	memset(ret, 0, 64);
	*ret_set = len > 0;
	if (len > 128 || len % 2 != 0)
		return -1;
	return hex_to(text, ret, len / 2);
}

static char *
allowed(const struct row *row)
{
	struct buf b = { 0 };

	if (row->kind == NUMBER)
		buf_text(&b, "a number from 0");
	else if (row->kind == COUNTED)
		buf_text(&b, "a number, or -1 for ever");
	else if (row->kind == BYTES)
		buf_text(&b, "at most 64 bytes in hex, or nothing");
	for (int i = 0; i < 4 && row->choices[i] != NULL; i++)
		buf_printf(&b, "%s%s", i > 0 ? "|" : "", row->choices[i]);
	return buf_cstr(&b);
}

int
knobs_set(struct knobs *knobs, const char *name, const char *value,
    unsigned *ret_redo, char **ret_message)
{
	enum knob k;
	const struct row *row = find(name, &k);
	uint8_t bytes[64] = { 0 };
	long v = 0;
	int r;

	if (row == NULL) {
		*ret_message = xasprintf("no knob %s", name);
		return -1;
	}
	if (row->kind == CHOICE)
		r = parse_choice(row, value, &v);
	else if (row->kind == BYTES)
		r = parse_bytes(value, bytes, &v);
	else
		r = parse_number(value, row->kind == COUNTED ? -1 : 0, &v);
	if (r < 0) {
		_cleanup_(freep) char *wanted = allowed(row);

		*ret_message = xasprintf("%s: allowed %s, got '%s'", name,
		    wanted, value);
		return -1;
	}
	pthread_mutex_lock(&knobs->lock);
	knobs->value[k] = v;
	memcpy(knobs->bytes[k], bytes, sizeof(bytes));
	pthread_mutex_unlock(&knobs->lock);
	*ret_redo = row->redo;
	return 0;
}

unsigned
knobs_reset(struct knobs *knobs)
{
	unsigned redo = 0;

	pthread_mutex_lock(&knobs->lock);
	for (enum knob k = 0; k < KNOBS; k++) {
		if (knobs->value[k] != 0)
			redo |= rows[k].redo;
		knobs->value[k] = 0;
	}
	memset(knobs->bytes, 0, sizeof(knobs->bytes));
	knobs->tpm_errors = 0;
	pthread_mutex_unlock(&knobs->lock);
	return redo;
}

static void
print_one(struct knobs *knobs, enum knob k, struct buf *out)
{
	const struct row *row = &rows[k];
	long v = knobs->value[k];

	if (row->kind == CHOICE) {
		buf_printf(out, "%s %s\n", row->name, row->choices[v]);
	} else if (row->kind == BYTES) {
		_cleanup_(freep) char *hex = hex_of(knobs->bytes[k], 64);

		buf_printf(out, "%s %s\n", row->name, v ? hex : "-");
	} else {
		buf_printf(out, "%s %ld\n", row->name, v);
	}
}

int
knobs_print(struct knobs *knobs, const char *name, struct buf *out)
{
	enum knob only = KNOBS;

	if (name != NULL && find(name, &only) == NULL)
		return -1;
	pthread_mutex_lock(&knobs->lock);
	for (enum knob k = 0; k < KNOBS; k++)
		if (only == KNOBS || only == k)
			print_one(knobs, k, out);
	pthread_mutex_unlock(&knobs->lock);
	return 0;
}

void
knobs_help(struct buf *out)
{
	for (enum knob k = 0; k < KNOBS; k++) {
		_cleanup_(freep) char *values = allowed(&rows[k]);

		buf_printf(out, "%-20s %s\n%-20s   %s\n", rows[k].name,
		    rows[k].help, "", values);
	}
}

long
knobs_get(struct knobs *knobs, enum knob k)
{
	long v;

	pthread_mutex_lock(&knobs->lock);
	v = knobs->value[k];
	pthread_mutex_unlock(&knobs->lock);
	return v;
}

bool
knobs_take(struct knobs *knobs, enum knob k)
{
	bool applies;

	pthread_mutex_lock(&knobs->lock);
	applies = knobs->value[k] != 0;
	if (knobs->value[k] > 0)
		knobs->value[k]--;
	pthread_mutex_unlock(&knobs->lock);
	return applies;
}

bool
knobs_bytes(struct knobs *knobs, enum knob k, uint8_t *ret, size_t len)
{
	bool set;

	pthread_mutex_lock(&knobs->lock);
	set = knobs->value[k] != 0;
	if (set)
		memcpy(ret, knobs->bytes[k], len);
	pthread_mutex_unlock(&knobs->lock);
	return set;
}

void
knobs_tpm_error(struct knobs *knobs, uint32_t rc, long n)
{
	pthread_mutex_lock(&knobs->lock);
	knobs->tpm_rc = rc;
	knobs->tpm_errors = n;
	pthread_mutex_unlock(&knobs->lock);
}

bool
knobs_take_tpm_error(struct knobs *knobs, uint32_t *ret_rc)
{
	bool applies;

	pthread_mutex_lock(&knobs->lock);
	applies = knobs->tpm_errors != 0;
	*ret_rc = knobs->tpm_rc;
	if (knobs->tpm_errors > 0)
		knobs->tpm_errors--;
	pthread_mutex_unlock(&knobs->lock);
	return applies;
}
