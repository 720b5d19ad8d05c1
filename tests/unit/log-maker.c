/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/log-maker.h"

/* EFI_GLOBAL_VARIABLE, and any other GUID. */
static const uint8_t global_guid[16] = { 0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93,
	0xd2, 0x11, 0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c };
static const uint8_t other_guid[16] = { 0xcb, 0xb2, 0x19, 0xd7 };
static const uint8_t security_guid[16] = { 0xcb, 0xb2, 0x19, 0xd7, 0x3a, 0x3d,
	0x96, 0x45, 0xa3, 0xbc, 0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f };
static const uint8_t shim_guid[16] = { 0x50, 0xab, 0x5d, 0x60, 0x46, 0xe0, 0x00,
	0x43, 0xab, 0xb6, 0x3d, 0xd8, 0x10, 0xdd, 0x8b, 0x23 };
static const uint8_t type_x509[16] = { 0xa1, 0x59, 0xc0, 0xa5, 0xe4, 0x94, 0xa7,
	0x4a, 0x87, 0xb5, 0xab, 0x15, 0x5c, 0x2b, 0xf0, 0x72 };
static const uint8_t type_sha256[16] = { 0x26, 0x16, 0xc4, 0xc1, 0x4c, 0x50,
	0x92, 0x40, 0xac, 0xa9, 0x41, 0xf9, 0x36, 0x93, 0x43, 0x28 };
/* DER from afar: what the log says is a certificate, and its length. */
static const uint8_t certificate[] = { 0x30, 0x82, 0x00, 0x04, 1, 2, 3, 4 };

#define MADE_SBAT_TEXT "sbat,1,2024010900\nshim,4\n"

static void
put(struct blob *b, const void *data, size_t len)
{
	assert_int_equal(blob_append(b, span(data, len)), 0);
}

static void
put_le(struct blob *b, uint64_t v, size_t len)
{
	uint8_t bytes[8];

	for (size_t i = 0; i < len; i++, v >>= 8)
		bytes[i] = (uint8_t)v;
	put(b, bytes, len);
}

static void
put_utf16(struct blob *b, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		put_le(b, (uint8_t)text[i], 2);
}

/* UEFI_VARIABLE_DATA */
static struct blob
variable(const uint8_t guid[static 16], const char *name, struct span data)
{
	struct blob b = { 0 };

	put(&b, guid, 16);
	put_le(&b, strlen(name), 8);
	put_le(&b, data.len, 8);
	put_utf16(&b, name, strlen(name));
	put(&b, data.data, data.len);
	return b;
}

static void
add(struct made_log *l, uint32_t pcr, uint32_t type, struct span data)
{
	made_insert(l, l->n, pcr, type, data, span(NULL, 0));
}

static void
add_text(struct made_log *l, uint32_t pcr, uint32_t type, const char *text)
{
	add(l, pcr, type, span(text, strlen(text)));
}

static void
add_variable(struct made_log *l, uint32_t type, const uint8_t guid[static 16],
    const char *name, struct span data)
{
	struct blob b = variable(guid, name, data);

	add(l, 7, type, blob_span(&b));
	blob_clear(&b);
}

/* EFI_SIGNATURE_DATA */
static struct blob
signature_data(struct span data)
{
	struct blob b = { 0 };

	put(&b, other_guid, sizeof(other_guid)); /* owner */
	put(&b, data.data, data.len);
	return b;
}

static void
add_authority(struct made_log *l)
{
	struct blob b = signature_data(span(certificate, sizeof(certificate)));

	add_variable(l, (uint32_t)EV_EFI_VARIABLE_AUTHORITY, other_guid, "db",
	    blob_span(&b));
	blob_clear(&b);
}

/* EFI_SIGNATURE_LIST of one entry. */
static struct blob
signature_list(const uint8_t type[static 16], struct span data)
{
	struct blob b = { 0 };

	put(&b, type, 16);
	put_le(&b, 28 + 16 + data.len, 4);
	put_le(&b, 0, 4);
	put_le(&b, 16 + data.len, 4);
	put(&b, other_guid, 16); /* owner */
	put(&b, data.data, data.len);
	return b;
}

static void
add_keys(struct made_log *l, const uint8_t guid[static 16], const char *name,
    const uint8_t type[static 16], struct span data)
{
	struct blob b = signature_list(type, data);

	add_variable(l, (uint32_t)EV_EFI_VARIABLE_DRIVER_CONFIG, guid, name,
	    blob_span(&b));
	blob_clear(&b);
}

void
made_certify(struct made_log *l, enum made_name name, struct span cert)
{
	struct made_event *e = made_find(l, name);
	struct blob b = name == MADE_AUTHORITY ?
	    signature_data(cert) :
	    signature_list(type_x509, cert);

	blob_clear(&e->data);
	e->data = variable(name == MADE_AUTHORITY ? other_guid : security_guid,
	    "db", blob_span(&b));
	blob_clear(&b);
}

void
made_revoked(uint8_t out[static SHA256_LEN])
{
	memset(out, 0xdb, SHA256_LEN);
}

static void
add_all_keys(struct made_log *l)
{
	static const char *const names[] = { "PK", "KEK", "db" };
	uint8_t bad[SHA256_LEN];

	for (size_t i = 0; i < 3; i++)
		add_keys(l, i < 2 ? global_guid : security_guid, names[i],
		    type_x509, span(certificate, sizeof(certificate)));
	made_revoked(bad);
	add_keys(l, security_guid, "dbx", type_sha256, span(bad, sizeof(bad)));
}

/* What GRUB measures is the text behind the prefix. */
static void
add_grub(struct made_log *l, const char *prefix, const char *text)
{
	struct blob b = { 0 };

	put(&b, prefix, strlen(prefix));
	put(&b, text, strlen(text) + 1);
	made_insert(l, l->n, 8, EV_IPL, blob_span(&b),
	    span(text, strlen(text)));
	blob_clear(&b);
}

static void
add_google(struct made_log *l)
{
	static const char version[] = "GCE Virtual Firmware v2";
	uint8_t info[32] = "GCE NonHostInfo";
	struct blob b = { 0 };

	info[16] = 4; /* AMD SEV-SNP */
	put_utf16(&b, version, sizeof(version));
	add(l, 0, EV_S_CRTM_VERSION, blob_span(&b));
	add(l, 0, EV_NONHOST_INFO, span(info, sizeof(info)));
	blob_clear(&b);
}

void
made_log_init(struct made_log *l, enum log_form form)
{
	static const uint8_t on = 1, zero[4];
	struct blob order;

	*l = (struct made_log){ .form = form };
	add_google(l);
	add_variable(l, (uint32_t)EV_EFI_VARIABLE_DRIVER_CONFIG, global_guid,
	    "SecureBoot", span(&on, 1));
	add_all_keys(l);
	order = variable(global_guid, "BootOrder", span(&on, 1));
	add(l, 1, (uint32_t)EV_EFI_VARIABLE_BOOT, blob_span(&order));
	blob_clear(&order);
	for (uint32_t pcr = 0; pcr < 8; pcr++)
		add(l, pcr, EV_SEPARATOR, span(zero, sizeof(zero)));
	add_text(l, 4, (uint32_t)EV_EFI_ACTION,
	    "Calling EFI Application from Boot Option");
	add_authority(l);
	add_variable(l, (uint32_t)EV_EFI_VARIABLE_AUTHORITY, shim_guid,
	    "SbatLevel", span(MADE_SBAT_TEXT, sizeof(MADE_SBAT_TEXT) - 1));
	made_insert(l, l->n, 4, (uint32_t)EV_EFI_BOOT_SERVICES_APPLICATION,
	    span("\\EFI", 4), span(MADE_APP_IMAGE, sizeof(MADE_APP_IMAGE) - 1));
	add_grub(l, "grub_cmd: ", MADE_GRUB_CMD);
	add_grub(l, "kernel_cmdline: ", MADE_KERNEL);
	add_text(l, 5, (uint32_t)EV_EFI_GPT_EVENT, "a partition table");
	add_text(l, 5, (uint32_t)EV_EFI_ACTION,
	    "Exit Boot Services Invocation");
	add_text(l, 5, (uint32_t)EV_EFI_ACTION,
	    "Exit Boot Services Returned with Success");
}

void
made_log_clear(struct made_log *l)
{
	while (l->n > 0)
		made_remove(l, &l->events[l->n - 1]);
}

struct made_event *
made_find(struct made_log *l, enum made_name name)
{
	static const struct {
		uint32_t pcr, type;
		unsigned nth;
	} rows[] = {
		[MADE_FIRMWARE] = { 0, EV_S_CRTM_VERSION, 0 },
		[MADE_TECHNOLOGY] = { 0, EV_NONHOST_INFO, 0 },
		[MADE_SECURE_BOOT] = { 7,
		    (uint32_t)EV_EFI_VARIABLE_DRIVER_CONFIG, 0 },
		[MADE_CALLING] = { 4, (uint32_t)EV_EFI_ACTION, 0 },
		[MADE_AUTHORITY] = { 7, (uint32_t)EV_EFI_VARIABLE_AUTHORITY,
		    0 },
		[MADE_APP] = { 4, (uint32_t)EV_EFI_BOOT_SERVICES_APPLICATION,
		    0 },
		[MADE_GRUB] = { 8, EV_IPL, 0 },
		[MADE_CMDLINE] = { 8, EV_IPL, 1 },
		[MADE_EXIT] = { 5, (uint32_t)EV_EFI_ACTION, 1 },
		[MADE_PK] = { 7, (uint32_t)EV_EFI_VARIABLE_DRIVER_CONFIG, 1 },
		[MADE_KEK] = { 7, (uint32_t)EV_EFI_VARIABLE_DRIVER_CONFIG, 2 },
		[MADE_DB] = { 7, (uint32_t)EV_EFI_VARIABLE_DRIVER_CONFIG, 3 },
		[MADE_DBX] = { 7, (uint32_t)EV_EFI_VARIABLE_DRIVER_CONFIG, 4 },
		[MADE_SBAT] = { 7, (uint32_t)EV_EFI_VARIABLE_AUTHORITY, 1 },
		[MADE_BOOT_ORDER] = { 1, (uint32_t)EV_EFI_VARIABLE_BOOT, 0 },
		[MADE_GPT] = { 5, (uint32_t)EV_EFI_GPT_EVENT, 0 },
	};
	unsigned seen = 0;

	for (size_t i = 0; i < l->n; i++)
		if (l->events[i].pcr == rows[name].pcr &&
		    l->events[i].type == rows[name].type &&
		    seen++ == rows[name].nth)
			return &l->events[i];
	fail();
	return NULL;
}

void
made_insert(struct made_log *l, size_t at, uint32_t pcr, uint32_t type,
    struct span data, struct span measured)
{
	struct made_event e = { .pcr = pcr, .type = type };

	assert_true(l->n < MADE_EVENTS_MAX && at <= l->n);
	put(&e.data, data.data, data.len);
	if (measured.len > 0)
		put(&e.measured, measured.data, measured.len);
	memmove(&l->events[at + 1], &l->events[at],
	    (l->n - at) * sizeof(l->events[0]));
	l->events[at] = e;
	l->n++;
}

void
made_remove(struct made_log *l, const struct made_event *e)
{
	size_t at = (size_t)(e - l->events);

	blob_clear(&l->events[at].data);
	blob_clear(&l->events[at].measured);
	l->n--;
	memmove(&l->events[at], &l->events[at + 1],
	    (l->n - at) * sizeof(l->events[0]));
}

/* TCG_PCR_EVENT with TCG_EfiSpecIDEvent. */
static void
put_first(const struct made_log *l, struct blob *b, uint16_t alg_id, size_t len)
{
	static const uint8_t zeros[20];
	const size_t others = l->n_others;

	put_le(b, 0, 4);
	put_le(b, EV_NO_ACTION, 4);
	put(b, zeros, sizeof(zeros));
	put_le(b, 16 + 4 + 4 + 4 + 4 + 4 * others + 1, 4);
	put(b, "Spec ID Event03", 16);
	put_le(b, 0, 4);
	put_le(b, 0x02000200, 4); /* 2.0, errata 0, UINT64 */
	put_le(b, 1 + others, 4);
	for (size_t i = 0; i < others; i++) {
		put_le(b, l->others[i].alg, 2);
		put_le(b, l->others[i].len, 2);
	}
	put_le(b, alg_id, 2);
	put_le(b, len, 2);
	put_le(b, 0, 1);
}

/* UEFI 2.10, 38.4.1 */
static uint32_t
register_of(const struct made_log *l, uint32_t pcr)
{
	if (l->form == LOG_TCG)
		return pcr;
	if (pcr == 0 || pcr == 1 || pcr == 7)
		return 1;
	return pcr < 7 ? 2 : 3;
}

static void
put_others(const struct made_log *l, struct span measured, struct blob *b)
{
	for (size_t i = 0; i < l->n_others; i++) {
		uint8_t digest[HASH_LEN_MAX + 1] = { 0 };

		if (l->others[i].alg == MADE_ALG_SHA384)
			assert_int_equal(hash(HASH_SHA384, measured, digest),
			    0);
		put_le(b, l->others[i].alg, 2);
		put(b, digest, l->others[i].len);
	}
}

void
made_log_build(const struct made_log *l, struct blob *ret,
    struct pcr_values *ret_pcrs)
{
	enum hash_alg alg = l->form == LOG_TCG ? HASH_SHA256 : HASH_SHA384;
	size_t len = hash_len(alg);

	blob_clear(ret);
	*ret_pcrs = (struct pcr_values){ .bank = alg };
	put_first(l, ret, alg == HASH_SHA256 ? 0x000b : 0x000c, len);
	for (size_t i = 0; i < l->n; i++) {
		const struct made_event *e = &l->events[i];
		uint32_t mr = register_of(l, e->pcr);
		uint8_t digest[HASH_LEN_MAX];
		uint8_t *v = ret_pcrs->value[mr];
		const struct span both[] = { span(v, len), span(digest, len) };

		const struct span measured = blob_span(
		    e->measured.len > 0 ? &e->measured : &e->data);

		assert_int_equal(hash(alg, measured, digest), 0);
		put_le(ret, mr, 4);
		put_le(ret, e->type, 4);
		put_le(ret, 1 + l->n_others, 4);
		put_others(l, measured, ret);
		put_le(ret, alg == HASH_SHA256 ? 0x000b : 0x000c, 2);
		put(ret, digest, len);
		put_le(ret, e->data.len, 4);
		put(ret, e->data.data, e->data.len);
		if (e->type == EV_NO_ACTION)
			continue;
		assert_int_equal(hash_parts(alg, both, 2, v), 0);
		ret_pcrs->mask |= 1u << mr;
	}
}

void
made_authority(uint8_t out[static SHA256_LEN])
{
	assert_int_equal(hash(HASH_SHA256,
			     span(certificate, sizeof(certificate)), out),
	    0);
}

void
made_boot_order(const struct made_log *l, uint8_t out[static HASH_LEN_MAX])
{
	const struct made_event *e = made_find((struct made_log *)(uintptr_t)l,
	    MADE_BOOT_ORDER);

	assert_int_equal(hash(l->form == LOG_TCG ? HASH_SHA256 : HASH_SHA384,
			     blob_span(&e->data), out),
	    0);
}
