/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The cvm-pkcs11 authors */

/*
 * Azure's paravisor: its report in NV index 0x01400001 is made at boot, and
 * anew whenever the guest has written 64 bytes to 0x01400002.
 */

#include <string.h>

#include "machine.h"

#define REPORT_NV 0x01400001
#define USER_DATA_NV 0x01400002
#define AK_HANDLE 0x81000003
#define USER_DATA_LEN 64
#define NV_LEN 2048 /* libtpms' longest; Azure's has 2600 */
#define HARDWARE_LEN 1184
#define MODULUS_LEN 256

static bool
is_azure(const struct machine *m)
{
	return m->setting[S_CLOUD] == CLOUD_AZURE;
}

static void
put_base64url(struct buf *b, const uint8_t *p, size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789-_";
	uint32_t bits = 0;
	unsigned n = 0;

	for (size_t i = 0; i < len; i++) {
		bits = bits << 8 | p[i];
		for (n += 8; n >= 6; n -= 6)
			buf_u8(b, (uint8_t)digits[bits >> (n - 6) & 63]);
	}
	if (n > 0)
		buf_u8(b, (uint8_t)digits[bits << (6 - n) & 63]);
}

char *
azure_vm_id(const struct machine *m)
{
	const uint8_t *p = m->id.platform_instance;

	return xasprintf("%02X%02X%02X%02X-%02X%02X-%02X%02X-%02X%02X-"
			 "%02X%02X%02X%02X%02X%02X",
	    p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7], p[8], p[9], p[10],
	    p[11], p[12], p[13], p[14], p[15]);
}

/* HCLEkPub, which Azure has as well, has no room here. */
static void
put_runtime(struct machine *m, const uint8_t user_data[USER_DATA_LEN],
    struct buf *b)
{
	const struct buf *public = &m->ak[0].public;
	_cleanup_(freep) char *id = azure_vm_id(m);

	buf_text(b,
	    "{\"keys\":[{\"kid\":\"HCLAkPub\",\"key_ops\":[\"sign\"],"
	    "\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"");
	put_base64url(b, public->p + public->len - MODULUS_LEN, MODULUS_LEN);
	buf_printf(b,
	    "\"}],\"vm-configuration\":{\"console-enabled\":true,"
	    "\"secure-boot\":%s,\"tpm-enabled\":true,\"vmUniqueId\":\"%s\"},"
	    "\"user-data\":\"",
	    m->desc.secure_boot ? "true" : "false", id);
	for (size_t i = 0; i < USER_DATA_LEN; i++)
		buf_printf(b, "%02X", user_data[i]);
	buf_text(b, "\"}");
}

/* Makes the report and stores it; the TPM's lock is held. */
static int
put_report(struct machine *m, const uint8_t user_data[USER_DATA_LEN])
{
	_cleanup_(buf_free) struct buf b = { 0 }, runtime = { 0 };
	_cleanup_(buf_free) struct buf report = { 0 }, certs = { 0 };
	uint8_t report_data[64] = { 0 }, data[USER_DATA_LEN];

	memcpy(data, user_data, sizeof(data));
	if (knobs_take(m->knobs, K_TSM_WRONG_NONCE))
		data[0] ^= 1;
	put_runtime(m, data, &runtime);
	digest("SHA256", runtime.p, runtime.len, report_data);
	amd_report(m, report_data, 0, &report, &certs);
	buf_text(&b, "HCLA");
	buf_le32(&b, 2); /* version */
	buf_le32(&b, (uint32_t)(32 + HARDWARE_LEN + 20 + runtime.len));
	buf_le32(&b, 2); /* request type */
	buf_fill(&b, 0, 16);
	buf_put(&b, report.p, report.len);
	buf_le32(&b, (uint32_t)(20 + runtime.len));
	buf_le32(&b, 1); /* version of the data */
	buf_le32(&b, 2); /* SNP */
	buf_le32(&b, 1); /* SHA-256 */
	buf_le32(&b, (uint32_t)runtime.len);
	buf_put(&b, runtime.p, runtime.len);
	if (b.len > NV_LEN)
		die("the paravisor's report has %zu bytes", b.len);
	buf_fill(&b, 0, NV_LEN - b.len);
	return tpm_nv_put(&m->tpm, REPORT_NV, b.p, b.len);
}

int
azure_boot(struct machine *m)
{
	static const uint8_t nothing[USER_DATA_LEN];

	return is_azure(m) ? put_report(m, nothing) : 0;
}

int
azure_persist_ak(struct machine *m, const struct buf *template)
{
	return is_azure(m) ? tpm_persist(&m->tpm, template, AK_HANDLE) : 0;
}

/* TPM2_NV_Write: authHandle, nvIndex, authorisations, TPM2B data, offset. */
void
azure_see(struct machine *m, const uint8_t *cmd, size_t len,
    const struct buf *rsp)
{
	size_t at;

	if (!is_azure(m) || len < TPM_HEADER + 12 ||
	    get_be32(cmd + 6) != TPM_CC_NV_WRITE ||
	    get_be32(cmd + TPM_HEADER + 4) != USER_DATA_NV ||
	    rsp->len < TPM_HEADER || get_be32(rsp->p + 6) != 0)
		return;
	at = TPM_HEADER + 12 + (size_t)get_be32(cmd + TPM_HEADER + 8);
	if (at + 2 + USER_DATA_LEN + 2 != len ||
	    get_be16(cmd + at) != USER_DATA_LEN ||
	    knobs_take(m->knobs, K_TSM_STALE))
		return;
	if (put_report(m, cmd + at + 2) < 0)
		vlog("the paravisor's report cannot be stored");
	else
		atomic_fetch_add(&m->count.tsm_reports, 1);
}
