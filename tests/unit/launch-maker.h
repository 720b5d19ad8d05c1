/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_UNIT_LAUNCH_MAKER_H
#define TESTS_UNIT_LAUNCH_MAKER_H

#include "base/reader.h"
#include "tests/unit/x509-maker.h"

/*
 * Launch endorsements to order, as Google makes them, under a root of the
 * test's own. A plan describes a good one; a test changes one thing.
 */
#define LAUNCH_SHAPE 4 /* vCPUs or GiB of the machine that is endorsed */
#define LAUNCH_SVN 10

struct launch_plan {
	struct span measurement;
	bool snp, tdx; /* which technologies it speaks of */
	uint64_t seconds, cl_spec;
	uint32_t shape, svn;
	uint64_t policy;		 /* of SEV-SNP; 0: it does not say */
	struct span family, image, svsm; /* the same; empty: not there */
	struct cert_spec root, leaf;
	bool small;	   /* the leaf's key has 2048 bits */
	bool no_bundle;	   /* the root is not in the message */
	bool other_root;   /* signed by a key that is not the root's */
	bool pkcs1;	   /* RSASSA-PKCS1-v1_5 */
	const char *md;	   /* "SHA256" */
	int salt;	   /* 32 */
	struct span extra; /* after the fields of the golden measurement */
	struct span outer; /* after the message's two fields */
};

struct launch_made {
	struct blob message, root_pem;
	uint8_t root_pin[32];
};

/* For a machine at that time, of either technology. */
struct launch_plan launch_plan(struct span measurement, int64_t now);
void launch_make(const struct launch_plan *p, struct launch_made *ret);
void launch_made_clear(struct launch_made *m);
void launch_maker_end(void);

/* Protocol Buffers. */
void launch_varint(struct writer *w, uint64_t v);
void launch_number(struct writer *w, uint32_t field, uint64_t v);
void launch_bytes(struct writer *w, uint32_t field, struct span s);

#endif
