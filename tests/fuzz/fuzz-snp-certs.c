/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "attest/snp_parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The host's certificate table, and what the certificates in it say. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct value_list none = { 0 };
	struct snp_certs t;
	struct snp_tcb tcb;
	struct span s;

	if (snp_certs_parse(span(data, size), &t, NULL) != 0)
		return 0;
	const struct span certs[] = { t.vcek, t.vlek, t.ask, t.ark };
	for (size_t i = 0; i < NELEMS(certs); i++) {
		_cleanup_(cert_freep) struct cert *x = NULL;

		if (snp_cert_read(certs[i], &x) != 0)
			continue;
		(void)snp_vek_product(x, i == 1);
		for (unsigned p = SNP_MILAN; p <= SNP_TURIN; p *= 2)
			(void)!snp_ext_tcb(x, (enum snp_product)p, &tcb);
		(void)!snp_ext_hwid(x, &s);
		(void)!snp_ext_csp_id(x, &s);
		(void)!snp_ext_product_name(x, &s);
		struct chain c = { .leaf = x, .root = x, .pins = &none };
		if (chain_verify(&c, NULL) == 0)
			__builtin_trap();
	}
	return 0;
}
