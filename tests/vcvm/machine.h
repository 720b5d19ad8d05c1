/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The cvm-pkcs11 authors */

#ifndef VCVM_MACHINE_H
#define VCVM_MACHINE_H

#include <cjson/cJSON.h>
#include <pthread.h>
#include <stdatomic.h>

#include "boot.h"
#include "knobs.h"
#include "pki.h"
#include "tpm.h"

/* What a machine is made as; kept in state/machine.json. */
enum setting {
	S_PLATFORM,
	S_REPORT_VERSION,
	S_ENDORSER,
	S_PRODUCT,
	S_QUOTE_VERSION,
	S_QUOTE_BODY,
	S_PCK_CA,
	S_VMPL,
	S_CLOUD,
	SETTINGS
};
enum { PLATFORM_SNP, PLATFORM_TDX, PLATFORM_SEV, PLATFORM_NONE };
enum { REPORT_V3, REPORT_V2, REPORT_V5 };
enum { ENDORSER_VCEK, ENDORSER_VLEK };
enum { PRODUCT_MILAN, PRODUCT_GENOA, PRODUCT_TURIN };
enum { QUOTE_V4, QUOTE_V5 };
enum { BODY_TD15, BODY_TD10 };
enum { PCK_PLATFORM, PCK_PROCESSOR };
enum { CLOUD_GCE, CLOUD_AZURE };

/* Who the hardware and the instance are; drawn at random once. */
struct identity {
	uint8_t chip_id[64], other_chip_id[64];
	uint8_t host_data[32], family_id[16], image_id[16];
	uint8_t ppid[16], platform_instance[16], fmspc[6];
	char *zone, *project_id, *instance_name;
	char *project_number, *instance_id; /* decimal: above 2^53 */
};

#define AKS 2
struct ak {
	struct buf public; /* TPMT_PUBLIC */
	uint8_t name[34];
};

#define TPM_CC_MAX 0x200
struct counters {
	atomic_ulong tpm_command[TPM_CC_MAX];
	atomic_ulong tpm_commands, tpm_opens;
	atomic_ulong tsm_mkdirs, tsm_reports, tsm_errors;
};

struct machine {
	char *dir;
	unsigned setting[SETTINGS];
	struct identity id;
	struct knobs *knobs;
	struct pki *pki;
	struct tpm tpm;
	struct counters count;

	pthread_mutex_t boot_lock; /* what follows */
	struct boot_desc desc;
	struct boot_log log;
	uint8_t report_id[32]; /* random per launch */
	struct ak ak[AKS];
	struct buf ek; /* TPMT_PUBLIC of the endorsement key, RSA */
};

/* In machine.c: the state directory. Failures end the program. */
struct setting_row {
	const char *name;
	const char *choices[5];
	const char *help;
};
extern const struct setting_row setting_rows[SETTINGS];
/* Creates or opens DIR; given[i] NULL keeps what the machine already is. */
struct machine *machine_open(const char *dir, const char *const *given,
    const char *shared_pki);
char *machine_path(const struct machine *m, const char *name);
const char *machine_setting(const struct machine *m, enum setting s);
enum technology machine_technology(const struct machine *m);
/* Boot keys and the event log of the current description. */
void machine_log_boot(struct machine *m);
/* Writes pki/roots.json and collateral/. */
void machine_write_collateral(struct machine *m);
/* Makes the other vendor's hierarchy, if it is wanted. */
void machine_prepare_foreign(struct machine *m);
void put_file(const char *dir, const char *name, const struct buf *b);

/* In power.c: boot and power cut. 0 or negative errno. */
int machine_power_on(struct machine *m);
/* A TPM that was killed comes back, as after a reboot of the machine. */
int machine_reboot(struct machine *m, bool orderly);
int machine_write_aks(struct machine *m);
/* Extends one PCR of all banks with the digest of the text. */
int machine_pcr_extend(struct machine *m, unsigned pcr, const char *text);

/* In facts.c. */
cJSON *machine_facts(struct machine *m);
void machine_write_facts(struct machine *m);

/* In amd.c. vmpl is what the reader asked for. */
void amd_report(struct machine *m, const uint8_t report_data[64], unsigned vmpl,
    struct buf *ret_report, struct buf *ret_certs);
void amd_collateral(struct machine *m, const char *dir);
void amd_facts(struct machine *m, cJSON *facts);

/* In intel.c and intel-collateral.c. */
void intel_quote(struct machine *m, const uint8_t report_data[64],
    struct buf *ret_quote);
void intel_collateral(struct machine *m, const char *dir);
void intel_facts(struct machine *m, cJSON *facts);
/* Component SVNs of the platform: SGX 0-15, PCESVN, TDX 0-15. */
struct intel_tcb {
	uint8_t sgx[16];
	uint16_t pcesvn;
	uint8_t tdx[16];
};
extern const struct intel_tcb intel_tcbs[2];
extern const uint8_t td_qe_mrsigner[32];
const struct pki_entity *intel_pck(struct machine *m, bool foreign, long tcb);

/* In azure.c: nothing, unless the machine is Azure's. With the TPM's lock. */
int azure_boot(struct machine *m);
int azure_persist_ak(struct machine *m, const struct buf *template);
/* A command that a guest sent, and the TPM's response. */
void azure_see(struct machine *m, const uint8_t *cmd, size_t len,
    const struct buf *rsp);
/* vmUniqueId; the caller frees. */
char *azure_vm_id(const struct machine *m);

/* In google.c: the certificate that GCE's CA gives an attestation key. */
void google_ak_cert(struct machine *m, const struct buf *spki, bool other,
    struct buf *ret_der);
void google_collateral(struct machine *m, const char *dir);

/* Validity of what is published, by the knob "collateral". */
void collateral_window(struct machine *m, time_t *ret_from, time_t *ret_to);

void fact_hex(cJSON *facts, const char *name, const void *p, size_t len);

#endif
