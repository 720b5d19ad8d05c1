/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "base/stamp.h"
#include "module/policy_file.h"

struct version {
	struct policy *policy;
	struct version *older;
};

struct policy_file {
	const char *path;
	struct version *_Atomic newest;
	struct stamp stamp; /* the reader's own */
};

/* CVM_E_NOT_FOUND, without words: not for this process to see. */
static int
look(const char *path, struct stamp *ret, struct why *why)
{
	struct stat st;

	if (stat(path, &st) != 0) {
		if (errno == EACCES)
			return CVM_E_NOT_FOUND;
		return why_setf(why, CVM_E_CONFIG, path, "policy file",
		    "the one that was read", "%s", strerror(errno));
	}
	*ret = stamp_of(&st);
	return CVM_OK;
}

static int
add_version(struct policy_file *f, struct policy **policy)
{
	struct version *v = calloc(1, sizeof(*v));

	if (v == NULL)
		return CVM_E_NOMEM;
	v->policy = TAKE_PTR(*policy);
	v->older = atomic_load(&f->newest);
	/* Whole before it is to be seen, by a child that is forked now, too. */
	atomic_store(&f->newest, v);
	return CVM_OK;
}

int
policy_file_open(const char *path, struct policy_file **ret,
    struct why *reterr_why)
{
	_cleanup_(policy_file_freep) struct policy_file *f = NULL;
	_cleanup_(policy_freep) struct policy *policy = NULL;
	int err;

	if ((f = calloc(1, sizeof(*f))) == NULL)
		return CVM_E_NOMEM;
	f->path = path;
	/* First: what is written after this is noticed. */
	if (look(path, &f->stamp, /* why= */ NULL) != CVM_OK)
		f->stamp.racy = true;
	if ((err = policy_load(path, &policy, reterr_why)) != CVM_OK ||
	    (err = add_version(f, &policy)) != CVM_OK)
		return err;
	*ret = TAKE_PTR(f);
	return CVM_OK;
}

void
policy_file_freep(struct policy_file **fp)
{
	struct policy_file *f = TAKE_PTR(*fp);
	struct version *v;

	if (f == NULL)
		return;
	while ((v = atomic_load(&f->newest)) != NULL) {
		atomic_store(&f->newest, v->older);
		policy_freep(&v->policy);
		free(v);
	}
	free(f);
}

const struct policy *
policy_file_current(const struct policy_file *f)
{
	return atomic_load(&f->newest)->policy;
}

int
policy_file_refresh(struct policy_file *f, bool *ret_changed,
    struct why *reterr_why)
{
	_cleanup_(policy_freep) struct policy *policy = NULL;
	const struct policy *old = policy_file_current(f);
	struct stamp now = { 0 };
	bool changed;
	int err;

	*ret_changed = false;
	err = look(f->path, &now, reterr_why);
	if (err == CVM_E_NOT_FOUND)
		return CVM_OK;
	if (err != CVM_OK)
		return err;
	if (stamp_current(&f->stamp, &now))
		return CVM_OK;
	err = policy_load(f->path, &policy, reterr_why);
	if (err == CVM_E_NOT_FOUND || err == CVM_E_IO)
		err = CVM_E_CONFIG;
	if (err != CVM_OK) {
		if (reterr_why != NULL)
			reterr_why->err = err;
		return err;
	}
	changed = memcmp(policy->digest, old->digest, POLICY_DIGEST_LEN) != 0;
	if (changed && (err = add_version(f, &policy)) != CVM_OK)
		return why_set(reterr_why, err, f->path, "", "", "");
	f->stamp = now;
	*ret_changed = changed;
	return CVM_OK;
}
