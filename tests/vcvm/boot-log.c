/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The cvm-pkcs11 authors */

#include "boot.h"

#include <stdlib.h>
#include <string.h>

#include "x509.h"

/* TCG PC Client Platform Firmware Profile, event types. */
enum {
	EV_NO_ACTION = 3,
	EV_SEPARATOR = 4,
	EV_S_CRTM_VERSION = 8,
	EV_PLATFORM_CONFIG_FLAGS = 0xA,
	EV_IPL = 0xD,
	EV_NONHOST_INFO = 0x11,
};
#define EV_EFI_VARIABLE_DRIVER_CONFIG 0x80000001u
#define EV_EFI_VARIABLE_BOOT 0x80000002u
#define EV_EFI_BOOT_SERVICES_APPLICATION 0x80000003u
#define EV_EFI_GPT_EVENT 0x80000006u
#define EV_EFI_ACTION 0x80000007u
#define EV_EFI_PLATFORM_FIRMWARE_BLOB 0x80000008u
#define EV_EFI_PLATFORM_FIRMWARE_BLOB2 0x8000000Au
#define EV_EFI_HANDOFF_TABLES2 0x8000000Bu
#define EV_EFI_VARIABLE_AUTHORITY 0x800000E0u

#define IN_BOTH (IN_TPM | IN_CC)
#define CCEL_SIZE 65536 /* GCE reserves 256 KiB; the rest is 0xFF */

/* EFI GUIDs in their memory layout. */
static const uint8_t guid_global[16] = { 0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93,
	0xd2, 0x11, 0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c };
static const uint8_t guid_security[16] = { 0xcb, 0xb2, 0x19, 0xd7, 0x3a, 0x3d,
	0x96, 0x45, 0xa3, 0xbc, 0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f };
static const uint8_t guid_shim[16] = { 0x50, 0xab, 0x5d, 0x60, 0x46, 0xe0, 0x00,
	0x43, 0xab, 0xb6, 0x3d, 0xd8, 0x10, 0xdd, 0x8b, 0x23 };
static const uint8_t guid_x509[16] = { 0xa1, 0x59, 0xc0, 0xa5, 0xe4, 0x94, 0xa7,
	0x4a, 0x87, 0xb5, 0xab, 0x15, 0x5c, 0x2b, 0xf0, 0x72 };
static const uint8_t guid_sha256[16] = { 0x26, 0x16, 0xc4, 0xc1, 0x4c, 0x50,
	0x92, 0x40, 0xac, 0xa9, 0x41, 0xf9, 0x36, 0x93, 0x43, 0x28 };
static const uint8_t guid_owner[16] = { 0xbd, 0x9a, 0xfa, 0x77, 0x59, 0x03,
	0x32, 0x4d, 0xbd, 0x60, 0x28, 0xf4, 0xe7, 0x8f, 0x78, 0x4b };

/* Takes data; measured NULL measures the data itself. */
static void
event(struct boot_log *log, unsigned where, unsigned pcr, uint32_t type,
    struct buf *data, const struct buf *measured)
{
	struct boot_event *e;

	log->events = realloc(log->events, (log->n + 1) * sizeof(*e));
	if (log->events == NULL)
		die("out of memory");
	e = &log->events[log->n++];
	*e = (struct boot_event){ .where = where,
		.pcr = pcr,
		.type = type,
		.extended = type != EV_NO_ACTION };
	if (measured == NULL)
		measured = data;
	digest("SHA1", measured->p, measured->len, e->sha1);
	digest("SHA256", measured->p, measured->len, e->sha256);
	digest("SHA384", measured->p, measured->len, e->sha384);
	e->data = *data;
	*data = (struct buf){ 0 };
}

/* An event whose data is the text (with its NUL where the type wants it). */
static void
event_text(struct boot_log *log, unsigned where, unsigned pcr, uint32_t type,
    const char *text, const char *measured)
{
	struct buf data = { 0 }, m = { 0 };

	buf_text(&data, text);
	if (type == EV_IPL)
		buf_u8(&data, 0);
	buf_text(&m, measured);
	event(log, where, pcr, type, &data, &m);
	buf_free(&m);
}

/* GRUB measures the text after the prefix, without the NUL. */
static void
event_grub(struct boot_log *log, const char *prefix, const char *text)
{
	_cleanup_(freep) char *line = xasprintf("%s%s", prefix, text);

	event_text(log, IN_BOTH, 8, EV_IPL, line, text);
}

static void
event_file(struct boot_log *log, const char *path, const char *content)
{
	_cleanup_(freep) char *line = xasprintf("(hd0,gpt1)%s", path);

	event_text(log, IN_BOTH, 9, EV_IPL, line, content);
}

static void
separator(struct boot_log *log, unsigned where, unsigned pcr)
{
	struct buf data = { 0 };

	buf_fill(&data, 0, 4);
	event(log, where, pcr, EV_SEPARATOR, &data, NULL);
}

/* UEFI_VARIABLE_DATA. */
static void
event_variable(struct boot_log *log, unsigned pcr, uint32_t type,
    const uint8_t guid[16], const char *name, const struct buf *value)
{
	struct buf data = { 0 };

	buf_put(&data, guid, 16);
	buf_le64(&data, strlen(name));
	buf_le64(&data, value->len);
	buf_utf16(&data, name);
	buf_put(&data, value->p, value->len);
	event(log, IN_BOTH, pcr, type, &data, NULL);
}

/* EFI_SIGNATURE_LIST with one entry. */
static void
put_signature_list(struct buf *b, const uint8_t type[16], const void *p,
    size_t len)
{
	buf_put(b, type, 16);
	buf_le32(b, (uint32_t)(28 + 16 + len));
	buf_le32(b, 0);
	buf_le32(b, (uint32_t)(16 + len));
	buf_put(b, guid_owner, 16);
	buf_put(b, p, len);
}

static void
event_key(struct boot_log *log, const uint8_t guid[16], const char *name,
    const struct buf *cert)
{
	_cleanup_(buf_free) struct buf value = { 0 };

	put_signature_list(&value, guid_x509, cert->p, cert->len);
	event_variable(log, 7, EV_EFI_VARIABLE_DRIVER_CONFIG, guid, name,
	    &value);
}

static void
secure_boot_events(struct boot_log *log, const struct boot_desc *desc,
    const struct boot_keys *keys)
{
	_cleanup_(buf_free) struct buf on = { 0 }, dbx = { 0 };
	static const char *const forbidden[] = { "boothole 1", "boothole 2" };

	buf_u8(&on, desc->secure_boot);
	event_variable(log, 7, EV_EFI_VARIABLE_DRIVER_CONFIG, guid_global,
	    "SecureBoot", &on);
	event_key(log, guid_global, "PK", &keys->pk);
	event_key(log, guid_global, "KEK", &keys->kek);
	event_key(log, guid_security, "db", &keys->db);
	for (size_t i = 0; i < ARRAY_LEN(forbidden); i++) {
		uint8_t sha256[32];

		digest("SHA256", forbidden[i], strlen(forbidden[i]), sha256);
		put_signature_list(&dbx, guid_sha256, sha256, sizeof(sha256));
	}
	event_variable(log, 7, EV_EFI_VARIABLE_DRIVER_CONFIG, guid_security,
	    "dbx", &dbx);
	separator(log, IN_BOTH, 7);
}

static void
firmware_events(struct boot_log *log, const struct boot_desc *desc,
    enum technology technology)
{
	_cleanup_(freep) char *version = xasprintf("GCE Virtual Firmware v%d",
	    desc->firmware_version);
	_cleanup_(freep) char *image = xasprintf("firmware volume v%d",
	    desc->firmware_version);
	struct buf data = { 0 }, measured = { 0 };

	buf_utf16(&data, version);
	buf_le16(&data, 0);
	event(log, IN_TPM, 0, EV_S_CRTM_VERSION, &data, NULL);
	buf_put(&data, "GCE NonHostInfo", 16);
	buf_u8(&data, (uint8_t)technology);
	buf_fill(&data, 0, 15);
	event(log, IN_TPM, 0, EV_NONHOST_INFO, &data, NULL);
	buf_text(&measured, image);
	buf_le64(&data, 0xFF000000);
	buf_le64(&data, 0x00C00000);
	event(log, IN_TPM, 0, EV_EFI_PLATFORM_FIRMWARE_BLOB, &data, &measured);
	/* TDX measures the hand-off block and the variable store instead. */
	buf_u8(&data, 9);
	buf_put(&data, "TdxTable", 9);
	buf_fill(&data, 0, 32);
	event(log, IN_CC, 1, EV_EFI_HANDOFF_TABLES2, &data, NULL);
	buf_u8(&data, 41);
	buf_text(&data, "Fv(48DB5E17-707C-472D-91CD-1613E7EF51B0)");
	buf_fill(&data, 0, 17);
	event(log, IN_CC, 1, EV_EFI_PLATFORM_FIRMWARE_BLOB2, &data, &measured);
	buf_free(&measured);
}

/* A file path node and the end of the device path. */
static void
put_device_path(struct buf *b, const char *path)
{
	buf_u8(b, 4);
	buf_u8(b, 4);
	buf_le16(b, (uint16_t)(4 + 2 * (strlen(path) + 1)));
	buf_utf16(b, path);
	buf_le16(b, 0);
	buf_le32(b, 0x0004FF7F);
}

static void
boot_variable_events(struct boot_log *log)
{
	_cleanup_(buf_free) struct buf order = { 0 }, option = { 0 },
				       path = { 0 };

	for (int i = 0; i < 3; i++)
		event_text(log, IN_BOTH, 1, EV_PLATFORM_CONFIG_FLAGS,
		    "ACPI DATA", "ACPI table of the virtual CVM");
	buf_le16(&order, 1);
	event_variable(log, 1, EV_EFI_VARIABLE_BOOT, guid_global, "BootOrder",
	    &order);
	put_device_path(&path, "\\EFI\\debian\\shimx64.efi");
	buf_le32(&option, 1); /* LOAD_OPTION_ACTIVE */
	buf_le16(&option, (uint16_t)path.len);
	buf_utf16(&option, "debian");
	buf_le16(&option, 0);
	buf_put(&option, path.p, path.len);
	event_variable(log, 1, EV_EFI_VARIABLE_BOOT, guid_global, "Boot0001",
	    &option);
}

/* UEFI_GPT_DATA: the header, and one partition. */
static void
gpt_event(struct boot_log *log)
{
	struct buf data = { 0 };
	uint8_t guid[16];

	digest("MD5", "vcvm disk", 9, guid);
	buf_text(&data, "EFI PART");
	buf_le32(&data, 0x10000);
	buf_le32(&data, 92);
	buf_le64(&data, 0);
	buf_le64(&data, 1);
	buf_le64(&data, 0x013FFFFF);
	buf_le64(&data, 34);
	buf_le64(&data, 0x013FFFDE);
	buf_put(&data, guid, sizeof(guid));
	buf_le64(&data, 2);
	buf_le32(&data, 128);
	buf_le32(&data, 128);
	buf_le32(&data, 0);
	buf_le64(&data, 1); /* number of partitions */
	buf_put(&data, guid_owner, 16);
	buf_put(&data, guid, sizeof(guid));
	buf_le64(&data, 2048);
	buf_le64(&data, 0x013FFFDE);
	buf_le64(&data, 0);
	buf_utf16(&data, "root");
	buf_fill(&data, 0, 72 - 8);
	event(log, IN_BOTH, 5, EV_EFI_GPT_EVENT, &data, NULL);
}

static void
authority_event(struct boot_log *log, const uint8_t guid[16], const char *name,
    const struct buf *cert)
{
	_cleanup_(buf_free) struct buf value = { 0 };

	buf_put(&value, guid_owner, 16);
	buf_put(&value, cert->p, cert->len);
	event_variable(log, 7, EV_EFI_VARIABLE_AUTHORITY, guid, name, &value);
}

/* UEFI_IMAGE_LOAD_EVENT; the digest is the image's, not the data's. */
static void
application_event(struct boot_log *log, const char *path, const char *image)
{
	_cleanup_(buf_free) struct buf dp = { 0 }, measured = { 0 };
	struct buf data = { 0 };

	put_device_path(&dp, path);
	buf_le64(&data, 0xBCB78018);
	buf_le64(&data, 966664);
	buf_le64(&data, 0);
	buf_le64(&data, dp.len);
	buf_put(&data, dp.p, dp.len);
	buf_text(&measured, image);
	event(log, IN_BOTH, 4, EV_EFI_BOOT_SERVICES_APPLICATION, &data,
	    &measured);
}

static void
loader_events(struct boot_log *log, const struct boot_desc *desc,
    const struct boot_keys *keys)
{
	_cleanup_(buf_free) struct buf sbat = { 0 };

	if (desc->secure_boot)
		authority_event(log, guid_security, "db", &keys->db);
	application_event(log, "\\EFI\\debian\\shimx64.efi", desc->shim);
	event_text(log, IN_BOTH, 14, EV_IPL, "MokList", "MokList: empty");
	event_text(log, IN_BOTH, 14, EV_IPL, "MokListX", "MokListX: empty");
	buf_text(&sbat, desc->sbat_level);
	event_variable(log, 7, EV_EFI_VARIABLE_AUTHORITY, guid_shim,
	    "SbatLevel", &sbat);
	event_text(log, IN_BOTH, 14, EV_IPL, "MokListTrusted", "\1");
	if (desc->secure_boot)
		authority_event(log, guid_shim, "Shim", &keys->shim);
	application_event(log, "\\EFI\\debian\\grubx64.efi", desc->grub);
}

static void
grub_events(struct boot_log *log, const struct boot_desc *desc)
{
	_cleanup_(freep) char *linux_line = xasprintf("%s %s",
	    desc->kernel_path, desc->cmdline);
	_cleanup_(freep) char *linux_cmd = xasprintf("linux %s", linux_line);
	_cleanup_(
	    freep) char *initrd_cmd = xasprintf("initrd %s", desc->initrd_path);

	event_file(log, "/boot/grub/grub.cfg", desc->grub_cfg);
	event_grub(log, "grub_cmd: ", "set default=0");
	for (size_t i = 0; i < desc->n_grub_commands; i++)
		event_grub(log, "grub_cmd: ", desc->grub_commands[i]);
	event_grub(log, "grub_cmd: ", linux_cmd);
	event_file(log, desc->kernel_path, desc->kernel);
	event_grub(log, "kernel_cmdline: ", linux_line);
	event_grub(log, "grub_cmd: ", initrd_cmd);
	event_file(log, desc->initrd_path, desc->initrd);
}

static void
put_spec_id(struct buf *b, unsigned index, const uint16_t (*algs)[2], size_t n)
{
	buf_le32(b, index);
	buf_le32(b, EV_NO_ACTION);
	buf_fill(b, 0, 20);
	buf_le32(b, (uint32_t)(29 + 4 * n));
	buf_put(b, "Spec ID Event03", 16);
	buf_le32(b, 0); /* platformClass */
	buf_u8(b, 0);
	buf_u8(b, 2);
	buf_u8(b, 0);
	buf_u8(b, 2); /* uintnSize */
	buf_le32(b, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		buf_le16(b, algs[i][0]);
		buf_le16(b, algs[i][1]);
	}
	buf_u8(b, 0);
}

static void
build_tcg(struct boot_log *log)
{
	static const uint16_t algs[][2] = { { 4, 20 }, { 0xB, 32 },
		{ 0xC, 48 } };
	struct buf *b = &log->tcg;

	put_spec_id(b, 0, algs, ARRAY_LEN(algs));
	for (size_t i = 0; i < log->n; i++) {
		const struct boot_event *e = &log->events[i];

		if (!(e->where & IN_TPM))
			continue;
		buf_le32(b, e->pcr);
		buf_le32(b, e->type);
		buf_le32(b, ARRAY_LEN(algs));
		buf_le16(b, 4);
		buf_put(b, e->sha1, 20);
		buf_le16(b, 0xB);
		buf_put(b, e->sha256, 32);
		buf_le16(b, 0xC);
		buf_put(b, e->sha384, 48);
		buf_le32(b, (uint32_t)e->data.len);
		buf_put(b, e->data.p, e->data.len);
	}
}

/* Intel's mapping of PCRs to measurement registers; RTMRn has index n + 1. */
static unsigned
mr_index(unsigned pcr)
{
	if (pcr == 1 || pcr == 7)
		return 1;
	return pcr >= 2 && pcr <= 6 ? 2 : 3;
}

static void
build_ccel(struct boot_log *log)
{
	static const uint16_t algs[][2] = { { 0xC, 48 } };
	struct buf *b = &log->ccel;

	put_spec_id(b, 1, algs, ARRAY_LEN(algs));
	for (size_t i = 0; i < log->n; i++) {
		const struct boot_event *e = &log->events[i];
		unsigned mr = mr_index(e->pcr);
		uint8_t both[96];

		if (!(e->where & IN_CC))
			continue;
		buf_le32(b, mr);
		buf_le32(b, e->type);
		buf_le32(b, 1);
		buf_le16(b, 0xC);
		buf_put(b, e->sha384, 48);
		buf_le32(b, (uint32_t)e->data.len);
		buf_put(b, e->data.p, e->data.len);
		memcpy(both, log->rtmr[mr - 1], 48);
		memcpy(both + 48, e->sha384, 48);
		digest("SHA384", both, sizeof(both), log->rtmr[mr - 1]);
	}
	if (b->len > CCEL_SIZE)
		die("event log does not fit into the CCEL");
	buf_fill(b, 0xFF, CCEL_SIZE - b->len);
}

static void
build_ccel_table(struct boot_log *log)
{
	struct buf *b = &log->ccel_table;
	uint8_t sum = 0;

	buf_text(b, "CCEL");
	buf_le32(b, 56);
	buf_u8(b, 1);
	buf_u8(b, 0); /* checksum */
	buf_text(b, "INTEL EDK2    ");
	buf_le32(b, 2);
	buf_text(b, "    ");
	buf_le32(b, 0x01000013);
	buf_u8(b, 2); /* CC type: TDX */
	buf_u8(b, 0);
	buf_le16(b, 0);
	buf_le64(b, CCEL_SIZE);
	buf_le64(b, 0xBEDBF000);
	for (size_t i = 0; i < b->len; i++)
		sum = (uint8_t)(sum + b->p[i]);
	b->p[9] = (uint8_t)-sum;
}

void
boot_log_build(const struct boot_desc *desc, enum technology technology,
    const struct boot_keys *keys, struct boot_log *log)
{
	static const char calling[] =
	    "Calling EFI Application from Boot Option";
	static const char invoked[] = "Exit Boot Services Invocation";
	static const char exited[] = "Exit Boot Services Returned with Success";

	*log = (struct boot_log){ 0 };
	firmware_events(log, desc, technology);
	secure_boot_events(log, desc, keys);
	boot_variable_events(log);
	event_text(log, IN_BOTH, 4, EV_EFI_ACTION, calling, calling);
	/* Register 2 folds PCR 2 to 6 and gets one separator. */
	for (unsigned pcr = 0; pcr < 7; pcr++)
		separator(log, pcr == 4 ? IN_BOTH : IN_TPM, pcr);
	gpt_event(log);
	loader_events(log, desc, keys);
	grub_events(log, desc);
	event_text(log, IN_BOTH, 5, EV_EFI_ACTION, invoked, invoked);
	event_text(log, IN_BOTH, 5, EV_EFI_ACTION, exited, exited);
	build_tcg(log);
	build_ccel(log);
	build_ccel_table(log);
}

void
boot_log_free(struct boot_log *log)
{
	for (size_t i = 0; i < log->n; i++)
		buf_free(&log->events[i].data);
	free(log->events);
	buf_free(&log->tcg);
	buf_free(&log->ccel);
	buf_free(&log->ccel_table);
	*log = (struct boot_log){ 0 };
}
