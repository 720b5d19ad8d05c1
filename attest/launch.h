/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_LAUNCH_H
#define ATTEST_LAUNCH_H

#include "attest/appraise.h"

/*
 * Google's launch endorsement: the VMLaunchEndorsement message of
 * gce-tcb-verifier, proto/endorsement.proto. It names the measurements that
 * one build of the firmware has, for each shape of machine, under a signature
 * of Google's. Where it was found says nothing; signature and root do.
 */
#define LAUNCH_BYTES_MAX (64 * 1024)
#define LAUNCH_VALUES_MAX 64
/* The name that Google gives it, by the measurement in hexadecimal digits. */
#define LAUNCH_NAME_FORMAT "google/launch/%s.binarypb"
#define LAUNCH_ROOT_FILE "google/launch-root.pem"

struct launch_value {
	uint32_t shape; /* number of VMSAs, or RAM in GiB */
	struct span measurement;
};

#define LAUNCH_ID_LEN 16

/* What it says of one technology. */
struct launch_part {
	bool present;
	uint32_t svn;
	struct launch_value value[LAUNCH_VALUES_MAX];
	size_t n;
	/* SEV-SNP: 0 and empty where it does not say. */
	uint64_t policy;
	struct span family_id, image_id; /* LAUNCH_ID_LEN bytes */
	struct span svsm_measurement;	 /* of a machine with an SVSM */
};

/* Every span borrows from the bytes that were parsed. */
struct launch_endorsement {
	struct span golden, signature; /* what is signed, and by what */
	uint64_t seconds;	       /* of the build; 0: it does not say */
	uint64_t cl_spec;	       /* of its sources; 0: the same */
	struct span cert;	       /* DER */
	struct span ca_bundle;	       /* PEM: certificates, trusted by none */
	struct launch_part snp, tdx;
};

/*
 * Strict: fields known here have their type and appear once, keys of a map and
 * pairs of a list once, measurements have 48 bytes; fields not known here are
 * skipped, groups are refused. Nothing is verified. CVM_E_PARSE.
 */
int launch_parse(struct span bytes, struct launch_endorsement *ret,
    struct why *reterr_why) _must_check_;

/* What is to be appraised: six checks, one after the other from first, and for
 * SEV-SNP one more, CHECK_SNP_62. */
#define LAUNCH_CHECKS 6
struct snp_report;
struct launch_case {
	const struct appraisal *a;
	struct verdict *v;
	struct appraisal_facts *facts;
	const struct policy_launch *policy;
	enum check_id first;
	struct span measurement; /* of the report */
	struct span carried;	 /* the host's endorsement, or empty */
	bool tdx;
	const struct snp_report *snp; /* NULL for TDX */
	bool svsm;		      /* the policy trusts an SVSM */
};
bool launch_appraise(const struct launch_case *c);

#endif
