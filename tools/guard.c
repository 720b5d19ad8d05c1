/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tools/tool.h"

/* open(2) takes the lowest number that is free: the first that is closed. */
static int
fill_standard_fds(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		return CVM_E_IO;
	(void)close(fd);
	return CVM_OK;
}

int
tool_guard(struct why *reterr_why)
{
	static const struct rlimit none = { 0, 0 };

	if (fill_standard_fds() != CVM_OK)
		return why_set(reterr_why, CVM_E_IO, "/dev/null", "",
		    "a device for what is closed", strerror(errno));
	if (setrlimit(RLIMIT_CORE, &none) != 0 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return why_set(reterr_why, CVM_E_IO, "this process", "",
		    "no core files of it", strerror(errno));
	return CVM_OK;
}
