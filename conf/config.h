/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef CONF_CONFIG_H
#define CONF_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/build.h"
#include "base/log.h"
#include "conf/json.h"

/*
 * What the operator wrote in config.json; cvm-pkcs11.conf(5). All strings are
 * NUL-terminated and owned by the configuration; all are absolute paths where
 * they are paths. Defaults are filled in: no field is NULL unless it says so.
 */
#define CONFIG_TOKENS_MAX 32
#define CONFIG_PATH_DEFAULT CVM_SYSCONFDIR "/config.json"
#define CONFIG_LABEL_MAX 32 /* CK_TOKEN_INFO.label, bytes */

enum config_login { LOGIN_PIN, LOGIN_ATTESTATION };
enum config_on_denial { ON_DENIAL_HIDE, ON_DENIAL_FAIL };
/* Which attestation key of the TPM is quoted with. */
enum config_ak {
	AK_GCE_ECC, /* template in NV 0x01c10003, certificate 0x01c10002 */
	AK_GCE_RSA, /* template in NV 0x01c10001, certificate 0x01c10000 */
	AK_AZURE,   /* persistent 0x81000003, certificate NV 0x01c101d0 */
	AK_HANDLE,  /* persistent handle given by tpm.ak_handle */
	AK_OWN,	    /* P-256 restricted key made under the endorsement seed */
};

struct config_tpm {
	char *tcti; /* tctildr string, "device:/dev/tpmrm0"; never a
			       search: an explicit choice only */
	enum config_ak ak;
	uint32_t ak_handle; /* for AK_HANDLE */
	uint32_t timeout_ms;
};

struct config_evidence {
	char *tsm;	 /* configfs-tsm report directory */
	char *sev_guest; /* devices, where there is no tsm */
	char *tdx_guest;
	char *event_log;     /* TCG log, binary */
	char *ccel;	     /* CCEL data */
	char *collateral;    /* directory of endorsements */
	uint32_t timeout_ms; /* one collection, all retries included */
	uint32_t retry_ms;   /* rate limit of attempts after a failure */
};

struct config_mechs {
	bool deny;    /* the list forbids instead of allowing */
	char **names; /* "CKM_..." , NULL-terminated; NULL: no list */
};

enum config_receipts_log { RECEIPTS_OFF, RECEIPTS_OPERATIONS, RECEIPTS_ALL };
enum config_on_failure { ON_FAILURE_REFUSE, ON_FAILURE_CONTINUE };

struct config_receipts {
	enum config_receipts_log log;
	char *path; /* of the log; never NULL */
	/* What becomes of a round that the log does not take. */
	enum config_on_failure on_failure;
};

struct config_token {
	char *name;   /* [A-Za-z0-9._-]{1,64}, unique: names slot and files */
	char *label;  /* for a token not yet initialised; CONFIG_LABEL_MAX */
	char *store;  /* SQLite file */
	char *policy; /* policy file */
	enum config_login login;
	enum config_on_denial on_denial;
	bool init_token;	/* C_InitToken allowed; default false */
	bool rsa_pkcs1_decrypt; /* CKM_RSA_PKCS decryption allowed */
	bool rsa_x509;		/* CKM_RSA_X_509 offered */
	uint32_t min_rsa_bits;	/* 1024..8192, default 2048 */
	struct config_mechs mechanisms;
	char *pin_file;	     /* or NULL; unattended user PIN */
	uint32_t store_mode; /* 0600 or 0660 */
	struct config_receipts receipts;
};

struct config {
	char *path;	/* where it was read */
	bool simulated; /* evidence from elsewhere than real configfs/securityfs
			   is accepted; said loudly everywhere */
	struct config_tpm tpm;
	struct config_evidence evidence;
	enum log_target log_target;
	enum log_level log_level;
	char *log_path; /* or NULL */
	struct config_token *tokens;
	size_t n_tokens;
};

/*
 * Where the configuration is: CVM_PKCS11_CONF (ignored where
 * secure_getenv(3) hides it), else "config=PATH" in reserved (as p11-kit's
 * x-init-reserved passes it; may be NULL), else CONFIG_PATH_DEFAULT.
 * The caller frees *ret_path.
 */
int config_locate(const char *reserved, char **ret_path,
    struct why *reterr_why) _must_check_;

/* CVM_E_NOT_FOUND when there is no file, CVM_E_CONFIG when it is refused. */
int config_load(const char *path, struct config **ret,
    struct why *reterr_why) _must_check_;
/* The same from bytes; name is for messages. */
int config_parse(struct span text, const char *name, struct config **ret,
    struct why *reterr_why) _must_check_;
void config_freep(struct config **c);
/* The token of that name, or NULL. */
const struct config_token *config_find_token(const struct config *c,
    const char *name);

#endif
