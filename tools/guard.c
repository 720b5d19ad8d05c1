/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tools/tool.h"

/* No other file gets the number of one that is closed. Standard input and
 * output stay as useless as they were: a recovery code that is written to
 * nowhere is an error. open(2) takes the lowest number that is free. */
static int
fill_standard_fds(void)
{
	static const int flags[] = { O_WRONLY, O_RDONLY, O_RDWR };

	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", flags[fd]) != fd)
			return CVM_E_IO;
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
