/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/error.h"

/*
 * The module's voice: syslog (facility AUTHPRIV, ident "cvm-pkcs11"), or a
 * file named by the configuration, never stderr. Verdict changes are logged
 * at warning or notice once; everything else is debug and off by default.
 */
enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_NOTICE,
	LOG_LEVEL_DEBUG
};
enum log_target { LOG_TARGET_SYSLOG, LOG_TARGET_FILE, LOG_TARGET_NONE };

/*
 * Sets the sink for this process. path is for LOG_TARGET_FILE (appended,
 * created 0640, O_NOFOLLOW|O_CLOEXEC, opened per line so that rotation and
 * fork need nothing); copied. Lines above level are dropped.
 */
void log_setup(enum log_target target, enum log_level level, const char *path);

/* One line; control characters are replaced. Never fails, never blocks long.*/
void log_line(enum log_level level, const char *fmt, ...) _printf_(2, 3);

#endif
