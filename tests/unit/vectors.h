/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_UNIT_VECTORS_H
#define TESTS_UNIT_VECTORS_H

#include "base/blob.h"

/*
 * Evidence that was recorded on real machines is not part of this tree. It is
 * looked for in the directory that VECTORS_DIR names, or else in
 * ../shared/vectors beside the source tree.
 */

/*
 * Reads the vector at name, a path below that directory, into *ret, which the
 * caller clears with blob_clear(). Skips the calling test aloud where there is
 * no such directory, and fails it where the directory lacks the file.
 */
void vector_load(const char *name, struct blob *ret);

#endif
