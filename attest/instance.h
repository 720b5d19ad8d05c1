/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_INSTANCE_H
#define ATTEST_INSTANCE_H

#include "base/reader.h"

/*
 * What Google's CA says in the certificate of an attestation key about the
 * VM that has it: extension 1.3.6.1.4.1.11129.2.1.21,
 *	SEQUENCE { zone UTF8String, projectNumber INTEGER, projectId
 *	UTF8String, instanceId INTEGER, instanceName UTF8String, [0] EXPLICIT
 *	SEQUENCE { [0] securityVersion INTEGER, [1] isProduction BOOLEAN,
 *	[2]..[5] BOOLEAN } OPTIONAL }
 * where each member of the inner sequence is EXPLICIT and optional.
 */
#define GCE_INSTANCE_OID "1.3.6.1.4.1.11129.2.1.21"
#define GCE_INSTANCE_MAX 1024

struct gce_instance {
	struct span zone, project_id, name; /* UTF-8, borrowed, no NUL */
	uint64_t project_number, id;
	bool is_production; /* false when the extension does not say */
};

/* Strict DER; CVM_E_PARSE. Spans borrow from der. */
int gce_instance_parse(struct span der, struct gce_instance *ret) _must_check_;

#endif
