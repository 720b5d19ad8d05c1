/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "base/build.h"
#include "tools/tool.h"

const struct command commands[] = {
	{ "init",
	    "[--label L] [--so-pin-file F] [--pin-file F] [--no-recovery]",
	    "make the token: keys, seals for the policy, recovery code",
	    cmd_init },
	{ "status", "[--no-appraisal]",
	    "this machine, its devices, a live appraisal, the seals",
	    cmd_status },
	{ "enroll", "[--pcrs LIST] [--out FILE]",
	    "write a proposal of a policy from this machine as it is now",
	    cmd_enroll },
	{ "policy", "check FILE | diff [FILE]",
	    "read a policy strictly | compare this machine with it",
	    cmd_policy },
	{ "seal", "list | add SET|--recovery | remove ID",
	    "the ways in which the token's keys can be opened", cmd_seal },
	{ "reseal", "[--pin-file F] [--so-pin-file F]",
	    "seal for the policy as it is now", cmd_reseal },
	{ "recover", "[--code-file F] [--pin-file F] [--so-pin-file F]",
	    "open by the recovery code and seal for the policy as it is now",
	    cmd_recover },
	{ "attest", "--nonce HEX [--key ID] [--out FILE]",
	    "an evidence bundle over a verifier's nonce", cmd_attest },
	{ "verify", "BUNDLE --policy FILE [--nonce HEX] [--time T]",
	    "appraise a bundle on any machine", cmd_verify },
	{ "key", "import FILE --label L [--id HEX] [--cert FILE]",
	    "bring a private key (PEM, DER) and its certificate in", cmd_key },
	{ "uri", "[--pin-source FILE]",
	    "for each key: PKCS#11 URI, nginx, OpenSSL and ssh lines",
	    cmd_uri },
};
const size_t n_commands = NELEMS(commands);

static void
help(FILE *out)
{
	(void)fprintf(out,
	    "usage: cvm-token [--config FILE] [--token NAME] [--json] "
	    "COMMAND ...\n\n");
	for (size_t i = 0; i < n_commands; i++)
		(void)fprintf(out, "  %s %s\n      %s\n", commands[i].name,
		    commands[i].args, commands[i].summary);
	(void)fprintf(out,
	    "\nExit status: 0 done, 1 refused, 2 cannot tell.\n"
	    "See cvm-token(1), cvm-pkcs11.conf(5), cvm-pkcs11-policy(5).\n");
}

static int
global_options(struct tool *t, int argc, char **argv)
{
	int i;

	for (i = 1; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "--json") == 0)
			t->json = true;
		else if (strcmp(argv[i], "--config") == 0 && i + 1 < argc)
			t->config_path = argv[++i];
		else if (strcmp(argv[i], "--token") == 0 && i + 1 < argc)
			t->token_name = argv[++i];
		else
			return -1;
	}
	t->argc = argc - i;
	t->argv = argv + i;
	return 0;
}

int
main(int argc, char **argv)
{
	struct tool t = { 0 };

	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		(void)printf("cvm-token %s\n", CVM_VERSION);
		return EXIT_OK;
	}
	if (argc == 2 &&
	    (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		help(stdout);
		return EXIT_OK;
	}
	if (global_options(&t, argc, argv) != 0 || t.argc == 0) {
		help(stderr);
		return EXIT_TROUBLE;
	}
	for (size_t i = 0; i < n_commands; i++)
		if (strcmp(commands[i].name, t.argv[0]) == 0)
			return commands[i].run(&t);
	(void)fprintf(stderr,
	    "cvm-token: no command \"%s\"; --help lists "
	    "them\n",
	    t.argv[0]);
	return EXIT_TROUBLE;
}
