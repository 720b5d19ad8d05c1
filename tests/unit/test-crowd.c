/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/objects-fixture.h"

/*
 * Many processes on one token, for CROWD_SECONDS (5): writers make, rename
 * and destroy objects, and say before and after what must be there; readers
 * look for it, and take apart all that they find.
 */
#define WRITERS 8
#define READERS 32
#define KEPT 6 /* objects of one writer at a time */
#define VALUE_LEN 600
#define COMPLAINT_LEN 256

static struct crowd {
	_Atomic bool over;
	/* Objects 1 to made are committed, of which 1 to gone may be missing
	 * since somebody destroys them. */
	_Atomic unsigned made[WRITERS], gone[WRITERS];
	_Atomic unsigned looks, signatures;
	_Atomic int complaints;
	char complaint[COMPLAINT_LEN];
} * crowd;

static void __attribute__((noreturn))
complain(const char *what, unsigned w, unsigned i, const struct why *why)
{
	char text_[WHY_SENTENCE_MAX] = "";

	if (why != NULL && why->err != CVM_OK)
		(void)why_sentence(why, text_, sizeof(text_));
	if (atomic_fetch_add(&crowd->complaints, 1) == 0)
		(void)snprintf(crowd->complaint, COMPLAINT_LEN,
		    "%s: writer %u, object %u: %.180s", what, w, i, text_);
	atomic_store(&crowd->over, true);
	_exit(1);
}

#define must_ok(call, w, i)                                                    \
	do {                                                                   \
		struct why why_ = { 0 }, *why = &why_;                         \
		int err_ = (call);                                             \
		(void)why;                                                     \
		why_.err = err_;                                               \
		if (err_ != CVM_OK)                                            \
			complain(#call, w, i, why);                            \
	} while (0)

struct name {
	char text[32];
	unsigned writer, i;
	bool renamed;
};

static void
name_of(unsigned w, unsigned i, bool renamed, struct name *ret)
{
	*ret = (struct name){ .writer = w, .i = i, .renamed = renamed };
	(void)snprintf(ret->text, sizeof(ret->text), "%s %u %u",
	    renamed ? "late" : "early", w, i);
}

/* The value of a private object never changes. */
static bool
is_private(unsigned w)
{
	return (w & 1) != 0;
}

/* Every byte of a value tells of what object it is, and of what age. */
static void
value_of(const struct name *n, uint8_t out[static VALUE_LEN])
{
	for (size_t k = 0; k < VALUE_LEN; k++)
		out[k] = (uint8_t)(n->writer * 31 + n->i * 7 + k +
		    (n->renamed && !is_private(n->writer) ? 128 : 0));
}

static CK_ATTRIBUTE
label_attr(struct name *n)
{
	return (CK_ATTRIBUTE){ CKA_LABEL, n->text, strlen(n->text) };
}

/* As a program that has just begun. */
static void
arrive(struct stage *s)
{
	token_freep(&s->f.token);
	new_permit(&s->f);
	must_ok(token_new(&s->f.cfg, &s->f.issuer, &s->f.token), 0, 0);
	must_ok(unseal(&s->f, why), 0, 0);
	s->t = s->f.token;
}

static CK_OBJECT_HANDLE
make(struct stage *s, unsigned w, unsigned i)
{
	uint8_t value[VALUE_LEN];
	struct name n;
	CK_OBJECT_HANDLE h = 0;

	name_of(w, i, false, &n);
	value_of(&n, value);
	{
		CK_ATTRIBUTE templ[] = {
			ULONG_ATTR(CKA_CLASS, CKO_DATA),
			BOOL_ATTR(CKA_TOKEN, true),
			BOOL_ATTR(CKA_PRIVATE, is_private(w)),
			BYTES_ATTR(CKA_VALUE, value),
			label_attr(&n),
		};

		must_ok(token_create(s->t, &s->c, templ, COUNT(templ), &h, why),
		    w, i);
	}
	return h;
}

/* Label and, in public objects, value in one change. */
static void
rename_it(struct stage *s, unsigned w, unsigned i, CK_OBJECT_HANDLE h)
{
	uint8_t value[VALUE_LEN];
	struct name n;

	name_of(w, i, true, &n);
	value_of(&n, value);
	{
		CK_ATTRIBUTE templ[] = { label_attr(&n),
			BYTES_ATTR(CKA_VALUE, value) };

		must_ok(token_set_attributes(s->t, &s->c, h, templ,
			    is_private(w) ? 1 : 2, why),
		    w, i);
	}
}

static void
write_on(struct stage *s, unsigned w)
{
	CK_OBJECT_HANDLE kept[KEPT] = { 0 };

	arrive(s);
	for (unsigned i = 1; !atomic_load(&crowd->over); i++) {
		CK_OBJECT_HANDLE *h = &kept[i % KEPT];

		if (i > KEPT) {
			atomic_store(&crowd->gone[w], i - KEPT);
			must_ok(token_destroy(s->t, &s->c, *h, why), w,
			    i - KEPT);
		}
		*h = make(s, w, i);
		atomic_store(&crowd->made[w], i);
		if (i > 2)
			rename_it(s, w, i - 2, kept[(i - 2) % KEPT]);
	}
}

/* May it be missing by now? */
static bool
is_gone(unsigned w, unsigned i)
{
	return i <= atomic_load(&crowd->gone[w]);
}

/* One object that was found: label and value of one age. */
static void
take_apart(struct stage *s, CK_OBJECT_HANDLE h)
{
	uint8_t value[VALUE_LEN], want[VALUE_LEN];
	char label[32] = "", age[8];
	CK_ATTRIBUTE a[] = {
		{ CKA_LABEL, label, sizeof(label) - 1 },
		{ CKA_VALUE, value, sizeof(value) },
	};
	struct name n;
	unsigned w, i;
	int err = token_get_attributes(s->t, &s->c, h, a, COUNT(a));

	if (err == CVM_E_NOT_FOUND || err == CVM_E_ATTR_TYPE)
		return; /* destroyed meanwhile; or a key */
	if (err != CVM_OK && err != CVM_E_ATTR_SENSITIVE)
		complain("attributes", 0, 0, &(struct why){ .err = err });
	if (sscanf(label, "%5s %u %u", age, &w, &i) != 3)
		return;
	name_of(w, i, age[0] == 'l', &n);
	value_of(&n, want);
	if (a[1].ulValueLen != VALUE_LEN || memcmp(value, want, VALUE_LEN) != 0)
		complain("half an object", w, i, NULL);
}

static size_t
look_for(struct stage *s, struct name *n, CK_OBJECT_HANDLE *ret)
{
	_cleanup_(freep) CK_OBJECT_HANDLE *v = NULL;
	CK_ATTRIBUTE a = label_attr(n);
	size_t found = 0;

	must_ok(token_find(s->t, &s->c, &a, 1, &v, &found, why), n->writer,
	    n->i);
	if (found > 0)
		*ret = v[0];
	return found;
}

/* Under its first name or, when it was renamed in between, its second. */
static void
newest_is_there(struct stage *s, unsigned w)
{
	unsigned i = atomic_load(&crowd->made[w]);
	CK_OBJECT_HANDLE h = 0;
	struct name n;

	if (i == 0)
		return;
	name_of(w, i, false, &n);
	if (look_for(s, &n, &h) == 0) {
		name_of(w, i, true, &n);
		if (look_for(s, &n, &h) == 0 && !is_gone(w, i))
			complain("lost", w, i, NULL);
	}
	if (h != 0)
		take_apart(s, h);
}

static void
everything_is_whole(struct stage *s)
{
	_cleanup_(freep) CK_OBJECT_HANDLE *v = NULL;
	size_t n = 0;

	must_ok(token_find(s->t, &s->c, NULL, 0, &v, &n, why), 0, 0);
	for (size_t i = 0; i < n; i++)
		take_apart(s, v[i]);
}

static void
key_signs(struct stage *s, const struct pair *p)
{
	CK_MECHANISM mech = { CKM_ECDSA_SHA256, NULL, 0 };
	_cleanup_(object_unrefp) struct object *o = NULL, *pub = NULL;
	_cleanup_(op_freep) struct op *sign = NULL, *verify = NULL;
	uint8_t sig[256];
	CK_ULONG len = sizeof(sig);

	must_ok(token_object(s->t, &s->c, p->priv, &o), 0, 0);
	must_ok(token_object(s->t, &s->c, p->pub, &pub), 0, 0);
	must_ok(op_new(s->t, &s->f.cfg, OP_SIGN, &mech, o, s->c.permit, &sign,
		    why),
	    0, 0);
	must_ok(op_once(sign, s->c.permit, text("x"), sig, &len, why), 0, 0);
	must_ok(op_new(s->t, &s->f.cfg, OP_VERIFY, &mech, pub, s->c.permit,
		    &verify, why),
	    0, 0);
	must_ok(op_verify_once(verify, text("x"), span(sig, len)), 0, 0);
}

static struct pair
find_pair(struct stage *s)
{
	struct pair p = { 0, 0 };
	CK_ATTRIBUTE pub = ULONG_ATTR(CKA_CLASS, CKO_PUBLIC_KEY);
	CK_ATTRIBUTE priv = ULONG_ATTR(CKA_CLASS, CKO_PRIVATE_KEY);
	CK_ATTRIBUTE *a[] = { &pub, &priv };

	for (size_t i = 0; i < COUNT(a); i++) {
		_cleanup_(freep) CK_OBJECT_HANDLE *v = NULL;
		size_t n = 0;

		must_ok(token_find(s->t, &s->c, a[i], 1, &v, &n, why), 0, 0);
		if (n != 1)
			complain("key pair", 0, (unsigned)n, NULL);
		*(i == 0 ? &p.pub : &p.priv) = v[0];
	}
	return p;
}

static void
read_on(struct stage *s, unsigned reader)
{
	struct pair p;

	arrive(s);
	p = find_pair(s);
	for (unsigned i = reader; !atomic_load(&crowd->over); i++) {
		newest_is_there(s, i % WRITERS);
		if (i % 8 == 0)
			everything_is_whole(s);
		key_signs(s, &p);
		atomic_fetch_add(&crowd->looks, 1);
		if (i % 64 == 63)
			arrive(s);
		if (i % 64 == 63)
			p = find_pair(s);
	}
}

static void
start_all(struct stage *s, pid_t *pids)
{
	for (unsigned i = 0; i < WRITERS + READERS; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] != 0)
			continue;
		if (i < WRITERS)
			write_on(s, i);
		else
			read_on(s, i - WRITERS);
		_exit(0);
	}
}

static unsigned
seconds(void)
{
	const char *s = getenv("CROWD_SECONDS");

	return s != NULL ? (unsigned)strtoul(s, NULL, 10) : 5;
}

/* What was committed last, as a process sees it that comes when all is over. */
static void
nothing_is_lost(struct stage *s)
{
	stage_restart(s);
	for (unsigned w = 0; w < WRITERS; w++) {
		unsigned made = atomic_load(&crowd->made[w]);

		for (unsigned i = atomic_load(&crowd->gone[w]) + 1; i <= made;
		     i++) {
			CK_OBJECT_HANDLE h = 0;
			struct name early, late;

			name_of(w, i, false, &early);
			name_of(w, i, true, &late);
			if (look_for(s, &early, &h) + look_for(s, &late, &h) !=
			    1)
				fail_msg("writer %u: object %u", w, i);
			take_apart(s, h);
		}
	}
}

static void
writers_and_readers(void **state)
{
	struct stage *s = *state;
	pid_t pids[WRITERS + READERS];
	unsigned made = 0;
	bool good = true;

	(void)make_ec(s, CKM_EC_KEY_PAIR_GEN, p256, sizeof(p256), true);
	start_all(s, pids);
	for (unsigned i = 0; i < seconds() * 10; i++)
		if (!atomic_load(&crowd->over))
			(void)usleep(100000);
	atomic_store(&crowd->over, true);
	for (unsigned i = 0; i < WRITERS + READERS; i++) {
		int status = 0;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		good = good && status == 0;
	}
	if (!good)
		fail_msg("%d processes: %s", atomic_load(&crowd->complaints),
		    crowd->complaint);
	for (unsigned w = 0; w < WRITERS; w++)
		made += atomic_load(&crowd->made[w]);
	print_message("# %u objects made, %u looks\n", made,
	    atomic_load(&crowd->looks));
	assert_true(made > 0 && atomic_load(&crowd->looks) > 0);
	nothing_is_lost(s);
}

static int
setup(void **state)
{
	crowd = mmap(NULL, sizeof(*crowd), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (crowd == MAP_FAILED)
		return -1;
	return stage_setup(state);
}

static int
teardown(void **state)
{
	(void)munmap(crowd, sizeof(*crowd));
	return stage_teardown(state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(writers_and_readers, setup,
		    teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
