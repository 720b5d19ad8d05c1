/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The cvm-pkcs11 authors */

#include "boot.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const struct text_field {
	const char *name;
	size_t offset;
	const char *fallback;
} text_fields[] = {
	{ "shim", offsetof(struct boot_desc, shim), "shim 15.8" },
	{ "grub", offsetof(struct boot_desc, grub), "grub 2.06-13" },
	{ "sbat_level", offsetof(struct boot_desc, sbat_level),
	    "sbat,1,2023012900\nshim,2\ngrub,3\n" },
	{ "grub_cfg", offsetof(struct boot_desc, grub_cfg),
	    "linux and initrd of the virtual CVM\n" },
	{ "kernel_path", offsetof(struct boot_desc, kernel_path),
	    "/boot/vmlinuz-6.12.0-cloud-amd64" },
	{ "kernel", offsetof(struct boot_desc, kernel), "kernel 6.12.0" },
	{ "initrd_path", offsetof(struct boot_desc, initrd_path),
	    "/boot/initrd.img-6.12.0-cloud-amd64" },
	{ "initrd", offsetof(struct boot_desc, initrd), "initrd 6.12.0" },
	{ "cmdline", offsetof(struct boot_desc, cmdline),
	    "root=/dev/mapper/root ro console=ttyS0,115200 "
	    "roothash=4f8b7e2d9c1a06355b7e8d90c2f1a4e3"
	    "6b58d7092c1f4e8a7b6d5c3e2f109a8b" },
};

static const char *const technologies[] = { "none", "sev", "sev-es", "tdx",
	"sev-snp" };

static char **
text_at(struct boot_desc *desc, const struct text_field *field)
{
	return (char **)(void *)((char *)desc + field->offset);
}

void
boot_desc_free(struct boot_desc *desc)
{
	for (size_t i = 0; i < ARRAY_LEN(text_fields); i++)
		freep(text_at(desc, &text_fields[i]));
	for (size_t i = 0; i < desc->n_grub_commands; i++)
		freep(&desc->grub_commands[i]);
	desc->n_grub_commands = 0;
}

static int
set_text(struct boot_desc *desc, const cJSON *item)
{
	for (size_t i = 0; i < ARRAY_LEN(text_fields); i++) {
		char **text = text_at(desc, &text_fields[i]);

		if (strcmp(text_fields[i].name, item->string) != 0)
			continue;
		if (!cJSON_IsString(item))
			return -1;
		free(*text);
		*text = xstrdup(item->valuestring);
		return 0;
	}
	return -1;
}

static int
set_commands(struct boot_desc *desc, const cJSON *list)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, list) {
		if (!cJSON_IsString(item) ||
		    desc->n_grub_commands == BOOT_COMMANDS_MAX)
			return -1;
		desc->grub_commands[desc->n_grub_commands++] = xstrdup(
		    item->valuestring);
	}
	return 0;
}

static int
set_technology(struct boot_desc *desc, const cJSON *item)
{
	if (!cJSON_IsString(item))
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(technologies); i++)
		if (strcmp(item->valuestring, technologies[i]) == 0)
			desc->technology = (int)i;
	return desc->technology < 0 ? -1 : 0;
}

static int
set_field(struct boot_desc *desc, const cJSON *item)
{
	if (strcmp(item->string, "firmware_version") == 0) {
		desc->firmware_version = item->valueint;
		return cJSON_IsNumber(item) ? 0 : -1;
	}
	if (strcmp(item->string, "secure_boot") == 0) {
		desc->secure_boot = cJSON_IsTrue(item);
		return cJSON_IsBool(item) ? 0 : -1;
	}
	if (strcmp(item->string, "technology") == 0)
		return set_technology(desc, item);
	if (strcmp(item->string, "grub_commands") == 0)
		return cJSON_IsArray(item) ? set_commands(desc, item) : -1;
	return set_text(desc, item);
}

static int
set_fields(const char *path, const cJSON *json, struct boot_desc *desc)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, json) {
		if (set_field(desc, item) == 0)
			continue;
		vlog("%s: field %s is unknown or has a wrong value", path,
		    item->string);
		return -1;
	}
	return 0;
}

static int
desc_parse(const char *path, const char *text, struct boot_desc *desc)
{
	cJSON *json = cJSON_Parse(text);
	int r = -1;

	if (cJSON_IsObject(json))
		r = set_fields(path, json, desc);
	else
		vlog("%s: not a JSON object", path);
	cJSON_Delete(json);
	return r;
}

int
boot_desc_read(const char *path, struct boot_desc *ret)
{
	_cleanup_(buf_free) struct buf text = { 0 };
	struct boot_desc desc = { .firmware_version = 2,
		.technology = -1,
		.secure_boot = true };

	for (size_t i = 0; i < ARRAY_LEN(text_fields); i++)
		*text_at(&desc, &text_fields[i]) = xstrdup(
		    text_fields[i].fallback);
	if (path != NULL && file_read(path, &text) < 0) {
		vlog("%s: %s", path, strerror(errno));
		boot_desc_free(&desc);
		return -1;
	}
	if (path != NULL && desc_parse(path, buf_cstr(&text), &desc) < 0) {
		boot_desc_free(&desc);
		return -1;
	}
	*ret = desc;
	return 0;
}
