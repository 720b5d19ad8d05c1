/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TOOLS_COLLATERAL_H
#define TOOLS_COLLATERAL_H

#include "attest/upkeep.h"
#include "tools/tool.h"

/* What both commands work on: a report, the files that it needs, and the
 * directory that they are in. */
struct collateral {
	const struct tool *t;
	struct tool_context c; /* c.cfg is NULL where nothing needs it */
	const char *dir;
	struct policy *policy; /* NULL: there is none yet */
	struct blob report, aux, ak_cert;
	struct upkeep upkeep;
	bool none; /* nothing of a vendor's is needed here */
	int64_t now, warn;
};

/* 0, or an exit status, with the message printed. */
int collateral_open(const struct tool *t, struct collateral *c);
/* run() once, or, where no token is named, once for each policy that is
 * configured; the worst of its answers. */
int collateral_each(struct tool *t, int (*run)(struct tool *t));
void collateral_close(struct collateral *c);

enum collateral_state {
	COLLATERAL_OK,
	COLLATERAL_EXPIRING,
	COLLATERAL_EXPIRED,
	COLLATERAL_REFUSED,
	COLLATERAL_MISSING
};
extern const char *const collateral_states[];
enum collateral_state collateral_state(const struct collateral *c,
    const struct upkeep_file *f);
/* "2026-01-31", or "-". */
#define DAY_TEXT_MAX 24
const char *day_text(int64_t when, char buf[static DAY_TEXT_MAX]);

/*
 * collateral_write.c: the directory, locked against another fetch or import.
 * What a run that was killed left beside the files (.NAME.new, .NAME.old) is
 * never read. When it is opened, a change whose files were all written ends as
 * it would have, and any other has not happened.
 */
struct collateral_dir {
	const char *path;
	int fd;
};
int collateral_dir_open(const char *path, struct collateral_dir *ret,
    struct why *reterr_why) _must_check_;
void collateral_dir_close(struct collateral_dir *d);
/*
 * Puts the files of e in their places, all of them or none: all are on the
 * disk before the first one takes its place, and where one cannot, those
 * before it go back. Each is replaced whole. Files are 0644 and directories
 * 0755, whatever the umask is.
 */
int collateral_install(const struct collateral_dir *d,
    const struct endorsements *e, struct why *reterr_why) _must_check_;

#endif
