/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/softhsm.h"

static CK_UTF8CHAR pin[] = "1234";

#define MUST(x)                                                                \
	do {                                                                   \
		if (!(x)) {                                                    \
			(void)fprintf(stderr, "SoftHSM2: %s\n", #x);           \
			exit(1);                                               \
		}                                                              \
	} while (0)

static void *
load(void)
{
	static const char *const places[] = {
		"/usr/lib/softhsm/libsofthsm2.so",
		"/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
	};
	const char *named = getenv("CVM_SOFTHSM");
	void *lib = named == NULL ? NULL : dlopen(named, RTLD_NOW);

	for (size_t i = 0; i < 2 && lib == NULL; i++)
		lib = dlopen(places[i], RTLD_NOW | RTLD_LOCAL);
	return lib;
}

static void
configure(struct softhsm *s)
{
	char conf[64];
	FILE *f;

	(void)snprintf(s->dir, sizeof(s->dir), "/tmp/softhsm.XXXXXX");
	MUST(mkdtemp(s->dir) != NULL);
	(void)snprintf(conf, sizeof(conf), "%s/softhsm2.conf", s->dir);
	f = fopen(conf, "we");
	MUST(f != NULL &&
	    fprintf(f, "directories.tokendir = %s\nlog.level = ERROR\n",
		s->dir) > 0 &&
	    fclose(f) == 0 && setenv("SOFTHSM2_CONF", conf, 1) == 0);
}

static void
make_token(struct softhsm *s)
{
	CK_UTF8CHAR label[32] = "bench";
	CK_ULONG n = 1;

	memset(&label[5], ' ', sizeof(label) - 5);
	MUST(s->f->C_Initialize(&(CK_C_INITIALIZE_ARGS){
		 .flags = CKF_OS_LOCKING_OK }) == CKR_OK &&
	    s->f->C_GetSlotList(CK_FALSE, &s->slot, &n) == CKR_OK &&
	    s->f->C_InitToken(s->slot, pin, 4, label) == CKR_OK);
	n = 1;
	MUST(s->f->C_GetSlotList(CK_TRUE, &s->slot, &n) != CKR_ARGUMENTS_BAD &&
	    s->f->C_OpenSession(s->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION,
		NULL, NULL, &s->session) == CKR_OK &&
	    s->f->C_Login(s->session, CKU_SO, pin, 4) == CKR_OK &&
	    s->f->C_InitPIN(s->session, pin, 4) == CKR_OK &&
	    s->f->C_Logout(s->session) == CKR_OK &&
	    s->f->C_Login(s->session, CKU_USER, pin, 4) == CKR_OK);
}

bool
softhsm_start(struct softhsm *s)
{
	void *lib = load();
	CK_RV (*list)(CK_FUNCTION_LIST **) = NULL;

	*s = (struct softhsm){ 0 };
	if (lib == NULL)
		return false;
	*(void **)&list = dlsym(lib, "C_GetFunctionList");
	MUST(list != NULL && list(&s->f) == CKR_OK);
	configure(s);
	make_token(s);
	return true;
}

void
softhsm_stop(struct softhsm *s)
{
	char cmd[64];

	(void)s->f->C_Finalize(NULL);
	(void)snprintf(cmd, sizeof(cmd), "rm -rf '%s'", s->dir);
	(void)!system(cmd);
}
