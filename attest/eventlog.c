/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>

#include "attest/eventlog.h"
#include "base/reader.h"

#define WHERE "event log"
#define SPEC_ID "Spec ID Event03"
#define STARTUP_LOCALITY "StartupLocality"
#define EVENT_DATA_MAX (512 * 1024)

static const struct {
	uint16_t id; /* TPM_ALG_ID */
	enum hash_alg alg;
} known_algs[] = {
	{ 0x0004, HASH_SHA1 },
	{ 0x000b, HASH_SHA256 },
	{ 0x000c, HASH_SHA384 },
	{ 0x000d, HASH_SHA512 },
};

/* Others whose size is known (TCG Algorithm Registry, table 3). */
static const struct log_other known_others[] = {
	{ 0x0012, 32 }, /* SM3_256 */
	{ 0x0027, 32 }, /* SHA3_256 */
	{ 0x0028, 48 },
	{ 0x0029, 64 },
};

void
eventlog_clear(struct event_log *log)
{
	free(log->events);
	memset(log, 0, sizeof(*log));
}

int
eventlog_alg(const struct event_log *log, enum hash_alg alg)
{
	for (size_t i = 0; i < log->n_algs; i++)
		if (log->algs[i] == alg)
			return (int)i;
	return -1;
}

static int
refuse(struct why *why, size_t index, const char *field, const char *expected,
    unsigned long long got)
{
	char where[64];

	(void)snprintf(where, sizeof(where), WHERE " event %zu", index);
	return why_setf(why, CVM_E_PARSE, where, field, expected, "0x%llx",
	    got);
}

/* SM3, SHA-3 and what is yet to come: their digests are passed over. */
static int
spec_other(struct event_log *log, uint16_t id, uint16_t size, struct why *why)
{
	if (log->form == LOG_CCEL)
		return refuse(why, 0, "algorithm", "SHA-384", id);
	for (size_t i = 0; i < NELEMS(known_others); i++)
		if (known_others[i].id == id && known_others[i].size != size)
			return refuse(why, 0, "digest size", "the algorithm's",
			    size);
	if (size == 0 || size > HASH_LEN_MAX)
		return refuse(why, 0, "digest size", "1..64", size);
	for (size_t i = 0; i < log->n_others; i++)
		if (log->others[i].id == id)
			return refuse(why, 0, "algorithm", "once", id);
	log->others[log->n_others++] = (struct log_other){ id, size };
	return CVM_OK;
}

/* One algorithm of the Spec ID event: of its own size, only once. */
static int
spec_alg(struct reader *r, struct event_log *log, struct why *why)
{
	uint16_t id = read_le16(r), size = read_le16(r);

	if (r->failed)
		return refuse(why, 0, "Spec ID event", "its exact size",
		    r->len);
	for (size_t i = 0; i < NELEMS(known_algs); i++) {
		if (known_algs[i].id != id)
			continue;
		if (size != hash_len(known_algs[i].alg))
			return refuse(why, 0, "digest size", "the algorithm's",
			    size);
		if (eventlog_alg(log, known_algs[i].alg) >= 0)
			return refuse(why, 0, "algorithm", "once", id);
		if (log->form == LOG_CCEL && known_algs[i].alg != HASH_SHA384)
			return refuse(why, 0, "algorithm", "SHA-384", id);
		log->algs[log->n_algs++] = known_algs[i].alg;
		return CVM_OK;
	}
	return spec_other(log, id, size, why);
}

/* TCG_EfiSpecIDEvent, the data of the first event. */
static int
parse_spec_id(struct span data, struct event_log *log, struct why *why)
{
	struct reader r = reader_init(data);
	struct span sig = read_span(&r, sizeof(SPEC_ID));
	uint8_t minor, major, size;
	uint32_t n;
	int err;

	if (!span_equal(sig, span(SPEC_ID, sizeof(SPEC_ID))))
		return why_set(why, CVM_E_UNSUPPORTED, WHERE, "first event",
		    "\"Spec ID Event03\": a crypto-agile log",
		    "a log without it (SHA-1 only)");
	read_skip(&r, 4); /* platformClass */
	minor = read_u8(&r);
	major = read_u8(&r);
	read_skip(&r, 1); /* errata */
	size = read_u8(&r);
	n = read_le32(&r);
	if (major != 2 || minor != 0 || size < 1 || size > 2)
		return refuse(why, 0, "specification version",
		    "2.0, uintn size 1 or 2",
		    (unsigned)(major << 16 | minor << 8 | size));
	if (n < 1 || n > LOG_BANKS_MAX)
		return refuse(why, 0, "number of algorithms", "1..16", n);
	for (uint32_t i = 0; i < n; i++)
		if ((err = spec_alg(&r, log, why)) != CVM_OK)
			return err;
	read_skip(&r, read_u8(&r)); /* vendorInfo */
	return reader_end(&r) == CVM_OK ?
	    CVM_OK :
	    refuse(why, 0, "Spec ID event", "its exact size", data.len);
}

/* The first event has the SHA-1 form, TCG_PCR_EVENT. */
static int
parse_first(struct reader *r, struct event_log *log, struct why *why)
{
	uint32_t type, size;

	read_skip(r, 4); /* PCR 0; a CCEL may say another index */
	type = read_le32(r);
	read_skip(r, 20);
	size = read_le32(r);
	if (r->failed || size > reader_left(r))
		return refuse(why, 0, "size", "within the log", size);
	if (type != EV_NO_ACTION)
		return why_set(why, CVM_E_UNSUPPORTED, WHERE, "first event",
		    "\"Spec ID Event03\": a crypto-agile log",
		    "a log without it (SHA-1 only)");
	return parse_spec_id(read_span(r, size), log, why);
}

/* A digest of an algorithm that is not known here; each stands once. */
static bool
pass_other(struct reader *r, const struct event_log *log, uint16_t id,
    uint32_t *seen)
{
	for (size_t i = 0; i < log->n_others; i++)
		if (log->others[i].id == id &&
		    (*seen & UINT32_C(1) << i) == 0) {
			*seen |= UINT32_C(1) << i;
			read_skip(r, log->others[i].size);
			return true;
		}
	return false;
}

static int
event_digests(struct reader *r, struct event_log *log, struct log_event *e,
    struct why *why)
{
	uint32_t count = read_le32(r);
	uint32_t seen = 0;

	if (count != log->n_algs + log->n_others)
		return refuse(why, log->n, "number of digests",
		    "as in the Spec ID event", count);
	for (uint32_t i = 0; i < count; i++) {
		uint16_t id = read_le16(r);
		int slot = -1;

		if (pass_other(r, log, id, &seen))
			continue;
		for (size_t k = 0; k < NELEMS(known_algs); k++)
			if (known_algs[k].id == id)
				slot = eventlog_alg(log, known_algs[k].alg);
		if (slot < 0 || e->digests[slot].len != 0)
			return refuse(why, log->n, "digest algorithm",
			    "each of the Spec ID event once", id);
		e->digests[slot] = read_span(r, hash_len(log->algs[slot]));
	}
	return CVM_OK;
}

/* NO_ACTION events are never extended; one of them sets PCR 0's start. */
static int
note_locality(struct event_log *log, const struct log_event *e, struct why *why)
{
	const size_t n = sizeof(STARTUP_LOCALITY);

	if (log->form != LOG_TCG || e->type != EV_NO_ACTION || e->mr != 0 ||
	    e->data.len != n + 1 ||
	    memcmp(e->data.data, STARTUP_LOCALITY, n) != 0)
		return CVM_OK;
	if (log->locality != 0)
		return refuse(why, log->n, "StartupLocality", "once", 2);
	if (e->data.data[n] != 0 && e->data.data[n] != 3 &&
	    e->data.data[n] != 4)
		return refuse(why, log->n, "StartupLocality", "0, 3 or 4",
		    e->data.data[n]);
	log->locality = e->data.data[n];
	return CVM_OK;
}

/* What a log claims to hold costs nothing before it is there. */
static int
add_event(struct event_log *log, const struct log_event *e, struct why *why)
{
	struct log_event *grown;
	size_t room;

	if (log->n == LOG_EVENTS_MAX)
		return refuse(why, log->n, "number of events", "at most 8192",
		    log->n + 1);
	if (log->n == log->room) {
		room = log->room == 0 ? 64 : log->room * 2;
		grown = reallocarray(log->events, room, sizeof(*grown));
		if (grown == NULL)
			return why_set(why, CVM_E_NOMEM, WHERE, "", "", "");
		log->events = grown;
		log->room = room;
	}
	log->events[log->n++] = *e;
	return CVM_OK;
}

static int
parse_event(struct reader *r, struct event_log *log, struct why *why)
{
	const uint32_t max = log->form == LOG_CCEL ? 4 : LOG_MRS_MAX - 1;
	struct log_event e = { 0 };
	uint32_t size;
	int err;

	e.mr = read_le32(r);
	e.type = read_le32(r);
	if (e.mr > max ||
	    (log->form == LOG_CCEL && e.mr == 0 && e.type != EV_NO_ACTION))
		return refuse(why, log->n, "register index",
		    log->form == LOG_CCEL ? "MR 1..4" : "PCR 0..23", e.mr);
	if ((err = event_digests(r, log, &e, why)) != CVM_OK)
		return err;
	size = read_le32(r);
	if (r->failed || size > reader_left(r) || size > EVENT_DATA_MAX)
		return refuse(why, log->n, "size", "within the log", size);
	e.data = read_span(r, size);
	if ((err = note_locality(log, &e, why)) != CVM_OK)
		return err;
	return add_event(log, &e, why);
}

/* How many bytes at the end of s are v; looked at once for a whole log. */
static size_t
run_at_end(struct span s, uint8_t v)
{
	size_t n = 0;

	while (n < s.len && s.data[s.len - 1 - n] == v)
		n++;
	return n;
}

/* All of what is left is 0xFF, or all of it 0x00 and more than a header. */
static bool
only_padding(const struct reader *r, size_t ones, size_t zeros)
{
	size_t left = reader_left(r);

	return left <= ones || (left >= 16 && left <= zeros);
}

int
eventlog_parse(struct span s, enum log_form form, struct event_log *ret,
    struct why *reterr_why)
{
	_cleanup_(eventlog_clear) struct event_log log = { .form = form };
	const size_t ones = run_at_end(s, 0xff), zeros = run_at_end(s, 0);
	struct reader r = reader_init(s);
	int err;

	if (s.len == 0 || s.len > EVIDENCE_LOG_MAX)
		return why_setf(reterr_why, CVM_E_PARSE, WHERE, "length",
		    "1 byte to 1 MiB", "%zu", s.len);
	if ((err = parse_first(&r, &log, reterr_why)) != CVM_OK)
		return err;
	while (reader_left(&r) > 0 && !only_padding(&r, ones, zeros))
		if ((err = parse_event(&r, &log, reterr_why)) != CVM_OK)
			return err;
	*ret = log;
	memset(&log, 0, sizeof(log));
	return CVM_OK;
}

int
eventlog_replay(const struct event_log *log, enum hash_alg alg,
    struct pcr_values *ret, struct why *reterr_why)
{
	int slot = eventlog_alg(log, alg), err;
	struct pcr_values v = { .bank = alg };
	const size_t len = hash_len(alg);

	if (slot < 0)
		return why_set(reterr_why, CVM_E_UNSUPPORTED, WHERE,
		    "algorithms", hash_name(alg), "a log without it");
	v.value[0][len - 1] = log->locality;
	for (size_t i = 0; i < log->n; i++) {
		const struct log_event *e = &log->events[i];
		const struct span parts[] = { span(v.value[e->mr], len),
			e->digests[slot] };

		if (e->type == EV_NO_ACTION)
			continue;
		if ((err = hash_parts(alg, parts, NELEMS(parts),
			 v.value[e->mr])) != CVM_OK)
			return why_set(reterr_why, err, WHERE, "replay", "",
			    "");
		v.mask |= 1u << e->mr;
	}
	*ret = v;
	return CVM_OK;
}
