/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_CCEL_TABLE_H
#define ATTEST_CCEL_TABLE_H

#include "base/blob.h"
#include "base/error.h"

/*
 * The ACPI table that says where the CCEL lies (Guest-Host-Communication
 * Interface for TDX, section 4.3.3). It comes from the host and proves
 * nothing; a log whose table does not fit it is not worth a quote.
 */
#define CCEL_TABLE_LEN 56

struct ccel_table {
	uint8_t type; /* 2: TDX */
	uint64_t size, address;
};

/* CVM_E_PARSE, or CVM_E_UNSUPPORTED for the log of another technology. */
int ccel_table_parse(struct span s, struct ccel_table *ret,
    struct why *reterr_why) _must_check_;
/* And that it is of a log of log_len bytes. */
int ccel_table_check(struct span table, size_t log_len,
    struct why *reterr_why) _must_check_;

#endif
