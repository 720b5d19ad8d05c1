/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/changes-make.h"
#include "tests/unit/changes.h"
#include "tests/unit/golden.h"
#include "tests/unit/objects-fixture.h"
#include "tests/unit/quick-pin.h"

#define NEW_PIN "neuer-pin"
#define TIME_OLD 1000
#define TIME_NEW 2000
#define TRIES_USED 2 /* of the user's, when each change begins */
#define NEW "new"

static struct stage stage;
static uint8_t recovery_id[STORE_ID_LEN];
static uint8_t old_id[TOKEN_ID_LEN]; /* the token's */
static size_t n_seals;
static CK_OBJECT_HANDLE target; /* of a change */
static struct blob cert;

/* Between the processes. */
static struct shared {
	bool returned;
	int err, err_again;
	struct why why;
	enum state state;
	char complaint[256];
} * shared;

/*
 * In child processes, where an assertion would go on with the next test.
 */
static void __attribute__((noreturn))
complain(int line, const char *what, const struct why *why)
{
	char text_[WHY_SENTENCE_MAX] = "";

	if (why != NULL && why->err != CVM_OK)
		(void)why_sentence(why, text_, sizeof(text_));
	(void)snprintf(shared->complaint, sizeof(shared->complaint),
	    "line %d: %s: %.180s", line, what, text_);
	_exit(1);
}

#define must(cond)                                                             \
	do {                                                                   \
		if (!(cond))                                                   \
			complain(__LINE__, #cond, NULL);                       \
	} while (0)
#define must_ok(call)                                                          \
	do {                                                                   \
		struct why why_ = { 0 }, *why = &why_;                         \
		(void)why;                                                     \
		if ((call) != CVM_OK)                                          \
			complain(__LINE__, #call, why);                        \
	} while (0)

/* How many there are of a class, or of any; and one of them. */
#define ANY CK_UNAVAILABLE_INFORMATION

static size_t
look_for(const char *label, CK_OBJECT_CLASS class, CK_OBJECT_HANDLE *ret)
{
	CK_ATTRIBUTE a[] = { { CKA_LABEL, strdup(label), strlen(label) },
		ULONG_ATTR(CKA_CLASS, class) };
	CK_OBJECT_HANDLE *found = NULL;
	size_t n = 0;

	must_ok(token_find(stage.t, &stage.c, a, class == ANY ? 1 : 2, &found,
	    &n, why));
	free(a[0].pValue);
	if (n > 0)
		*ret = found[0];
	free(found);
	return n;
}

static size_t
count_of(const char *label)
{
	CK_OBJECT_HANDLE h;

	return look_for(label, ANY, &h);
}

static CK_OBJECT_HANDLE
one(const char *label, CK_OBJECT_CLASS class)
{
	CK_OBJECT_HANDLE h = 0;

	must(look_for(label, class, &h) == 1);
	return h;
}

static void
must_be(CK_OBJECT_HANDLE h, const void *value, size_t len)
{
	uint8_t got[1024];
	CK_ATTRIBUTE a = { CKA_VALUE, got, sizeof(got) };

	must_ok(token_get_attributes(stage.t, &stage.c, h, &a, 1));
	must(a.ulValueLen == len && memcmp(got, value, len) == 0);
}

static void
must_hold(const char *label, const void *value, size_t len)
{
	must_be(one(label, ANY), value, len);
}

/* The key pair of that label: what its private half signs, its public half
 * verifies. */
static void
must_sign(const char *label)
{
	CK_MECHANISM mech = { CKM_ECDSA_SHA256, NULL, 0 };
	uint8_t sig[256];
	CK_ULONG len = sizeof(sig);

	for (int i = 0; i < 2; i++) {
		_cleanup_(object_unrefp) struct object *o = NULL;
		_cleanup_(op_freep) struct op *op = NULL;
		bool first = i == 0;

		must_ok(token_object(stage.t, &stage.c,
		    one(label, first ? CKO_PRIVATE_KEY : CKO_PUBLIC_KEY), &o));
		must_ok(
		    op_new(stage.t, &stage.f.cfg, first ? OP_SIGN : OP_VERIFY,
			&mech, o, stage.c.permit, &op, why));
		if (first)
			must_ok(op_once(op, stage.c.permit, text("x"), sig,
			    &len, why));
		else
			must_ok(op_verify_once(op, text("x"), span(sig, len)));
	}
}

static enum state
by_count(size_t n, size_t if_new)
{
	must(n == 0 || n == if_new);
	return n == if_new ? STATE_NEW : STATE_OLD;
}

static void
open_as_user(const char *pin)
{
	must_ok(unseal(&stage.f, why));
	must_ok(login_user(&stage.f, pin, why));
}

/* What was committed before the change. */
static void
must_be_whole(void)
{
	must_sign("pair");
	must_hold("secret", make_secret_value, MAKE_SECRET_LEN);
	must_hold("data", "public", 6);
	must_hold("private data", "private", 7);
}

/*
 * The changes: what comes before one, what it does, and what there is then.
 */
static void
as_user(void)
{
	open_as_user(USER_PIN);
}

static void
with_secret(void)
{
	open_as_user(USER_PIN);
	target = one("secret", ANY);
}

static void
with_victim(void)
{
	open_as_user(USER_PIN);
	target = one("victim", ANY);
}

static void
with_unwrapping_key(void)
{
	open_as_user(USER_PIN);
	must_ok(make_unwrapping(stage.t, &stage.c, &target, why));
}

static void
with_base_key(void)
{
	open_as_user(USER_PIN);
	must_ok(make_base(stage.t, &stage.c, &target, why));
}

static void
as_so(void)
{
	must_ok(unseal(&stage.f, why));
	must_ok(login_so(&stage.f, SO_PIN, why));
}

static void
as_nobody(void)
{
	must_ok(unseal(&stage.f, why));
}

static void
as_both(void)
{
	open_as_user(USER_PIN);
	must_ok(login_so(&stage.f, SO_PIN, why));
}

/* One object of that value, or none. */
static enum state
new_value(const void *value, size_t len)
{
	size_t n = count_of(NEW);

	if (n > 0)
		must_hold(NEW, value, len);
	return by_count(n, 1);
}

static int
create_public_data(struct why *why)
{
	return make_data(stage.t, &stage.c, NEW, "value", false, why);
}

static int
create_private_data(struct why *why)
{
	return make_data(stage.t, &stage.c, NEW, "value", true, why);
}

static enum state
new_data(void)
{
	return new_value("value", 5);
}

static int
generate_pair(struct why *why)
{
	return make_pair(stage.t, &stage.c, NEW, why);
}

static enum state
new_pair(void)
{
	size_t n = count_of(NEW);

	if (n > 0)
		must_sign(NEW);
	return by_count(n, 2);
}

static int
create_secret_key(struct why *why)
{
	return make_key(stage.t, &stage.c, NEW, why);
}

static int
copy_secret_key(struct why *why)
{
	CK_ATTRIBUTE label = TEXT_ATTR(CKA_LABEL, NEW);
	CK_OBJECT_HANDLE h;

	return token_copy(stage.t, &stage.c, target, &label, 1, &h, why);
}

static enum state
new_secret(void)
{
	return new_value(make_secret_value, MAKE_SECRET_LEN);
}

static int
create_certificate(struct why *why)
{
	return make_certificate(stage.t, &stage.c, NEW, blob_span(&cert), why);
}

static enum state
new_certificate(void)
{
	return new_value(cert.data, cert.len);
}

static int
create_private_key(struct why *why)
{
	return make_private(stage.t, &stage.c, NEW, why);
}

static enum state
new_private_key(void)
{
	enum state s = by_count(count_of(NEW), 1);

	if (s == STATE_NEW) {
		must_ok(make_public(stage.t, &stage.c, NEW, false, why));
		must_sign(NEW);
	}
	return s;
}

static int
create_three(struct why *why)
{
	return make_three(stage.t, &stage.c, NEW, blob_span(&cert), why);
}

static enum state
three_new(void)
{
	enum state s = by_count(count_of(NEW), 3);

	if (s == STATE_NEW) {
		must_sign(NEW);
		must_be(one(NEW, CKO_CERTIFICATE), cert.data, cert.len);
	}
	return s;
}

static int
unwrap_key(struct why *why)
{
	return make_unwrapped(stage.t, &stage.c, target, NEW, why);
}

static enum state
new_unwrapped_key(void)
{
	return new_value(make_unwrapped_value, MAKE_SECRET_LEN);
}

static int
derive_key(struct why *why)
{
	return make_derived(stage.t, &stage.c, target, NEW, why);
}

static enum state
new_derived_key(void)
{
	return new_value(make_derived_value, MAKE_DERIVED_LEN);
}

static int
generate_key(struct why *why)
{
	CK_MECHANISM mech = { CKM_AES_KEY_GEN, NULL, 0 };
	CK_ATTRIBUTE templ[] = { ULONG_ATTR(CKA_VALUE_LEN, 32),
		BOOL_ATTR(CKA_TOKEN, true), TEXT_ATTR(CKA_LABEL, NEW) };
	CK_OBJECT_HANDLE h;

	return token_generate_key(stage.t, &stage.c, &mech, templ, COUNT(templ),
	    &h, why);
}

static enum state
new_key(void)
{
	_cleanup_(object_unrefp) struct object *o = NULL;
	_cleanup_(secret_freep) struct secret *value = NULL;

	if (count_of(NEW) == 0)
		return STATE_OLD;
	must_ok(token_object(stage.t, &stage.c, one(NEW, ANY), &o));
	must_ok(object_secret_value(stage.t, o, stage.c.permit, &value, why));
	must(secret_span(value).len == 32);
	return STATE_NEW;
}

static int
set_label(struct why *why)
{
	CK_ATTRIBUTE label = TEXT_ATTR(CKA_LABEL, NEW);

	return token_set_attributes(stage.t, &stage.c, target, &label, 1, why);
}

static enum state
victim_renamed(void)
{
	size_t n = count_of(NEW);

	must(n + count_of("victim") == 1);
	must_hold(n > 0 ? NEW : "victim", "victim", 6);
	return n > 0 ? STATE_NEW : STATE_OLD;
}

static int
destroy(struct why *why)
{
	return token_destroy(stage.t, &stage.c, target, why);
}

static enum state
victim_gone(void)
{
	if (count_of("victim") == 0)
		return STATE_NEW;
	must_hold("victim", "victim", 6);
	return STATE_OLD;
}

static int
init_pin(struct why *why)
{
	return token_init_pin(stage.t, &stage.f.permit, text(NEW_PIN),
	    &stage.f.policy, &stage.f.vtpm, why);
}

static int
set_user_pin(struct why *why)
{
	return token_set_pin(stage.t, &stage.f.permit, false, text(USER_PIN),
	    text(NEW_PIN), &stage.f.policy, &stage.f.vtpm, why);
}

static int
set_so_pin(struct why *why)
{
	return token_set_pin(stage.t, &stage.f.permit, true, text(SO_PIN),
	    text(NEW_PIN), &stage.f.policy, &stage.f.vtpm, why);
}

/* One of two PINs opens, and the other does not. */
static enum state
which_opens(int (*login)(struct fixture *, const char *, struct why *),
    const char *old)
{
	int with_old, with_new;

	must_ok(unseal(&stage.f, why));
	with_new = login(&stage.f, NEW_PIN, NULL);
	token_logout(stage.t);
	with_old = login(&stage.f, old, NULL);
	must((with_old == CVM_OK && with_new == CVM_E_PIN_INCORRECT) ||
	    (with_new == CVM_OK && with_old == CVM_E_PIN_INCORRECT));
	token_logout(stage.t);
	must_ok(login(&stage.f, with_new == CVM_OK ? NEW_PIN : old, why));
	return with_new == CVM_OK ? STATE_NEW : STATE_OLD;
}

static enum state
user_pin_is(void)
{
	return which_opens(login_user, USER_PIN);
}

static enum state
so_pin_is(void)
{
	enum state s = which_opens(login_so, SO_PIN);

	token_logout(stage.t);
	open_as_user(USER_PIN);
	return s;
}

static uint32_t
tries_left(void)
{
	struct token_info info;

	token_get_info(stage.t, &info);
	return info.user_tries_left;
}

/* What the change wants is the refusal. */
static int
wrong_pin(struct why *why)
{
	int err = login_user(&stage.f, "wrong-pin", why);

	return err == CVM_E_PIN_INCORRECT ? CVM_OK : err;
}

static enum state
one_try_less(void)
{
	uint32_t left = tries_left();

	must(left == PIN_TRIES - TRIES_USED ||
	    left == PIN_TRIES - TRIES_USED - 1);
	open_as_user(USER_PIN);
	return left == PIN_TRIES - TRIES_USED ? STATE_OLD : STATE_NEW;
}

static int
right_pin(struct why *why)
{
	return login_user(&stage.f, USER_PIN, why);
}

/* A login that was interrupted counts as one try, as every one does until it
 * is known to be right. */
static enum state
all_tries_back(void)
{
	uint32_t left = tries_left();

	open_as_user(USER_PIN);
	if (left == PIN_TRIES)
		return STATE_NEW;
	must(left == PIN_TRIES - TRIES_USED ||
	    left == PIN_TRIES - TRIES_USED - 1);
	return STATE_OLD;
}

static size_t
count_seals(void)
{
	_cleanup_(store_seals_clear) struct store_seals l = { 0 };

	must_ok(token_seals(stage.t, &l, why));
	return l.n;
}

static int
add_recovery(struct why *why)
{
	_cleanup_(secret_freep) struct secret *code = NULL;

	return token_seal_add_recovery(stage.t, &stage.f.permit,
	    &stage.f.policy, &code, why);
}

static int
remove_seal(struct why *why)
{
	return token_seal_remove(stage.t, &stage.f.permit, recovery_id, why);
}

/* The sets are "current" and "next"; each has a seal for token, user, SO. */
static int
remove_set(struct why *why)
{
	size_t n = 0;
	int err = token_seal_remove_set(stage.t, &stage.f.permit, "next", &n,
	    why);

	return err == CVM_OK && n != 3 ? CVM_E_INTERNAL : err;
}

static enum state
seals_added(void)
{
	as_user();
	return by_count(count_seals() - n_seals, 2);
}

static enum state
seal_removed(void)
{
	as_user();
	return by_count(n_seals - count_seals(), 1);
}

static enum state
set_removed(void)
{
	as_user();
	return by_count(n_seals - count_seals(), 3);
}

static struct pcr_set
third_set(void)
{
	struct pcr_set set = stage.f.policy.tpm.pcr_sets[0];

	(void)snprintf(set.label, sizeof(set.label), "third");
	set.value[4][0] ^= 0xff;
	return set;
}

static int
add_set(struct why *why)
{
	const struct pcr_set set = third_set();

	return token_seal_add_set(stage.t, &stage.f.permit, &stage.f.policy,
	    &set, &stage.f.vtpm, text(USER_PIN), text(SO_PIN), why);
}

static enum state
set_added(void)
{
	as_user();
	return by_count(count_seals() - n_seals, 3);
}

static int
reseal(struct why *why)
{
	struct policy p = stage.f.policy;
	const struct token_reseal in = {
		.policy = &p,
		.vtpm = &stage.f.vtpm,
		.user_pin = text(USER_PIN),
		.so_pin = text(SO_PIN),
	};

	p.digest[0] ^= 0xff;
	return token_reseal(stage.t, &stage.f.permit, &in, why);
}

static enum state
opens_under(void)
{
	int with_old = unseal(&stage.f, NULL), with_new;

	token_wipe(stage.t);
	stage.f.policy.digest[0] ^= 0xff;
	with_new = unseal(&stage.f, NULL);
	must((with_old == CVM_OK && with_new == CVM_E_SEALED) ||
	    (with_new == CVM_OK && with_old == CVM_E_SEALED));
	if (with_old == CVM_OK)
		stage.f.policy.digest[0] ^= 0xff;
	open_as_user(USER_PIN);
	return with_new == CVM_OK ? STATE_NEW : STATE_OLD;
}

static int
note_time(struct why *why)
{
	const struct seen seen = { .n = 1, .v[0].time = TIME_NEW };

	return token_note(stage.t, &stage.f.permit, TIME_NEW, &seen, why);
}

static enum state
time_is(void)
{
	struct seen seen = { 0 };
	int64_t t;

	as_user();
	t = token_time_mark(stage.t);
	token_seen(stage.t, &seen);
	must(t == TIME_OLD || t == TIME_NEW);
	must(seen.n == (t == TIME_NEW)); /* both, or none of the two */
	return t == TIME_NEW ? STATE_NEW : STATE_OLD;
}

static int
init_new(struct why *why)
{
	return try_init(&stage.f, SO_PIN, NULL, why);
}

static void
no_token(void)
{
	must(unlink(stage.f.path) == 0);
	fixture_restart(&stage.f);
	stage.t = stage.f.token;
}

static enum state
token_made(void)
{
	struct token_info info;

	token_get_info(stage.t, &info);
	must(info.initialised == (access(stage.f.path, F_OK) == 0));
	if (!info.initialised)
		return STATE_OLD;
	as_so();
	must(count_of("pair") == 0);
	return STATE_NEW;
}

/* The old token is kept beside the new one, as it was but for the count of
 * SO PINs. */
static enum state
token_replaced(void)
{
	struct stat st;
	char old[128];

	as_so();
	token_logout(stage.t);
	if (tries_left() == PIN_TRIES - TRIES_USED) {
		open_as_user(USER_PIN);
		must_be_whole();
		return STATE_OLD;
	}
	(void)snprintf(old, sizeof(old), "%s.old", stage.f.path);
	must(stat(old, &st) == 0 && (size_t)st.st_size >= golden_size());
	must(rename(old, stage.f.path) == 0);
	fixture_restart(&stage.f);
	stage.t = stage.f.token;
	open_as_user(USER_PIN);
	must_be_whole();
	return STATE_NEW;
}

static const struct change {
	const char *name;
	void (*before)(void);
	int (*make)(struct why *why);
	enum state (*look)(void); /* logs the user in unless USER */
	enum {
		USER = 1,  /* is logged in with the old PIN, before look() */
		OTHER = 2, /* the token's objects are look()'s business */
	} flags;
} changes[] = {
	{ "create public data", as_user, create_public_data, new_data, USER },
	{ "create private data", as_user, create_private_data, new_data, USER },
	{ "create secret key", as_user, create_secret_key, new_secret, USER },
	{ "copy", with_secret, copy_secret_key, new_secret, USER },
	{ "create certificate", as_user, create_certificate, new_certificate,
	    USER },
	{ "create private key", as_user, create_private_key, new_private_key,
	    USER },
	{ "create key, public key and certificate", as_user, create_three,
	    three_new, USER },
	{ "unwrap", with_unwrapping_key, unwrap_key, new_unwrapped_key, USER },
	{ "derive", with_base_key, derive_key, new_derived_key, USER },
	{ "generate key", as_user, generate_key, new_key, USER },
	{ "generate pair", as_user, generate_pair, new_pair, USER },
	{ "set attribute", with_victim, set_label, victim_renamed, USER },
	{ "destroy", with_victim, destroy, victim_gone, USER },
	{ "init-pin", as_so, init_pin, user_pin_is, 0 },
	{ "set-pin of the user", as_nobody, set_user_pin, user_pin_is, 0 },
	{ "set-pin of the SO", as_nobody, set_so_pin, so_pin_is, 0 },
	{ "wrong PIN", as_nobody, wrong_pin, one_try_less, 0 },
	{ "right PIN", as_nobody, right_pin, all_tries_back, 0 },
	{ "add recovery seals", as_both, add_recovery, seals_added, 0 },
	{ "remove a seal", as_user, remove_seal, seal_removed, 0 },
	{ "remove a PCR set", as_user, remove_set, set_removed, 0 },
	{ "add a PCR set", as_both, add_set, set_added, 0 },
	{ "reseal", as_both, reseal, opens_under, 0 },
	{ "time mark", as_nobody, note_time, time_is, 0 },
	{ "init", no_token, init_new, token_made, OTHER },
	{ "init over a token", as_nobody, init_new, token_replaced, OTHER },
};

const unsigned n_changes = COUNT(changes);

const char *
change_name(unsigned i)
{
	return changes[i].name;
}

bool
change_is_lenient(unsigned i)
{
	return changes[i].make == right_pin;
}

const char *
changes_dir(void)
{
	return stage.f.dir;
}

static void
note_seals(void)
{
	_cleanup_(store_seals_clear) struct store_seals l = { 0 };

	ok(token_seals(stage.t, &l, why));
	n_seals = l.n;
	for (size_t i = 0; i < l.n; i++)
		if (l.v[i].kind == SEAL_RECOVERY)
			memcpy(recovery_id, l.v[i].id, STORE_ID_LEN);
}

static void
fill_token(void)
{
	_cleanup_(secret_freep) struct secret *code = NULL;
	struct fixture *f = &stage.f;

	ok(try_init(f, SO_PIN, NULL, why));
	ok(login_so(f, SO_PIN, why));
	ok(token_init_pin(f->token, &f->permit, text(USER_PIN), &f->policy,
	    &f->vtpm, why));
	token_logout(f->token);
	ok(login_user(f, USER_PIN, why));
	ok(token_seal_add_recovery(f->token, &f->permit, &f->policy, &code,
	    why));
	ok(token_note(f->token, &f->permit, TIME_OLD, NULL, why));
	ok(make_pair(stage.t, &stage.c, "pair", why));
	ok(make_key(stage.t, &stage.c, "secret", why));
	ok(make_data(stage.t, &stage.c, "data", "public", false, why));
	ok(make_data(stage.t, &stage.c, "private data", "private", true, why));
	ok(make_data(stage.t, &stage.c, "victim", "victim", true, why));
	note_seals();
	memcpy(old_id, f->token->meta.id, TOKEN_ID_LEN);
	token_logout(f->token);
	for (int i = 0; i < TRIES_USED; i++)
		refused(CVM_E_PIN_INCORRECT, login_user(f, "wrong-pin", why));
}

/* In memory where there is such a place: nothing here loses power. */
void
changes_start(void)
{
	struct fixture *f = &stage.f;

	fixture_new(f, LOGIN_PIN);
	if (access("/dev/shm", W_OK) == 0) {
		assert_int_equal(rmdir(f->dir), 0);
		strcpy(f->dir, "/dev/shm/test-token.XXXXXX");
		assert_non_null(mkdtemp(f->dir));
		(void)snprintf(f->path, sizeof(f->path), "%s/web.db", f->dir);
	}
	stage.t = f->token;
	stage.c = (struct caller){ .session = 1,
		.user = true,
		.writable = true,
		.permit = &f->permit };
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(shared != MAP_FAILED);
	make_cert_der(&cert);
	fill_token();
	token_freep(&f->token);
	golden_keep(f->path);
}

void
changes_stop(void)
{
	golden_free();
	blob_clear(&cert);
	(void)munmap(shared, sizeof(*shared));
	fixture_free(&stage.f);
}

static void
look_at(const struct change *c)
{
	struct token_info info;

	token_freep(&stage.f.token);
	new_permit(&stage.f); /* none outlives a fork */
	must_ok(token_new(&stage.f.cfg, &stage.f.issuer, &stage.f.token));
	stage.t = stage.f.token;
	token_get_info(stage.t, &info);
	must(!info.error_state);
	if ((c->flags & OTHER) == 0) {
		must(info.initialised);
		must(info.so_tries_left == PIN_TRIES || c->make == set_so_pin);
	}
	if ((c->flags & USER) != 0)
		open_as_user(USER_PIN);
	shared->state = c->look();
	if ((c->flags & OTHER) == 0)
		must_be_whole();
}

/* In a fresh process, which leaves the store as it found it. */
static void
look_from_outside(const struct change *c)
{
	int status = 0;
	pid_t pid;

	pid = fork();
	if (pid == 0) {
		look_at(c);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		if (shared->complaint[0] == '\0')
			(void)snprintf(shared->complaint,
			    sizeof(shared->complaint), "status 0x%x", status);
}

static void
work(void *arg)
{
	const struct change *c = arg;
	struct why again = { 0 };

	new_permit(&stage.f); /* none outlives a fork */
	must_ok(token_new(&stage.f.cfg, &stage.f.issuer, &stage.f.token));
	stage.t = stage.f.token;
	c->before();
	tracer_mark();
	shared->err = c->make(&shared->why);
	shared->returned = true;
	tracer_end();
	/* Somebody looked, and saw that nothing had changed. */
	if (shared->err != CVM_OK && shared->complaint[0] == '\0' &&
	    shared->state == STATE_OLD)
		shared->err_again = c->make(&again);
	_exit(0);
}

static void
look_after(void *arg)
{
	const struct change *c = arg;

	look_from_outside(c);
}

static struct traced
run(const struct change *c, enum harm harm, unsigned n, int error)
{
	union {
		const struct change *in;
		void *out;
	} arg = { .in = c };
	const struct traced_job job = { work, look_after, arg.out };
	struct traced t;

	t = traced_run(stage.f.dir, harm, n, error, &job);
	if (!shared->returned) /* killed, and nobody has looked yet */
		look_from_outside(c);
	return t;
}

void
change_run(unsigned i, enum harm harm, unsigned n, int error,
    struct outcome *ret)
{
	memset(ret, 0, sizeof(*ret));
	memset(shared, 0, sizeof(*shared));
	golden_restore(stage.f.dir, stage.f.path);
	ret->traced = run(&changes[i], harm, n, error);
	ret->returned = shared->returned;
	ret->err = shared->err;
	ret->err_again = shared->err_again;
	ret->why = shared->why;
	ret->state = shared->state;
	memcpy(ret->complaint, shared->complaint, sizeof(ret->complaint));
}

/* A writer that dies at its n-th call. */
static struct killed {
	unsigned n;
	struct traced traced;
} killed;

static void
kill_a_writer(void)
{
	killed.traced = run(&changes[0], HARM_KILL, killed.n, 0);
}

/* When a PIN is first turned into the new token's auth value. */
static void
kill_before_new_token(const uint8_t *token_id)
{
	if (memcmp(token_id, old_id, TOKEN_ID_LEN) == 0)
		return;
	kill_a_writer();
	quick_pin_hook = NULL;
}

void
init_beside_killed(unsigned n, struct outcome *ret)
{
	const struct change *init = &changes[n_changes - 1];
	struct fixture *f = &stage.f;

	memset(ret, 0, sizeof(*ret));
	memset(shared, 0, sizeof(*shared));
	golden_restore(stage.f.dir, stage.f.path);
	killed = (struct killed){ .n = n };
	new_permit(f);
	ok(token_new(&f->cfg, &f->issuer, &f->token));
	stage.t = f->token;
	quick_pin_hook = kill_before_new_token;
	ret->err = init->make(&ret->why);
	ret->returned = true;
	ret->traced = killed.traced;
	token_freep(&f->token);
	look_from_outside(init);
	ret->state = shared->state;
	memcpy(ret->complaint, shared->complaint, sizeof(ret->complaint));
}
