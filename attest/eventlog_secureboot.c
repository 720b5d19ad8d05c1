/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>

#include "attest/eventlog_parts.h"
#include "base/reader.h"

#define GUID_LEN 16

/* EFI_GLOBAL_VARIABLE 8be4df61-93ca-11d2-aa0d-00e098032b8c, as stored. */
static const uint8_t global_guid[GUID_LEN] = { 0x61, 0xdf, 0xe4, 0x8b, 0xca,
	0x93, 0xd2, 0x11, 0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c };

/* EFI_IMAGE_SECURITY_DATABASE d719b2cb-3d3a-4596-a3bc-dad00e67656f. */
static const uint8_t security_guid[GUID_LEN] = { 0xcb, 0xb2, 0x19, 0xd7, 0x3a,
	0x3d, 0x96, 0x45, 0xa3, 0xbc, 0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f };
/* SHIM_LOCK 605dab50-e046-4300-abb6-3dd810dd8b23. */
static const uint8_t shim_guid[GUID_LEN] = { 0x50, 0xab, 0x5d, 0x60, 0x46, 0xe0,
	0x00, 0x43, 0xab, 0xb6, 0x3d, 0xd8, 0x10, 0xdd, 0x8b, 0x23 };
/* Types of EFI_SIGNATURE_LIST (UEFI 2.10, 32.4.1): EFI_CERT_SHA256 c1c41626-
 * 504c-4092-aca9-41f936934328, EFI_CERT_X509_SHA256 3bd2a492-96c0-4079-b420-
 * fcf98ef103ed, whose digest precedes a time. */
static const uint8_t type_sha256[GUID_LEN] = { 0x26, 0x16, 0xc4, 0xc1, 0x4c,
	0x50, 0x92, 0x40, 0xac, 0xa9, 0x41, 0xf9, 0x36, 0x93, 0x43, 0x28 };
static const uint8_t type_x509_sha256[GUID_LEN] = { 0x92, 0xa4, 0xd2, 0x3b,
	0xc0, 0x96, 0x79, 0x40, 0xb4, 0x20, 0xfc, 0xf9, 0x8e, 0xf1, 0x03,
	0xed };

/* UEFI_VARIABLE_DATA (TCG PFP, 10.2.6); name is UTF-16LE. */
struct variable {
	struct span guid, name, data;
	size_t rest; /* bytes behind the structure */
};

static bool
parse_variable(struct span s, struct variable *ret)
{
	struct reader r = reader_init(s);
	uint64_t name_len, data_len;

	ret->guid = read_span(&r, GUID_LEN);
	name_len = read_le64(&r);
	data_len = read_le64(&r);
	if (r.failed || name_len > 512 || data_len > s.len)
		return false;
	ret->name = read_span(&r, (size_t)name_len * 2);
	ret->data = read_span(&r, (size_t)data_len);
	ret->rest = reader_left(&r);
	return !r.failed;
}

static bool
name_is(const struct variable *v, const char *name)
{
	size_t n = strlen(name);

	if (v->name.len != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (v->name.data[2 * i] != (uint8_t)name[i] ||
		    v->name.data[2 * i + 1] != 0)
			return false;
	return true;
}

const char *
log_variable_name(struct span data, char buf[static LOG_VARIABLE_NAME_MAX])
{
	struct variable v;
	size_t n;

	if (!parse_variable(data, &v))
		return NULL;
	for (n = 0; n < v.name.len / 2 && n + 1 < LOG_VARIABLE_NAME_MAX; n++)
		buf[n] = v.name.data[2 * n + 1] == 0 ?
		    (char)v.name.data[2 * n] :
		    '?';
	buf[n] = '\0';
	return buf;
}

static bool
is_variable(const struct variable *v, const uint8_t guid[static GUID_LEN],
    const char *name)
{
	return name_is(v, name) && span_equal(v->guid, span(guid, GUID_LEN));
}

static uint8_t *
digest_list_add(struct digest_list *l)
{
	size_t room = l->room == 0 ? 16 : l->room * 2;
	uint8_t(*grown)[SHA256_LEN] = l->v;

	if (l->n == l->room) {
		grown = reallocarray(l->v, room, sizeof(*grown));
		if (grown == NULL)
			return NULL;
		l->v = grown;
		l->room = room;
	}
	return l->v[l->n++];
}

/* One EFI_SIGNATURE_DATA without its owner: a digest as it is, of anything
 * else (a certificate) the SHA-256. */
static bool
add_signature(struct digest_list *l, struct span type, struct span data)
{
	uint8_t *to = digest_list_add(l);
	bool is_digest = span_equal(type, span(type_sha256, GUID_LEN)) ?
	    data.len == SHA256_LEN :
	    span_equal(type, span(type_x509_sha256, GUID_LEN)) &&
		data.len > SHA256_LEN;

	if (to == NULL)
		return false;
	if (!is_digest)
		return hash(HASH_SHA256, data, to) == CVM_OK;
	memcpy(to, data.data, SHA256_LEN);
	return true;
}

/* EFI_SIGNATURE_LIST after EFI_SIGNATURE_LIST, to the last byte. */
static bool
read_signatures(struct span s, struct digest_list *l)
{
	struct reader r = reader_init(s);

	while (reader_left(&r) > 0) {
		struct span type = read_span(&r, GUID_LEN);
		uint32_t list = read_le32(&r), header = read_le32(&r);
		uint32_t size = read_le32(&r);
		struct reader in;

		if (r.failed || list < GUID_LEN + 12 || size <= GUID_LEN)
			return false;
		in = reader_init(read_span(&r, list - GUID_LEN - 12));
		read_skip(&in, header);
		if (r.failed || in.failed || reader_left(&in) % size != 0)
			return false;
		while (reader_left(&in) > 0) {
			read_skip(&in, GUID_LEN);
			if (!add_signature(l, type,
				read_span(&in, size - GUID_LEN)))
				return false;
		}
	}
	return !r.failed;
}

static const struct {
	const char *name;
	const uint8_t *guid;
} key_variables[KEY_VARIABLES] = {
	[KEYS_PK] = { "PK", global_guid },
	[KEYS_KEK] = { "KEK", global_guid },
	[KEYS_DB] = { "db", security_guid },
	[KEYS_DBX] = { "dbx", security_guid },
};

static void
see_keys(struct scan *s, enum key_variable which, const struct variable *v)
{
	struct log_facts *f = s->f;
	struct digest_list *l = which == KEYS_DBX ? &f->revoked : &f->trusted;
	size_t before = l->n;
	const char *name = key_variables[which].name;

	if (s->separators[log_mr_of(s, 7)] > 0 || s->keys[which]++ > 0)
		log_trouble(s, &f->keys_why, name, "once, before the separator",
		    "again or later");
	else if (!read_signatures(v->data, l))
		log_trouble(s, &f->keys_why, name,
		    "a list of EFI_SIGNATURE_LIST", "malformed");
	else if (l->n == before && which != KEYS_DBX)
		s->keys[which] = 0; /* as good as none */
}

void
see_secure_boot(struct scan *s, const struct log_event *e)
{
	struct log_facts *f = s->f;
	const uint32_t mr = log_mr_of(s, 7);
	struct variable v;

	if (e->type != (uint32_t)EV_EFI_VARIABLE_DRIVER_CONFIG || e->mr != mr)
		return;
	if (!parse_variable(e->data, &v) || v.rest != 0) {
		log_trouble(s, &f->secure_boot_why, "UEFI variable",
		    "UEFI_VARIABLE_DATA", "malformed");
		return;
	}
	for (size_t i = 0; i < KEY_VARIABLES; i++)
		if (is_variable(&v, key_variables[i].guid,
			key_variables[i].name))
			see_keys(s, (enum key_variable)i, &v);
	if (!is_variable(&v, global_guid, "SecureBoot"))
		return;
	if (s->separators[mr] > 0 || s->secure_boots++ > 0)
		log_trouble(s, &f->secure_boot_why, "SecureBoot",
		    "once, before the separator", "again or later");
	else if (v.data.len != 1 || v.data.data[0] > 1)
		log_trouble(s, &f->secure_boot_why, "SecureBoot",
		    "one byte, 0 or 1", "another value");
	else
		f->secure_boot = v.data.data[0] == 1;
}

/*
 * Firmware that enforces has keys to enforce with, and says by which of them
 * it let something start.
 */
void
judge_secure_boot(struct scan *s)
{
	struct log_facts *f = s->f;

	if (s->secure_boots == 0)
		log_trouble(s, &f->secure_boot_why, "SecureBoot",
		    "the variable, measured", "no such event");
	for (size_t i = 0; i < KEY_VARIABLES; i++) {
		if (s->keys[i] > 0)
			continue;
		log_trouble(s, &f->keys_why, key_variables[i].name,
		    "the variable, measured", "no such event, or no key in it");
		if (i != KEYS_DBX && f->secure_boot)
			log_trouble(s, &f->secure_boot_why,
			    key_variables[i].name,
			    "PK, KEK and db with keys, as Secure Boot is on",
			    "no such event, or no key in it");
	}
	if (f->secure_boot && s->authorities == 0)
		log_trouble(s, &f->secure_boot_why, "authority",
		    "one that let something start, as Secure Boot is on",
		    "none");
}

/* The certificate in an authority's data: whole DER, after the owner GUID of
 * EFI_SIGNATURE_DATA, or (old shim) without one. */
static struct span
authority_cert(struct span data)
{
	for (size_t skip = 0; skip <= GUID_LEN; skip += GUID_LEN) {
		struct span c = span(data.data + skip, data.len - skip);

		if (data.len < skip + 4 || c.data[0] != 0x30 ||
		    c.data[1] != 0x82)
			continue;
		if ((size_t)(c.data[2] << 8 | c.data[3]) + 4 == c.len)
			return c;
	}
	return span(NULL, 0);
}

/* "sbat,1,2024010900\n...": what shim has from the variable SbatLevel. */
static uint32_t
sbat_level(struct span data)
{
	static const char prefix[] = "sbat,1,";
	const size_t n = sizeof(prefix) - 1, digits = 10;
	uint64_t level = 0;

	if (data.len < n + digits || memcmp(data.data, prefix, n) != 0 ||
	    (data.len > n + digits && data.data[n + digits] != '\n'))
		return 0;
	for (size_t i = n; i < n + digits; i++) {
		if (data.data[i] < '0' || data.data[i] > '9')
			return 0;
		level = level * 10 + (data.data[i] - '0');
	}
	return level <= UINT32_MAX ? (uint32_t)level : 0;
}

static void
see_sbat(struct scan *s, const struct variable *v)
{
	struct log_facts *f = s->f;
	uint32_t level = sbat_level(v->data);

	if (!is_variable(v, shim_guid, "SbatLevel"))
		return;
	if (level == 0 || f->sbat_level != 0)
		log_trouble(s, &f->sbat_why, "SbatLevel",
		    "once, \"sbat,1,\" and a date of ten digits",
		    level == 0 ? "another text" : "twice");
	else
		f->sbat_level = level;
}

void
see_authority(struct scan *s, const struct log_event *e)
{
	/* What shim measures here besides certificates. */
	static const char *const not_certs[] = { "SbatLevel", "MokListTrusted",
		"MokSBState", "MokDBState" };
	struct why *why = &s->f->authorities_why;
	struct variable v;
	struct span cert;
	uint8_t *to;

	if (e->type != (uint32_t)EV_EFI_VARIABLE_AUTHORITY)
		return;
	/* The type of an event is not measured: whoever writes the log could
	 * say this of what a running system extended elsewhere. */
	if (e->mr != log_mr_of(s, 7)) {
		log_trouble(s, why, "authority", "in PCR 7", "elsewhere");
		log_trouble(s, &s->f->sbat_why, "authority", "in PCR 7",
		    "elsewhere");
		return;
	}
	if (!parse_variable(e->data, &v)) {
		log_trouble(s, why, "authority", "UEFI_VARIABLE_DATA",
		    "malformed");
		return;
	}
	see_sbat(s, &v);
	for (size_t i = 0; i < NELEMS(not_certs); i++)
		if (name_is(&v, not_certs[i]))
			return;
	s->authorities++;
	cert = authority_cert(v.data);
	if (s->separators[log_mr_of(s, 7)] == 0) {
		log_trouble(s, why, "authority", "after the separator of PCR 7",
		    "before it (an option ROM)");
		log_trouble(s, &s->f->secure_boot_why, "authority",
		    "after the separator of PCR 7",
		    "before it (an option ROM)");
	} else if (cert.len == 0 ||
	    (to = digest_list_add(&s->f->authorities)) == NULL ||
	    hash(HASH_SHA256, cert, to) != CVM_OK)
		log_trouble(s, why, "authority", "an X.509 certificate",
		    "something else");
}
