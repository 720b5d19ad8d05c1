/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The cvm-pkcs11 authors */

#include "machine.h"

#include <errno.h>
#include <openssl/rand.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The first choice is the default. */
const struct setting_row setting_rows[SETTINGS] = {
	[S_PLATFORM] = { "platform", { "snp", "tdx", "sev", "none" },
	    "confidential computing technology" },
	[S_REPORT_VERSION] = { "report-version", { "3", "2", "5" },
	    "version of SNP reports" },
	[S_ENDORSER] = { "endorser", { "vcek", "vlek" },
	    "key that signs SNP reports" },
	[S_PRODUCT] = { "product", { "milan", "genoa", "turin" },
	    "AMD product line" },
	[S_QUOTE_VERSION] = { "quote-version", { "4", "5" },
	    "version of TDX quotes" },
	[S_QUOTE_BODY] = { "quote-body", { "1.5", "1.0" },
	    "TD report in quotes of version 5" },
	[S_PCK_CA] = { "pck-ca", { "platform", "processor" },
	    "issuer of the PCK certificate" },
	[S_VMPL] = { "vmpl", { "0", "1", "2", "3" },
	    "privilege level of the guest; above 0 there is an SVSM" },
	[S_CLOUD] = { "cloud", { "gce", "azure" },
	    "whose paravisor and keys; azure is for snp" },
};

static const struct hex_field {
	const char *name;
	size_t offset, len;
	const char *fixed; /* NULL: random */
} hex_fields[] = {
#define FIELD(f, fixed)                                                        \
	{                                                                      \
#f, offsetof(struct identity, f),                              \
		    sizeof(((struct identity *)0)->f), fixed                   \
	}
	FIELD(chip_id, NULL),
	FIELD(other_chip_id, NULL),
	FIELD(host_data, NULL),
	FIELD(family_id, "f73a6949e8f3473b9553e40e056fa3a2"),
	FIELD(image_id, "00000000000000000000000000000000"),
	FIELD(ppid, NULL),
	FIELD(platform_instance, NULL),
	FIELD(fmspc, "00806f050000"),
#undef FIELD
};

static const struct text_field {
	const char *name;
	size_t offset;
} text_fields[] = {
	{ "zone", offsetof(struct identity, zone) },
	{ "project_id", offsetof(struct identity, project_id) },
	{ "project_number", offsetof(struct identity, project_number) },
	{ "instance_id", offsetof(struct identity, instance_id) },
	{ "instance_name", offsetof(struct identity, instance_name) },
};

static uint8_t *
hex_at(struct identity *id, const struct hex_field *f)
{
	return (uint8_t *)id + f->offset;
}

static char **
text_at(struct identity *id, const struct text_field *f)
{
	return (char **)(void *)((uint8_t *)id + f->offset);
}

char *
machine_path(const struct machine *m, const char *name)
{
	return xasprintf("%s/%s", m->dir, name);
}

const char *
machine_setting(const struct machine *m, enum setting s)
{
	return setting_rows[s].choices[m->setting[s]];
}

static void
random_bytes(void *p, size_t len)
{
	if (RAND_bytes(p, (int)len) != 1)
		die("no random numbers");
}

static void
new_identity(struct identity *id)
{
	uint64_t n[2];

	for (size_t i = 0; i < ARRAY_LEN(hex_fields); i++) {
		const struct hex_field *f = &hex_fields[i];

		if (f->fixed != NULL)
			hex_to(f->fixed, hex_at(id, f), f->len);
		else
			random_bytes(hex_at(id, f), f->len);
	}
	random_bytes(n, sizeof(n));
	id->zone = xstrdup("us-central1-a");
	id->project_id = xstrdup("vcvm-test-project");
	id->project_number = xasprintf("%llu",
	    (unsigned long long)(n[0] % 900000000000u + 100000000000u));
	id->instance_id = xasprintf("%llu", (unsigned long long)(n[1] >> 1));
	id->instance_name = xasprintf("vcvm-%04x", (unsigned)(n[0] & 0xFFFF));
}

/* On Turin only the first eight bytes of CHIP_ID are used. */
static void
fit_identity(struct machine *m)
{
	if (m->setting[S_PRODUCT] != PRODUCT_TURIN)
		return;
	memset(m->id.chip_id + 8, 0, 56);
	memset(m->id.other_chip_id + 8, 0, 56);
}

static int
parse_setting(enum setting s, const char *value, unsigned *ret)
{
	for (unsigned i = 0; i < 5 && setting_rows[s].choices[i]; i++) {
		if (strcmp(setting_rows[s].choices[i], value) != 0)
			continue;
		*ret = i;
		return 0;
	}
	return -1;
}

static const char *
member(const cJSON *json, const char *name, const char *path)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, name);

	if (!cJSON_IsString(item))
		die("%s: %s is missing", path, name);
	return item->valuestring;
}

static void
load_state(struct machine *m, const char *path, const char *text)
{
	cJSON *json = cJSON_Parse(text);

	for (enum setting s = 0; s < SETTINGS; s++) {
		const char *v = member(json, setting_rows[s].name, path);

		if (parse_setting(s, v, &m->setting[s]) < 0)
			die("%s: %s", path, setting_rows[s].name);
	}
	for (size_t i = 0; i < ARRAY_LEN(hex_fields); i++) {
		const struct hex_field *f = &hex_fields[i];

		if (hex_to(member(json, f->name, path), hex_at(&m->id, f),
			f->len) < 0)
			die("%s: %s", path, f->name);
	}
	for (size_t i = 0; i < ARRAY_LEN(text_fields); i++)
		*text_at(&m->id, &text_fields[i]) = xstrdup(
		    member(json, text_fields[i].name, path));
	cJSON_Delete(json);
}

static void
save_state(struct machine *m, const char *path)
{
	cJSON *json = cJSON_CreateObject();
	char *text;

	for (enum setting s = 0; s < SETTINGS; s++)
		cJSON_AddStringToObject(json, setting_rows[s].name,
		    machine_setting(m, s));
	for (size_t i = 0; i < ARRAY_LEN(hex_fields); i++)
		fact_hex(json, hex_fields[i].name,
		    hex_at(&m->id, &hex_fields[i]), hex_fields[i].len);
	for (size_t i = 0; i < ARRAY_LEN(text_fields); i++)
		cJSON_AddStringToObject(json, text_fields[i].name,
		    *text_at(&m->id, &text_fields[i]));
	text = cJSON_Print(json);
	if (file_write(path, text, strlen(text), 0600) < 0)
		die("%s: %s", path, strerror(errno));
	free(text);
	cJSON_Delete(json);
}

static void
make_dirs(const struct machine *m)
{
	static const char *const dirs[] = { "root", "collateral" };

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		_cleanup_(freep) char *path = machine_path(m, dirs[i]);

		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			die("%s: %s", path, strerror(errno));
	}
}

static void
apply_settings(struct machine *m, const char *const *given)
{
	for (enum setting s = 0; s < SETTINGS; s++)
		if (given[s] != NULL &&
		    parse_setting(s, given[s], &m->setting[s]) < 0)
			die("--%s: no such choice: %s", setting_rows[s].name,
			    given[s]);
	if (m->setting[S_CLOUD] == CLOUD_AZURE &&
	    m->setting[S_PLATFORM] != PLATFORM_SNP)
		die("--cloud azure is for --platform snp");
}

struct machine *
machine_open(const char *dir, const char *const *given, const char *shared)
{
	struct machine *m = xcalloc(1, sizeof(*m));
	_cleanup_(freep) char *state = NULL;
	_cleanup_(freep) char *swtpm = NULL;
	_cleanup_(freep) char *pki = NULL;
	_cleanup_(buf_free) struct buf text = { 0 };

	m->dir = xstrdup(dir);
	state = machine_path(m, "state/machine.json");
	swtpm = machine_path(m, "state");
	pki = machine_path(m, "pki");
	make_dirs(m);
	if (file_read(state, &text) == 0)
		load_state(m, state, buf_cstr(&text));
	else
		new_identity(&m->id);
	apply_settings(m, given);
	fit_identity(m);
	save_state(m, state);
	pthread_mutex_init(&m->boot_lock, NULL);
	m->knobs = knobs_new();
	m->pki = pki_open(pki, shared);
	tpm_init(&m->tpm, swtpm);
	return m;
}

enum technology
machine_technology(const struct machine *m)
{
	static const enum technology technologies[] = {
		[PLATFORM_SNP] = TECH_SEV_SNP,
		[PLATFORM_TDX] = TECH_TDX,
		[PLATFORM_SEV] = TECH_SEV,
		[PLATFORM_NONE] = TECH_NONE
	};

	return technologies[m->setting[S_PLATFORM]];
}

void
machine_log_boot(struct machine *m)
{
	struct boot_keys keys = { 0 };
	enum technology technology = machine_technology(m);

	x509_put_der(&keys.pk, pki_get(m->pki, false, "uefi-pk")->cert);
	x509_put_der(&keys.kek, pki_get(m->pki, false, "uefi-kek")->cert);
	x509_put_der(&keys.db, pki_get(m->pki, false, "uefi-db")->cert);
	x509_put_der(&keys.shim, pki_get(m->pki, false, "uefi-shim")->cert);
	if (m->desc.technology >= 0)
		technology = (enum technology)m->desc.technology;
	pthread_mutex_lock(&m->boot_lock);
	boot_log_free(&m->log);
	boot_log_build(&m->desc, technology, &keys, &m->log);
	random_bytes(m->report_id, sizeof(m->report_id));
	pthread_mutex_unlock(&m->boot_lock);
	buf_free(&keys.pk);
	buf_free(&keys.kek);
	buf_free(&keys.db);
	buf_free(&keys.shim);
}

void
collateral_window(struct machine *m, time_t *ret_from, time_t *ret_to)
{
	static const long shifts[] = { [COLLATERAL_CURRENT] = -1,
		[COLLATERAL_EXPIRED] = -60,
		[COLLATERAL_FUTURE] = 2 };
	long from = shifts[knobs_get(m->knobs, K_COLLATERAL)];

	*ret_from = time(NULL) + from * DAY;
	*ret_to = *ret_from + 30 * DAY;
}

static void
make_parents(char *path)
{
	for (char *at = strchr(path + 1, '/'); at; at = strchr(at + 1, '/')) {
		*at = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			die("%s: %s", path, strerror(errno));
		*at = '/';
	}
}

void
put_file(const char *dir, const char *name, const struct buf *b)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", dir, name);

	make_parents(path);
	if (file_write(path, b->p, b->len, 0644) < 0)
		die("%s: %s", path, strerror(errno));
}

void
machine_write_collateral(struct machine *m)
{
	_cleanup_(freep) char *dir = machine_path(m, "collateral");

	if (m->setting[S_PLATFORM] == PLATFORM_SNP)
		amd_collateral(m, dir);
	if (m->setting[S_PLATFORM] == PLATFORM_TDX)
		intel_collateral(m, dir);
	google_collateral(m, dir);
}

void
machine_prepare_foreign(struct machine *m)
{
	static const uint8_t nothing[64] = { 0 };
	struct buf report = { 0 }, certs = { 0 };

	if (knobs_get(m->knobs, K_ROOT) != ROOT_FOREIGN)
		return;
	if (m->setting[S_PLATFORM] == PLATFORM_SNP)
		amd_report(m, nothing, 0, &report, &certs);
	if (m->setting[S_PLATFORM] == PLATFORM_TDX)
		intel_quote(m, nothing, &report);
	buf_free(&report);
	buf_free(&certs);
}
