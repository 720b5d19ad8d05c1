/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "base/forkid.h"
#include "tests/unit/round-scene.h"

void
round_scene_start(struct round_scene *s, const char *words)
{
	char platform[128];

	forkid_setup();
	*s = (struct round_scene){ 0 };
	(void)snprintf(platform, sizeof(platform), "snp %s", words);
	s->there = machine_start(&s->m, platform);
}

void
round_scene_stop(struct round_scene *s)
{
	config_freep(&s->cfg);
	policy_freep(&s->policy);
	if (s->there)
		machine_stop(&s->m);
}

static cJSON *
facts(const struct round_scene *s)
{
	static char text[1 << 17];
	char path[128];
	cJSON *f;
	FILE *in;

	machine_ctl(&s->m, "facts"); /* writes the file anew */
	(void)snprintf(path, sizeof(path), "%s/pki/machine.json", s->m.dir);
	in = fopen(path, "re");
	assert_non_null(in);
	text[fread(text, 1, sizeof(text) - 1, in)] = '\0';
	(void)fclose(in);
	f = cJSON_Parse(text);
	assert_non_null(f);
	return f;
}

static const char *
word(const cJSON *o, const char *name)
{
	const char *s;

	s = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, name));
	assert_non_null(s);
	return s;
}

static void
put_list(cJSON *o, const char *name, const char *value)
{
	cJSON_AddItemToArray(cJSON_AddArrayToObject(o, name),
	    cJSON_CreateString(value));
}

/* reported_tcb is bootloader, tee, 4 reserved, snp, microcode. */
static void
put_tcb(cJSON *snp, const char *hex)
{
	static const char *const names[] = { "bootloader", "tee", NULL, NULL,
		NULL, NULL, "snp", "microcode" };
	cJSON *o = cJSON_AddObjectToObject(snp, "min_tcb");
	uint8_t tcb[8];

	assert_int_equal(hex_decode(hex, tcb, sizeof(tcb)), 0);
	for (size_t i = 0; i < sizeof(tcb); i++)
		if (names[i] != NULL)
			cJSON_AddNumberToObject(o, names[i], tcb[i]);
}

static void
put_tpm(cJSON *p, const cJSON *f, const struct round_options *o)
{
	static const char *const pcrs[] = { "0", "4", "7", "8", "9", "5" };
	cJSON *tpm = cJSON_AddObjectToObject(p, "tpm"), *set, *values;
	cJSON *ak = cJSON_AddObjectToObject(tpm, "ak"), *names;
	const cJSON *own;

	cJSON_AddStringToObject(ak, "trust", "tee");
	if (!o->no_ak_names) {
		names = cJSON_AddArrayToObject(ak, "names");
		cJSON_ArrayForEach(own, cJSON_GetObjectItem(f, "aks"))
			cJSON_AddItemToArray(names,
			    cJSON_CreateString(word(own, "name")));
	}
	set = cJSON_CreateObject();
	cJSON_AddStringToObject(set, "label", "current");
	values = cJSON_AddObjectToObject(set, "pcrs");
	for (size_t i = 0; i < NELEMS(pcrs) - !o->with_boot_log; i++)
		cJSON_AddStringToObject(values, pcrs[i],
		    word(cJSON_GetObjectItem(f, "pcrs_sha256"), pcrs[i]));
	cJSON_AddItemToArray(cJSON_AddArrayToObject(tpm, "pcr_sets"), set);
}

static void
put_log(cJSON *p, const struct round_options *o)
{
	cJSON *log;

	if (o->no_log)
		return;
	log = cJSON_AddObjectToObject(p, "event_log");
	put_list(log, "technology", "AMD_SEV_SNP");
	cJSON_AddStringToObject(log, "secure_boot", "require");
	if (o->with_boot_log)
		cJSON_AddBoolToObject(log, "exit_boot_services", true);
}

static char *
policy_text(const struct round_scene *s, const struct round_options *o)
{
	cJSON *p = cJSON_CreateObject(), *f = facts(s), *snp;
	const cJSON *roots = cJSON_GetObjectItem(f, "roots");
	char *text;

	cJSON_AddNumberToObject(p, "version", 1);
	cJSON_AddStringToObject(p, "name", "rounds");
	cJSON_AddStringToObject(p, "tee", "snp");
	cJSON_AddNumberToObject(p, "tee_report_max_age_s", o->tee_max_age_s);
	snp = cJSON_AddObjectToObject(p, "snp");
	put_list(snp, "products", "milan");
	put_list(snp, "roots",
	    word(cJSON_GetObjectItem(roots, "ark"), "spki_sha256"));
	put_list(snp, "measurement", word(f, "measurement"));
	cJSON_AddNumberToObject(snp, "vmpl",
	    cJSON_GetObjectItem(f, "vmpl")->valuedouble);
	put_tcb(snp, word(f, "reported_tcb"));
	put_tpm(p, f, o);
	put_log(p, o);
	text = cJSON_Print(p);
	assert_non_null(text);
	cJSON_Delete(f);
	cJSON_Delete(p);
	return text;
}

static char *
config_text(const struct round_scene *s, const struct round_options *o)
{
	const char *dir = s->m.dir;
	char *text = NULL;

	assert_true(
	    asprintf(&text,
		"{\"version\": 1, \"simulated\": true,"
		"\"tpm\": {\"tcti\": \"device:%s/root/dev/tpmrm0\"},"
		"\"evidence\": {"
		"\"tsm\": \"%s/root/sys/kernel/config/tsm/report\","
		"\"event_log\": \"%s/root/sys/kernel/security/tpm0/"
		"binary_bios_measurements\","
		"\"collateral\": \"%s/collateral\","
		"\"timeout_ms\": %u, \"retry_ms\": %u},"
		"\"tokens\": [{\"name\": \"t\", \"store\": \"%s/t.db\","
		"\"policy\": \"%s/p.json\"}]}",
		dir, dir, dir, dir, o->timeout_ms != 0 ? o->timeout_ms : 2000,
		o->retry_ms != 0 ? o->retry_ms : 10, dir, dir) > 0);
	return text;
}

void
round_scene_configure(struct round_scene *s, const struct round_options *o)
{
	_cleanup_(freep) char *policy = policy_text(s, o);
	_cleanup_(freep) char *config = config_text(s, o);
	char sentence[WHY_SENTENCE_MAX];
	struct why why = { 0 };
	int r;

	config_freep(&s->cfg);
	policy_freep(&s->policy);
	r = policy_parse(span(policy, strlen(policy)), "policy", &s->policy,
	    &why);
	if (r == CVM_OK)
		r = config_parse(span(config, strlen(config)), "config",
		    &s->cfg, &why);
	if (r != CVM_OK)
		print_message("# %s\n",
		    why_sentence(&why, sentence, sizeof(sentence)));
	assert_int_equal(r, CVM_OK);
}

unsigned
round_scene_count(const struct round_scene *s, const char *what)
{
	char command[256], line[128], name[64];
	unsigned n = 0, v;
	FILE *in;

	(void)snprintf(command, sizeof(command), "'%s' ctl '%s' counters",
	    getenv("VCVM"), s->m.dir);
	in = popen(command, "re");
	assert_non_null(in);
	while (fgets(line, sizeof(line), in) != NULL)
		if (sscanf(line, "%63s %u", name, &v) == 2 &&
		    strcmp(name, what) == 0)
			n = v;
	assert_int_equal(pclose(in), 0);
	return n;
}

int
round_scene_join(struct rounds *r, bool fresh, struct admission *ret,
    struct why *why)
{
	uint8_t leaf[32];

	memset(why, 0, sizeof(*why));
	if (random_bytes(leaf, sizeof(leaf)) != CVM_OK)
		return CVM_E_CRYPTO;
	return rounds_join(r, span(leaf, sizeof(leaf)), fresh, ret, why);
}
