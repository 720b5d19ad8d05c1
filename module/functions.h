/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef MODULE_FUNCTIONS_H
#define MODULE_FUNCTIONS_H

#include "base/pkcs11.h"

/* C_GetInfo of the 3.0 and of the 3.2 function list. */
CK_RV get_info_3_0(CK_INFO_PTR pInfo);
CK_RV get_info_3_2(CK_INFO_PTR pInfo);

#endif
