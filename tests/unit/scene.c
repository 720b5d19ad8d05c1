/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "tests/unit/scene.h"

static char *
slurp(const char *path)
{
	FILE *f = fopen(path, "re");
	char *text = calloc(1, 1 << 20);
	size_t n;

	assert_non_null(text);
	if (f == NULL)
		return text;
	n = fread(text, 1, (1 << 20) - 1, f);
	text[n] = '\0';
	(void)fclose(f);
	return text;
}

static void
spill(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static const char *
at(const struct scene *s, const char *name)
{
	static char path[8][192];
	static unsigned i;

	i = (i + 1) % 8;
	(void)snprintf(path[i], sizeof(path[i]), "%s/%s", s->m.dir, name);
	return path[i];
}

void
scene_start(struct scene *s)
{
	int fd;

	*s = (struct scene){ 0 };
	s->there = machine_start(&s->m, "snp");
	if (!s->there)
		return;
	(void)snprintf(s->config, sizeof(s->config), "%s",
	    at(s, "config.json"));
	(void)snprintf(s->caught, sizeof(s->caught), "%s", at(s, "stderr"));
	fd = open(s->caught, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	s->stderr_fd = dup(STDERR_FILENO);
	assert_true(s->stderr_fd >= 0);
	assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	(void)close(fd);
}

/* What was caught, passed on: messages of assertions are there, too. */
static bool
pass_on(struct scene *s)
{
	_cleanup_(freep) char *text = slurp(s->caught);

	if (text[0] == '\0')
		return false;
	assert_true(write(s->stderr_fd, text, strlen(text)) > 0);
	assert_int_equal(truncate(s->caught, 0), 0);
	return true;
}

void
scene_forget_stderr(struct scene *s)
{
	(void)pass_on(s);
}

void
scene_silent(struct scene *s)
{
	assert_false(pass_on(s));
}

/* SCENE_LOG names a file that the module's last log is copied to. */
void
scene_stop(struct scene *s)
{
	const char *keep = getenv("SCENE_LOG");
	_cleanup_(freep) char *log = NULL;

	(void)C_Finalize(NULL);
	if (!s->there)
		return;
	if (keep != NULL) {
		log = slurp(at(s, "log.txt"));
		spill(keep, log);
	}
	(void)pass_on(s);
	(void)dup2(s->stderr_fd, STDERR_FILENO);
	(void)close(s->stderr_fd);
	freep(&s->sealed_under);
	machine_stop(&s->m);
}

static const cJSON *
get(const cJSON *o, const char *name)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, name);

	assert_non_null(v);
	return v;
}

static void
put_list(cJSON *o, const char *name, const char *value)
{
	cJSON_AddItemToArray(cJSON_AddArrayToObject(o, name),
	    cJSON_CreateString(value));
}

/* reported_tcb is hexadecimal: bootloader, tee, 4 reserved, snp, microcode. */
static void
put_tcb(cJSON *snp, const char *tcb)
{
	static const struct {
		const char *name;
		size_t at;
	} parts[] = { { "bootloader", 0 }, { "tee", 2 }, { "snp", 12 },
		{ "microcode", 14 } };
	cJSON *o = cJSON_AddObjectToObject(snp, "min_tcb");

	for (size_t i = 0; i < NELEMS(parts); i++) {
		char hex[3] = { tcb[parts[i].at], tcb[parts[i].at + 1], 0 };
		int value = (int)strtol(hex, NULL, 16);

		cJSON_AddNumberToObject(o, parts[i].name, value);
	}
}

static void
put_pcrs(cJSON *tpm, const cJSON *facts)
{
	static const char *const pcrs[] = { "0", "4", "7", "8", "9" };
	cJSON *set = cJSON_CreateObject(), *values;

	cJSON_AddStringToObject(set, "label", "current");
	values = cJSON_AddObjectToObject(set, "pcrs");
	for (size_t i = 0; i < NELEMS(pcrs); i++)
		cJSON_AddStringToObject(values, pcrs[i],
		    get(get(facts, "pcrs_sha256"), pcrs[i])->valuestring);
	cJSON_AddItemToArray(cJSON_AddArrayToObject(tpm, "pcr_sets"), set);
}

static char *
policy_text(const cJSON *facts, const struct scene_options *o)
{
	cJSON *p = cJSON_CreateObject(), *snp, *tpm;
	char *text;

	cJSON_AddNumberToObject(p, "version", 1);
	cJSON_AddStringToObject(p, "name", "scene");
	cJSON_AddStringToObject(p, "tee", "snp");
	cJSON_AddStringToObject(p, "bind", o->bind ? o->bind : "session");
	cJSON_AddNumberToObject(p, "session_max_age_s",
	    o->max_age_s != 0 ? o->max_age_s : 300);
	cJSON_AddNumberToObject(p, "session_open_max_age_s", o->open_max_age_s);
	cJSON_AddNumberToObject(p, "tee_report_max_age_s", o->tee_max_age_s);
	if (o->older_collateral != NULL)
		cJSON_AddStringToObject(p, "older_collateral",
		    o->older_collateral);
	snp = cJSON_AddObjectToObject(p, "snp");
	put_list(snp, "products", "milan");
	put_list(snp, "roots",
	    get(get(get(facts, "roots"), "ark"), "spki_sha256")->valuestring);
	put_list(snp, "measurement", get(facts, "measurement")->valuestring);
	put_list(snp, "signing_keys", "vcek");
	put_tcb(snp, get(facts, "reported_tcb")->valuestring);
	tpm = cJSON_AddObjectToObject(p, "tpm");
	cJSON_AddStringToObject(cJSON_AddObjectToObject(tpm, "ak"), "trust",
	    "tee");
	cJSON_AddStringToObject(tpm, "bank", "sha256");
	put_pcrs(tpm, facts);
	text = cJSON_Print(p);
	cJSON_Delete(p);
	assert_non_null(text);
	return text;
}

static cJSON *
token_config(struct scene *s, const struct scene_options *o)
{
	cJSON *t = cJSON_CreateObject(), *receipts;

	cJSON_AddStringToObject(t, "name", "web");
	cJSON_AddStringToObject(t, "store", at(s, "web.db"));
	cJSON_AddStringToObject(t, "policy", at(s, "policy.json"));
	cJSON_AddStringToObject(t, "login", o->login ? o->login : "pin");
	cJSON_AddStringToObject(t, "on_denial",
	    o->on_denial ? o->on_denial : "hide");
	cJSON_AddBoolToObject(t, "init_token", !o->no_init_token);
	if (o->pin_file != NULL)
		cJSON_AddStringToObject(t, "pin_file", o->pin_file);
	if (o->receipts != NULL) {
		receipts = cJSON_AddObjectToObject(t, "receipts");
		cJSON_AddStringToObject(receipts, "log", o->receipts);
		cJSON_AddStringToObject(receipts, "path",
		    at(s, "web.receipts"));
	}
	return t;
}

static char *
config_text(struct scene *s, const struct scene_options *o)
{
	cJSON *c = cJSON_CreateObject(), *part;
	char tcti[256];
	char *text;

	cJSON_AddNumberToObject(c, "version", 1);
	cJSON_AddBoolToObject(c, "simulated", true);
	(void)snprintf(tcti, sizeof(tcti), "device:%s",
	    machine_path(&s->m, "dev/tpmrm0"));
	part = cJSON_AddObjectToObject(c, "tpm");
	cJSON_AddStringToObject(part, "tcti", o->tcti ? o->tcti : tcti);
	part = cJSON_AddObjectToObject(c, "evidence");
	cJSON_AddStringToObject(part, "tsm",
	    machine_path(&s->m, "sys/kernel/config/tsm/report"));
	cJSON_AddStringToObject(part, "event_log",
	    machine_path(&s->m,
		"sys/kernel/security/tpm0/binary_bios_measurements"));
	cJSON_AddStringToObject(part, "collateral", at(s, "collateral"));
	cJSON_AddNumberToObject(part, "timeout_ms", 2000);
	cJSON_AddNumberToObject(part, "retry_ms",
	    o->retry_ms != 0 ? o->retry_ms : 10);
	part = cJSON_AddObjectToObject(c, "log");
	cJSON_AddStringToObject(part, "target", "file");
	cJSON_AddStringToObject(part, "level", "debug");
	cJSON_AddStringToObject(part, "path", at(s, "log.txt"));
	cJSON_AddItemToArray(cJSON_AddArrayToObject(c, "tokens"),
	    token_config(s, o));
	text = cJSON_Print(c);
	cJSON_Delete(c);
	assert_non_null(text);
	return text;
}

void
scene_configure(struct scene *s, const struct scene_options *o)
{
	_cleanup_(freep) char *json = slurp(at(s, "pki/machine.json"));
	cJSON *facts = cJSON_Parse(json);
	_cleanup_(freep) char *policy = NULL;
	_cleanup_(freep) char *config = config_text(s, o);

	assert_non_null(facts);
	policy = policy_text(facts, o);
	cJSON_Delete(facts);
	spill(at(s, "policy.json"), o->policy != NULL ? o->policy : policy);
	spill(s->config, config);
	assert_int_equal(setenv("CVM_PKCS11_CONF", s->config, 1), 0);
	(void)unlink(at(s, "log.txt"));
}

bool
scene_logged(const struct scene *s, const char *text)
{
	_cleanup_(freep) char *log = slurp(at(s, "log.txt"));

	return strstr(log, text) != NULL;
}

CK_SLOT_ID
the_slot(void)
{
	CK_SLOT_ID id = 0;
	CK_ULONG n = 1;

	assert_ok(C_GetSlotList(CK_FALSE, &id, &n));
	assert_int_equal(n, 1);
	return id;
}

CK_SESSION_HANDLE
open_session(CK_FLAGS flags)
{
	CK_SESSION_HANDLE h = 0;

	assert_ok(C_OpenSession(the_slot(), flags, NULL, NULL, &h));
	assert_int_not_equal(h, 0);
	return h;
}

void
login(CK_SESSION_HANDLE s)
{
	CK_UTF8CHAR pin[] = USER_PIN;
	CK_RV rv = C_Login(s, CKU_USER, pin, sizeof(pin) - 1);

	if (rv != CKR_USER_ALREADY_LOGGED_IN)
		assert_ok(rv);
}

CK_OBJECT_HANDLE
find(CK_SESSION_HANDLE s, CK_OBJECT_CLASS class, const char *label)
{
	char copy[64];
	CK_ATTRIBUTE t[] = { { CKA_CLASS, &class, sizeof(class) },
		{ CKA_LABEL, copy, strlen(label) } };
	CK_OBJECT_HANDLE h = CK_INVALID_HANDLE;
	CK_ULONG n = 0;

	(void)snprintf(copy, sizeof(copy), "%s", label);
	assert_ok(C_FindObjectsInit(s, t, 2));
	assert_ok(C_FindObjects(s, &h, 1, &n));
	assert_ok(C_FindObjectsFinal(s));
	return n == 1 ? h : CK_INVALID_HANDLE;
}

static CK_BBOOL yes = CK_TRUE;
#define FLAG(type)                                                             \
	{                                                                      \
		(type), &yes, sizeof(yes)                                      \
	}

static void
make_pair(CK_SESSION_HANDLE s, CK_MECHANISM_TYPE mech, const char *label,
    CK_ATTRIBUTE kind)
{
	char name[32];
	CK_ATTRIBUTE pub[] = { kind, FLAG(CKA_TOKEN), FLAG(CKA_VERIFY),
		{ CKA_LABEL, name, strlen(label) } };
	CK_ATTRIBUTE priv[] = { FLAG(CKA_TOKEN), FLAG(CKA_SIGN),
		{ CKA_LABEL, name, strlen(label) },
		FLAG(mech == CKM_EC_KEY_PAIR_GEN ? CKA_DERIVE : CKA_DECRYPT) };
	CK_OBJECT_HANDLE a, b;
	CK_RV rv = CKR_FUNCTION_FAILED;

	(void)snprintf(name, sizeof(name), "%s", label);
	/* On a busy machine RSA takes longer than a short admission lasts. */
	for (int i = 0; i < 40 && rv != CKR_OK; i++)
		rv = C_GenerateKeyPair(s, MECH(mech), pub, NELEMS(pub), priv,
		    NELEMS(priv), &a, &b);
	assert_ok(rv);
}

static void
make_secret(CK_SESSION_HANDLE s, CK_MECHANISM_TYPE mech, const char *label)
{
	CK_ULONG len = 32;
	char name[32];
	CK_ATTRIBUTE aes[] = { { CKA_VALUE_LEN, &len, sizeof(len) },
		{ CKA_LABEL, name, strlen(label) }, FLAG(CKA_TOKEN),
		FLAG(CKA_SIGN), FLAG(CKA_VERIFY), FLAG(CKA_ENCRYPT),
		FLAG(CKA_DECRYPT), FLAG(CKA_WRAP), FLAG(CKA_UNWRAP),
		FLAG(CKA_EXTRACTABLE) };
	CK_OBJECT_HANDLE h;

	(void)snprintf(name, sizeof(name), "%s", label);
	assert_ok(C_GenerateKey(s, MECH(mech), aes, NELEMS(aes), &h));
}

static void
make_keys(CK_SESSION_HANDLE s)
{
	/* prime256v1, an OBJECT IDENTIFIER in DER */
	CK_BYTE p256[] = { 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01,
		0x07 };
	CK_ULONG bits = 2048;

	make_pair(s, CKM_EC_KEY_PAIR_GEN, "ec",
	    (CK_ATTRIBUTE){ CKA_EC_PARAMS, p256, sizeof(p256) });
	make_pair(s, CKM_RSA_PKCS_KEY_PAIR_GEN, "rsa",
	    (CK_ATTRIBUTE){ CKA_MODULUS_BITS, &bits, sizeof(bits) });
	make_secret(s, CKM_AES_KEY_GEN, "aes");
	make_secret(s, CKM_GENERIC_SECRET_KEY_GEN, "mac");
}

static void
make_token(struct scene *s, const struct scene_options *o)
{
	CK_UTF8CHAR so[] = SO_PIN, pin[] = USER_PIN, label[32];
	CK_SESSION_HANDLE h;

	(void)unlink(at(s, "web.db"));
	memset(label, ' ', sizeof(label));
	memcpy(label, "web", 3);
	assert_ok(C_Initialize(NULL));
	assert_ok(C_InitToken(the_slot(), so, sizeof(so) - 1, label));
	h = open_session(RW);
	if (o->login == NULL || strcmp(o->login, "pin") == 0) {
		assert_ok(C_Login(h, CKU_SO, so, sizeof(so) - 1));
		assert_ok(C_InitPIN(h, pin, sizeof(pin) - 1));
		assert_ok(C_Logout(h));
		login(h);
	}
	make_keys(h);
	assert_ok(C_Finalize(NULL));
}

void
scene_prepare(struct scene *s, const struct scene_options *o)
{
	bool attested = o->login != NULL && strcmp(o->login, "pin") != 0;
	_cleanup_(freep) char *policy = NULL;

	scene_configure(s, o);
	policy = slurp(at(s, "policy.json"));
	if (s->sealed_under != NULL && s->attested == attested &&
	    strcmp(s->sealed_under, policy) == 0)
		return;
	freep(&s->sealed_under);
	s->sealed_under = TAKE_PTR(policy);
	s->attested = attested;
	make_token(s, o);
}

/* Any round notices; a session open is one. */
void
scene_deny(struct scene *s)
{
	CK_SESSION_HANDLE h = CK_INVALID_HANDLE;

	machine_ctl(&s->m, "set debug on");
	if (C_OpenSession(the_slot(), RO, NULL, NULL, &h) == CKR_OK)
		assert_ok(C_CloseSession(h));
}

void
scene_allow(struct scene *s)
{
	machine_reset(&s->m);
	usleep(20000); /* retry_ms */
}
