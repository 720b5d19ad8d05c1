/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>

#include "base/build.h"
#include "tools/tool.h"

int
main(int argc, char **argv)
{
	char complaint[COMPLAINT_MAX];
	struct why why = { 0 };
	struct tool t;
	int r;

	json_watch();
	if ((r = tool_guard(&why)) != CVM_OK)
		return tool_fail(r, &why);
	if (options_parse(argc, argv, &t, complaint) != 0) {
		if (argc > 1)
			return tool_usage(&t, complaint);
		options_help(stderr, /* c= */ NULL);
		return EXIT_TROUBLE;
	}
	if (t.opt[OPT_HELP] != NULL) {
		options_help(stdout, t.command);
		return print_end();
	}
	if (t.opt[OPT_VERSION] != NULL) {
		(void)printf("cvm-token %s\n", CVM_VERSION);
		return print_end();
	}
	return t.command->run(&t);
}
