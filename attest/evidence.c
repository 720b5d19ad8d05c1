/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "attest/evidence.h"

void
evidence_clear(struct evidence *e)
{
	struct blob *const blobs[] = { &e->tee_report, &e->tee_aux,
		&e->tpm_quote, &e->tpm_signature, &e->ak_public, &e->ak_cert,
		&e->hcl_report, &e->svsm_manifest, &e->event_log, &e->ccel };

	for (size_t i = 0; i < NELEMS(blobs); i++)
		blob_clear(blobs[i]);
	memset(e, 0, sizeof(*e));
}

void
evidence_freep(struct evidence **e)
{
	if (e == NULL || *e == NULL)
		return;
	evidence_clear(*e);
	free(*e);
	*e = NULL;
}
