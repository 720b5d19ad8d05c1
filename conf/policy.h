/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef CONF_POLICY_H
#define CONF_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/crypto.h"
#include "conf/json.h"

/*
 * One policy file: reference values, freshness, what is required;
 * cvm-pkcs11-policy(5). Everything is validated when it is read: an empty
 * reference set, an all-zero or all-FF reference value, a duplicate or
 * unknown name is refused with file:line, path, allowed and received.
 *
 * A "list" below is a set of acceptable values; an absent list (n == 0) means
 * "not looked at" only for the fields that say so.
 */
#define POLICY_PCR_MAX 24
#define POLICY_SETS_MAX 16
#define POLICY_LIST_MAX 256
#define POLICY_DIGEST_LEN SHA256_LEN
#define POLICY_LABEL_MAX 32

enum tee_kind { TEE_NONE, TEE_SEV, TEE_SNP, TEE_TDX };
enum policy_bind { BIND_SESSION, BIND_OPERATION };
enum policy_ak_trust {
	AK_TRUST_GCE,	 /* certificate from NV to the named roots */
	AK_TRUST_PINNED, /* TPM name is in the list */
	AK_TRUST_TEE,	 /* bound by REPORT_DATA of the TEE report */
	AK_TRUST_AZURE,	 /* named by the paravisor's report */
	AK_TRUST_SVSM,	 /* in the TPM of an SVSM's manifest */
};
/* A CCEL beside the log of a TPM: judged where there is one, or not. */
enum policy_ccel { CCEL_PRESENT, CCEL_REQUIRE, CCEL_IGNORE };
enum tristate { ANY, FORBID, REQUIRE };
enum snp_product { /* bits */
	SNP_MILAN = 1,
	SNP_GENOA = 2,
	SNP_TURIN = 4,
	SNP_VENICE = 8,
};
#define SNP_PRODUCTS                                                           \
	{                                                                      \
		SNP_MILAN, SNP_GENOA, SNP_TURIN, SNP_VENICE                    \
	}

/* A list of byte strings of one length. */
struct value_list {
	struct blob *v;
	size_t n;
};
struct string_list {
	char **v;
	size_t n;
};

/* Component-wise minimum of a TCB_VERSION; 0 asks nothing. */
struct snp_tcb {
	uint8_t fmc, bootloader, tee, snp, microcode;
};

/* A launch endorsement of Google's; looked for where roots are named. */
struct policy_launch {
	struct value_list roots; /* SHA-256 of SPKI */
	uint32_t min_svn;
	uint32_t shape; /* vCPUs (SNP), or GiB (TDX); 0: any */
};

struct policy_snp {
	unsigned products;	       /* bits of enum snp_product; required */
	struct value_list roots;       /* SHA-256 of the ARK's SPKI; empty: the
					 pinned AMD roots */
	struct value_list measurement; /* 48; not empty, unless launch is */
	struct policy_launch launch;
	struct value_list host_data;	       /* 32; empty: not looked at */
	struct value_list family_id, image_id; /* 16; same */
	struct value_list report_id;	       /* 32; same */
	struct value_list id_key_digest, author_key_digest; /* 48; same */
	struct value_list chip_id;			    /* 64; same */
	struct string_list csp_id;   /* VLEK: required when vlek is allowed */
	bool allow_vcek, allow_vlek; /* default true, false */
	bool masked_chip_id;	     /* default false */
	uint32_t vmpl;		     /* 0..3, exact; default 0 */
	enum tristate debug, migrate_ma; /* FORBID unless ANY is written */
	enum tristate smt, single_socket, cxl, aes256_xts, rapl_dis,
	    ciphertext_hiding, page_swap_disable;
	enum tristate p_smt, p_tsme, p_ecc, p_rapl_dis, p_ciphertext_hiding,
	    p_alias_check, p_iommu_write_safe, p_tio; /* PLATFORM_INFO bits */
	uint32_t min_abi_major, min_abi_minor;
	struct snp_tcb min_tcb;		  /* REPORTED_TCB; required */
	struct snp_tcb min_launch_tcb;	  /* LAUNCH_TCB */
	struct snp_tcb min_committed_tcb; /* COMMITTED_TCB */
	uint32_t min_guest_svn;
	uint32_t min_firmware[3];  /* major, minor, build */
	bool provisional_firmware; /* CURRENT above COMMITTED accepted */
	uint64_t mitigations;	   /* bits required in both vectors (v5) */
	bool require_crl;	   /* default true */
};

struct rtmr_set {
	char label[POLICY_LABEL_MAX + 1];
	unsigned mask; /* bit i: RTMR i is in the set */
	uint8_t value[4][SHA384_LEN];
};

struct policy_tdx {
	struct value_list roots; /* SHA-256 of the SGX root's SPKI */
	struct value_list mrtd;	 /* 48; not empty, unless launch is */
	struct policy_launch launch;
	struct rtmr_set rtmr_sets[POLICY_SETS_MAX]; /* n 0: not looked at */
	size_t n_rtmr_sets;
	struct value_list mrseam; /* 48; empty: Intel-signed by TCB info */
	struct value_list mrconfigid, mrowner, mrownerconfig; /* 48 */
	struct value_list mrservicetd;		/* 48; empty: must be zero */
	struct value_list fmspc;		/* 6; empty: not looked at */
	struct value_list platform_instance_id; /* 16; same */
	enum tristate debug;	       /* FORBID unless ANY is written */
	enum tristate sept_ve_disable; /* default REQUIRE */
	enum tristate migratable;      /* default FORBID */
	enum tristate pks, key_locker, perfmon; /* default ANY, ANY, FORBID */
	bool xfam_set;
	uint64_t xfam;		       /* exact, when xfam_set */
	struct string_list tcb_status; /* default {"UpToDate"} */
	struct string_list advisories; /* accepted advisory ids; default none */
	uint32_t min_tcb_evaluation_data_number;
	uint8_t min_tee_tcb_svn[16]; /* component-wise */
	bool trailing_bytes;	     /* non-zero bytes after the quote */
	bool dynamic_platform, cached_keys, smt; /* allowed? default true */
};

struct pcr_set {
	char label[POLICY_LABEL_MAX + 1];
	uint32_t mask; /* bit i: PCR i is in the set */
	uint8_t value[POLICY_PCR_MAX][HASH_LEN_MAX];
};

struct policy_instance { /* GCE AK certificate; NULL: not looked at */
	char *zone, *project_id, *project_number, *instance_id, *instance_name;
	bool production; /* default true: isProduction must be set */
};

struct policy_vm { /* as Azure's paravisor tells */
	enum tristate secure_boot, console;
	struct string_list ids; /* vmUniqueId; empty: not looked at */
};

struct policy_tpm {
	enum policy_ak_trust ak_trust;
	struct value_list ak_roots; /* SHA-256 of SPKI; for AK_TRUST_GCE */
	bool require_crl;	    /* the same; default false */
	struct value_list
	    ak_names;	       /* 34 (nameAlg SHA-256); PINNED, SVSM, TEE */
	struct value_list eks; /* the same, of endorsement keys; SVSM */
	struct policy_instance instance;
	struct policy_vm vm;
	enum hash_alg bank;			  /* sha256 or sha384 */
	struct pcr_set pcr_sets[POLICY_SETS_MAX]; /* required, not empty;
						     all have the same mask */
	size_t n_pcr_sets;
	struct string_list firmware_versions; /* 16 hex digits */
};

struct policy_event_log {	       /* an absent field is not looked at */
	bool present;		       /* the policy has "event_log" */
	struct string_list technology; /* NONE, AMD_SEV, AMD_SEV_ES,
					  AMD_SEV_SNP, INTEL_TDX */
	uint32_t min_gce_firmware;
	enum tristate secure_boot;
	struct value_list authorities; /* SHA-256 of certificates: all that
					  were used must be in the list */
	/* SHA-256 of certificates, or of images: all in PK, KEK and db must
	 * be in the first, all of the second must be in dbx. */
	struct value_list secure_boot_keys, dbx;
	uint32_t min_sbat_level; /* 2024010900 */
	struct string_list kernel_cmdline, grub_cmd;
	/* Digests of the policy's bank. */
	struct value_list efi_apps, boot_variables;
	bool dma_protection;	 /* must not have been switched off */
	bool exit_boot_services; /* must be in the log */
	enum policy_ccel ccel;	 /* with "tpm" on TDX only */
	/* Numbers of PCRs, or of RTMRs, that may lack events. */
	struct string_list unlogged_ok, unlogged_rtmrs;
};

struct policy {
	char *path;
	char *name;
	uint8_t digest[POLICY_DIGEST_LEN]; /* SHA-256 of the file's bytes */
	struct blob text;		   /* the file's bytes */
	enum tee_kind tee;
	enum policy_bind bind;
	uint32_t session_max_age_s; /* 1..86400, default 300 */
	/* 0..session_max_age_s, default 0: each open is an admission */
	uint32_t session_open_max_age_s;
	uint32_t tee_report_max_age_s; /* 0..86400, default 60 */
	bool older_collateral; /* than was seen: accepted? default false */
	bool has_snp, has_tdx, has_tpm;
	struct policy_snp snp;
	struct policy_tdx tdx;
	struct policy_tpm tpm;
	struct policy_event_log log;
};

/*
 * Reads a policy file (or bytes; name is for messages). CVM_E_NOT_FOUND,
 * CVM_E_CONFIG. Rules across fields: tee "snp" needs "snp", tee "tdx" needs
 * "tdx"; a policy has "tpm" or a TEE; AK trust
 * "tee" or "azure" needs a TEE, "svsm" SEV-SNP at VMPL 0.
 */
int policy_load(const char *path, struct policy **ret,
    struct why *reterr_why) _must_check_;
/* The same of one that the caller named himself; it may be anywhere, and
 * anybody's, but not for everybody to write. */
int policy_load_named(const char *path, struct policy **ret,
    struct why *reterr_why) _must_check_;
int policy_parse(struct span text, const char *name, struct policy **ret,
    struct why *reterr_why) _must_check_;
void policy_freep(struct policy **p);

/* Whether the CCEL is evidence, if only where there is one. */
bool policy_reads_ccel(const struct policy *p);

/*
 * Things that are legal and that an operator should know: PCRs that stop at
 * the boot loader, debug allowed, provisional firmware, ... Calls say() with
 * one sentence each; returns how many.
 */
size_t policy_warnings(const struct policy *p,
    void (*say)(void *arg, const char *sentence), void *arg);

const char *tee_kind_name(enum tee_kind k); /* "snp" */

#endif
