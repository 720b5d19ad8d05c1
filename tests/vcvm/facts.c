/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The cvm-pkcs11 authors */

/* What the author of a policy needs to know about the machine. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"

void
fact_hex(cJSON *facts, const char *name, const void *p, size_t len)
{
	_cleanup_(freep) char *hex = hex_of(p, len);

	cJSON_AddStringToObject(facts, name, hex);
}

static void
add_pcrs(struct machine *m, cJSON *facts)
{
	cJSON *pcrs = cJSON_AddObjectToObject(facts, "pcrs_sha256");

	pthread_mutex_lock(&m->tpm.lock);
	for (unsigned pcr = 0; m->tpm.fd >= 0 && pcr < TPM_PCRS; pcr++) {
		char name[4];
		uint8_t value[32];

		snprintf(name, sizeof(name), "%u", pcr);
		if (tpm_pcr_read(&m->tpm, pcr, value) == 0)
			fact_hex(pcrs, name, value, sizeof(value));
	}
	pthread_mutex_unlock(&m->tpm.lock);
}

static void
add_aks(struct machine *m, cJSON *facts)
{
	static const char *const names[AKS] = { "ak_rsa", "ak_ecc" };
	cJSON *aks = cJSON_AddObjectToObject(facts, "aks");

	for (size_t i = 0; i < AKS; i++) {
		cJSON *ak = cJSON_AddObjectToObject(aks, names[i]);

		fact_hex(ak, "name", m->ak[i].name, sizeof(m->ak[i].name));
		fact_hex(ak, "public", m->ak[i].public.p, m->ak[i].public.len);
	}
}

static void
add_boot(struct machine *m, cJSON *facts)
{
	cJSON *boot = cJSON_AddObjectToObject(facts, "boot");

	pthread_mutex_lock(&m->boot_lock);
	cJSON_AddNumberToObject(boot, "firmware_version",
	    m->desc.firmware_version);
	cJSON_AddBoolToObject(boot, "secure_boot", m->desc.secure_boot);
	cJSON_AddStringToObject(boot, "kernel_path", m->desc.kernel_path);
	cJSON_AddStringToObject(boot, "cmdline", m->desc.cmdline);
	pthread_mutex_unlock(&m->boot_lock);
}

static void
add_roots(struct machine *m, cJSON *json)
{
	_cleanup_(freep) char *ark = xasprintf("ark-%s",
	    machine_setting(m, S_PRODUCT));
	const struct {
		const char *label, *name;
		bool wanted;
	} roots[] = {
		{ "ark", ark, m->setting[S_PLATFORM] == PLATFORM_SNP },
		{ "sgx_root", "sgx-root",
		    m->setting[S_PLATFORM] == PLATFORM_TDX },
		{ "ak_root", "ak-root", true },
	};

	for (size_t i = 0; i < ARRAY_LEN(roots); i++) {
		_cleanup_(buf_free) struct buf der = { 0 }, spki = { 0 };
		const struct pki_entity *e;
		uint8_t hash[32];
		cJSON *root;

		if (!roots[i].wanted)
			continue;
		e = pki_get(m->pki, false, roots[i].name);
		root = cJSON_AddObjectToObject(json, roots[i].label);
		x509_put_der(&der, e->cert);
		key_put_spki(&spki, e->key);
		digest("SHA256", spki.p, spki.len, hash);
		fact_hex(root, "spki_sha256", hash, sizeof(hash));
		digest("SHA256", der.p, der.len, hash);
		fact_hex(root, "cert_sha256", hash, sizeof(hash));
	}
}

cJSON *
machine_facts(struct machine *m)
{
	cJSON *facts = cJSON_CreateObject();

	cJSON_AddStringToObject(facts, "platform",
	    machine_setting(m, S_PLATFORM));
	cJSON_AddNumberToObject(facts, "vmpl", m->setting[S_VMPL]);
	if (m->setting[S_PLATFORM] == PLATFORM_SNP)
		amd_facts(m, facts);
	if (m->setting[S_PLATFORM] == PLATFORM_TDX)
		intel_facts(m, facts);
	if (m->ek.len > 0)
		fact_hex(facts, "ek_public", m->ek.p, m->ek.len);
	cJSON_AddStringToObject(facts, "cloud", machine_setting(m, S_CLOUD));
	if (m->setting[S_CLOUD] == CLOUD_AZURE) {
		_cleanup_(freep) char *id = azure_vm_id(m);

		cJSON_AddStringToObject(facts, "vm_id", id);
	}
	cJSON_AddStringToObject(facts, "zone", m->id.zone);
	cJSON_AddStringToObject(facts, "project_id", m->id.project_id);
	cJSON_AddStringToObject(facts, "project_number", m->id.project_number);
	cJSON_AddStringToObject(facts, "instance_id", m->id.instance_id);
	cJSON_AddStringToObject(facts, "instance_name", m->id.instance_name);
	add_boot(m, facts);
	add_aks(m, facts);
	add_roots(m, cJSON_AddObjectToObject(facts, "roots"));
	add_pcrs(m, facts);
	return facts;
}

static void
write_json(struct machine *m, const char *name, cJSON *json)
{
	_cleanup_(freep) char *dir = machine_path(m, "pki");
	char *text = cJSON_Print(json);
	_cleanup_(buf_free) struct buf b = { 0 };

	buf_text(&b, text);
	buf_text(&b, "\n");
	put_file(dir, name, &b);
	free(text);
}

void
machine_write_facts(struct machine *m)
{
	cJSON *facts = machine_facts(m);

	write_json(m, "machine.json", facts);
	write_json(m, "roots.json",
	    cJSON_GetObjectItemCaseSensitive(facts, "roots"));
	cJSON_Delete(facts);
}
