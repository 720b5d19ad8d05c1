/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#include "tests/unit/scene.h"

/*
 * What PKCS#11 costs: each operation through the module (C_SignInit and
 * C_Sign), as a ratio to OpenSSL without it, at 1, 2, 8 and 32 threads, in
 * slices that take turns. OpenSSL is used as a careful program does that has
 * nothing else in mind: each thread has contexts of its own, whose keys are
 * set once; for AES-GCM it sets the IV of each message and takes the tag.
 *
 * There are two ratios: of operations a second, and of operations a second of
 * processor time, which other programs of a busy machine disturb less. Each is
 * the median over the slices, of which ours and OpenSSL's that follow each
 * other make one. SoftHSM2 is measured beside them where it is installed
 * (CVM_SOFTHSM names its library). An argument chooses the operations whose
 * names contain it.
 */
#define SLICE_NS 20000000u
#define SLICES 15
#define THREADS_MAX 32
#define LEN 1024

static uint64_t
now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t
cpu_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* A PKCS#11 module, opened and logged in. */
struct peer {
	const char *name;
	CK_FUNCTION_LIST *f;
	CK_SLOT_ID slot;
	CK_SESSION_HANDLE main;
	CK_OBJECT_HANDLE rsa_pub, rsa, ec, ed, aes;
};

/* One thread's means. */
struct worker {
	const struct peer *peer; /* NULL: OpenSSL */
	CK_SESSION_HANDLE session;
	EVP_PKEY_CTX *rsa_sign, *rsa_decrypt, *ec;
	EVP_MD_CTX *ed;
	EVP_CIPHER_CTX *gcm;
	uint8_t box[LEN + 16];
};

static EVP_PKEY *raw_rsa, *raw_ec, *raw_ed;
static uint8_t wrapped[2][256]; /* for OpenSSL's key; for the peer's */
static const uint8_t digest[51] = { 7 }, text[LEN] = { 1 }, key32[32] = { 3 };
static uint8_t iv[12] = { 5 };
static const char *only;

#define MUST(x)                                                                \
	do {                                                                   \
		if (!(x)) {                                                    \
			(void)fprintf(stderr, "bench-token: %s\n", #x);        \
			exit(1);                                               \
		}                                                              \
	} while (0)

static void
p11_sign(struct worker *w, CK_MECHANISM_TYPE type, CK_OBJECT_HANDLE key,
    size_t len)
{
	CK_MECHANISM m = { type, NULL, 0 };
	uint8_t sig[512];
	CK_ULONG n = sizeof(sig);
	union {
		const uint8_t *in;
		uint8_t *out;
	} u = { .in = digest };

	MUST(w->peer->f->C_SignInit(w->session, &m, key) == CKR_OK);
	MUST(w->peer->f->C_Sign(w->session, u.out, len, sig, &n) == CKR_OK);
}

static void
rsa_sign(struct worker *w)
{
	uint8_t sig[256];
	size_t n = sizeof(sig);

	if (w->peer != NULL)
		p11_sign(w, CKM_RSA_PKCS, w->peer->rsa, sizeof(digest));
	else
		MUST(EVP_PKEY_sign(w->rsa_sign, sig, &n, digest,
			 sizeof(digest)) == 1);
}

static void
ec_sign(struct worker *w)
{
	uint8_t sig[80];
	size_t n = sizeof(sig);

	if (w->peer != NULL)
		p11_sign(w, CKM_ECDSA, w->peer->ec, 32);
	else
		MUST(EVP_PKEY_sign(w->ec, sig, &n, digest, 32) == 1);
}

static void
ed_sign(struct worker *w)
{
	uint8_t sig[64];
	size_t n = sizeof(sig);

	if (w->peer != NULL)
		p11_sign(w, CKM_EDDSA, w->peer->ed, 32);
	else
		MUST(EVP_DigestSign(w->ed, sig, &n, digest, 32) == 1);
}

static void
rsa_decrypt(struct worker *w)
{
	CK_MECHANISM m = { CKM_RSA_PKCS, NULL, 0 };
	uint8_t out[256];
	CK_ULONG n = sizeof(out);
	size_t len = sizeof(out);

	if (w->peer == NULL) {
		MUST(EVP_PKEY_decrypt(w->rsa_decrypt, out, &len, wrapped[0],
			 256) == 1);
		return;
	}
	MUST(w->peer->f->C_DecryptInit(w->session, &m, w->peer->rsa) == CKR_OK);
	MUST(w->peer->f->C_Decrypt(w->session, wrapped[1], 256, out, &n) ==
	    CKR_OK);
}

static void
gcm(struct worker *w)
{
	CK_GCM_PARAMS p = { iv, 12, 96, NULL, 0, 128 };
	CK_MECHANISM m = { CKM_AES_GCM, &p, sizeof(p) };
	CK_ULONG n = sizeof(w->box);
	int len;
	union {
		const uint8_t *in;
		uint8_t *out;
	} u = { .in = text };

	if (w->peer == NULL) {
		MUST(EVP_EncryptInit_ex2(w->gcm, NULL, NULL, iv, NULL) == 1 &&
		    EVP_EncryptUpdate(w->gcm, w->box, &len, text, LEN) == 1 &&
		    EVP_EncryptFinal_ex(w->gcm, w->box, &len) == 1 &&
		    EVP_CIPHER_CTX_ctrl(w->gcm, EVP_CTRL_AEAD_GET_TAG, 16,
			&w->box[LEN]) == 1);
		return;
	}
	MUST(w->peer->f->C_EncryptInit(w->session, &m, w->peer->aes) == CKR_OK);
	MUST(w->peer->f->C_Encrypt(w->session, u.out, LEN, w->box, &n) ==
	    CKR_OK);
}

static void
random32(struct worker *w)
{
	if (w->peer != NULL)
		MUST(w->peer->f->C_GenerateRandom(w->session, w->box, 32) ==
		    CKR_OK);
	else
		MUST(RAND_bytes(w->box, 32) == 1);
}

static const struct {
	const char *name;
	double floor;
	void (*run)(struct worker *w);
} tasks[] = {
	{ "RSA-2048 sign", 0.98, rsa_sign },
	{ "ECDSA P-256 sign", 0.95, ec_sign },
	{ "RSA-2048 decrypt", 0.98, rsa_decrypt },
	{ "Ed25519 sign", 0.93, ed_sign },
	{ "AES-256-GCM 1 KiB", 0.80, gcm },
	{ "random 32 bytes", 0.80, random32 },
};

static EVP_PKEY_CTX *
pkey_ctx(EVP_PKEY *key, int (*init)(EVP_PKEY_CTX *), bool pad)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);

	MUST(ctx != NULL && init(ctx) == 1);
	MUST(!pad || EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1);
	return ctx;
}

static void
worker_new(struct worker *w, const struct peer *peer)
{
	*w = (struct worker){ .peer = peer };
	if (peer != NULL) {
		MUST(peer->f->C_OpenSession(peer->slot, RW, NULL, NULL,
			 &w->session) == CKR_OK);
		return;
	}
	w->rsa_sign = pkey_ctx(raw_rsa, EVP_PKEY_sign_init, true);
	w->rsa_decrypt = pkey_ctx(raw_rsa, EVP_PKEY_decrypt_init, true);
	w->ec = pkey_ctx(raw_ec, EVP_PKEY_sign_init, false);
	w->ed = EVP_MD_CTX_new();
	MUST(EVP_DigestSignInit(w->ed, NULL, NULL, NULL, raw_ed) == 1);
	w->gcm = EVP_CIPHER_CTX_new();
	MUST(EVP_EncryptInit_ex2(w->gcm, EVP_aes_256_gcm(), key32, iv, NULL) ==
	    1);
}

static void
worker_free(struct worker *w)
{
	if (w->peer != NULL)
		(void)w->peer->f->C_CloseSession(w->session);
	EVP_PKEY_CTX_free(w->rsa_sign);
	EVP_PKEY_CTX_free(w->rsa_decrypt);
	EVP_PKEY_CTX_free(w->ec);
	EVP_MD_CTX_free(w->ed);
	EVP_CIPHER_CTX_free(w->gcm);
}

struct slice {
	struct worker *w;
	void (*run)(struct worker *w);
	uint64_t until, done;
};

static void *
work(void *arg)
{
	struct slice *s = arg;

	/* The clock is asked rarely: an operation may take 200 ns. */
	while (now_ns() < s->until)
		for (int i = 0; i < 16; i++) {
			s->run(s->w);
			s->done++;
		}
	return NULL;
}

/* What a slice came to, a second. */
struct rate {
	double wall, cpu;
};

static struct rate
slice(struct worker *w, int threads, void (*run)(struct worker *w))
{
	double done = 0;
	struct slice s[THREADS_MAX];
	pthread_t t[THREADS_MAX];
	uint64_t start = now_ns(), cpu = cpu_ns();

	for (int i = 0; i < threads; i++) {
		s[i] = (struct slice){ &w[i], run, start + SLICE_NS, 0 };
		MUST(pthread_create(&t[i], NULL, work, &s[i]) == 0);
	}
	for (int i = 0; i < threads; i++) {
		(void)pthread_join(t[i], NULL);
		done += (double)s[i].done;
	}
	return (struct rate){ done * 1e9 / (double)(now_ns() - start),
		done * 1e9 / (double)(cpu_ns() - cpu) };
}

static int
by_size(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static double
median(double v[static SLICES])
{
	qsort(v, SLICES, sizeof(*v), by_size);
	return v[SLICES / 2];
}

static void
compare(const struct peer *p, size_t task, int threads, struct worker *raw,
    struct worker *ours)
{
	double wall[SLICES], cpu[SLICES], theirs[SLICES], own[SLICES];

	for (int i = 0; i < SLICES; i++) {
		struct rate r = slice(raw, threads, tasks[task].run);
		struct rate o = slice(ours, threads, tasks[task].run);

		wall[i] = o.wall / r.wall;
		cpu[i] = o.cpu / r.cpu;
		theirs[i] = r.wall;
		own[i] = o.wall;
	}
	(void)printf("%-10s %-18s %2d threads %9.0f/s  OpenSSL %9.0f/s  "
		     "ratio %.3f, by processor time %.3f (floor %.2f)\n",
	    p->name, tasks[task].name, threads, median(own), median(theirs),
	    median(wall), median(cpu), tasks[task].floor);
	(void)fflush(stdout);
}

static CK_OBJECT_HANDLE
pair(struct peer *p, CK_MECHANISM_TYPE type, CK_ATTRIBUTE *pub, CK_ULONG n,
    CK_OBJECT_HANDLE *ret_pub)
{
	CK_MECHANISM m = { type, NULL, 0 };
	CK_BBOOL yes = CK_TRUE;
	CK_ATTRIBUTE priv[] = { { CKA_SIGN, &yes, 1 },
		{ CKA_DECRYPT, &yes, 1 } };
	CK_OBJECT_HANDLE h = 0;

	MUST(p->f->C_GenerateKeyPair(p->main, &m, pub, n, priv,
		 type == CKM_RSA_PKCS_KEY_PAIR_GEN ? 2 : 1, ret_pub,
		 &h) == CKR_OK);
	return h;
}

/* Session objects: keys of a test, nobody's. */
static void
make_keys(struct peer *p)
{
	CK_BYTE p256[] = { 0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7 };
	CK_BYTE ed25519[] = { 0x13, 12, 'e', 'd', 'w', 'a', 'r', 'd', 's', '2',
		'5', '5', '1', '9' };
	CK_BYTE e[] = { 1, 0, 1 };
	CK_ULONG bits = 2048, len = 32;
	CK_BBOOL yes = CK_TRUE;
	CK_ATTRIBUTE rsa[] = { { CKA_MODULUS_BITS, &bits, sizeof(bits) },
		{ CKA_PUBLIC_EXPONENT, e, 3 }, { CKA_ENCRYPT, &yes, 1 } };
	CK_ATTRIBUTE ec[] = { { CKA_EC_PARAMS, p256, sizeof(p256) } };
	CK_ATTRIBUTE ed[] = { { CKA_EC_PARAMS, ed25519, sizeof(ed25519) } };
	CK_ATTRIBUTE aes[] = { { CKA_VALUE_LEN, &len, sizeof(len) },
		{ CKA_ENCRYPT, &yes, 1 } };
	CK_MECHANISM gen = { CKM_AES_KEY_GEN, NULL, 0 };
	CK_OBJECT_HANDLE pub = 0;

	p->rsa = pair(p, CKM_RSA_PKCS_KEY_PAIR_GEN, rsa, 3, &p->rsa_pub);
	p->ec = pair(p, CKM_EC_KEY_PAIR_GEN, ec, 1, &pub);
	p->ed = pair(p, CKM_EC_EDWARDS_KEY_PAIR_GEN, ed, 1, &pub);
	MUST(p->f->C_GenerateKey(p->main, &gen, aes, 2, &p->aes) == CKR_OK);
}

static void
wrap_for(const struct peer *p)
{
	CK_MECHANISM m = { CKM_RSA_PKCS, NULL, 0 };
	CK_ULONG n = 256;
	union {
		const uint8_t *in;
		uint8_t *out;
	} u = { .in = key32 };

	MUST(p->f->C_EncryptInit(p->main, &m, p->rsa_pub) == CKR_OK);
	MUST(p->f->C_Encrypt(p->main, u.out, 32, wrapped[1], &n) == CKR_OK);
}

static void
measure(const struct peer *p)
{
	static const int counts[] = { 1, 2, 8, 32 };
	static struct worker raw[THREADS_MAX], ours[THREADS_MAX];

	wrap_for(p);
	for (int i = 0; i < THREADS_MAX; i++) {
		worker_new(&raw[i], NULL);
		worker_new(&ours[i], p);
	}
	for (size_t t = 0; t < sizeof(tasks) / sizeof(tasks[0]); t++)
		for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++)
			if (only == NULL || strstr(tasks[t].name, only) != NULL)
				compare(p, t, counts[c], raw, ours);
	for (int i = 0; i < THREADS_MAX; i++) {
		worker_free(&raw[i]);
		worker_free(&ours[i]);
	}
}

static void
make_raw(void)
{
	EVP_PKEY_CTX *ctx;
	size_t n = 256;

	raw_rsa = EVP_RSA_gen(2048);
	raw_ec = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	raw_ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	MUST(raw_rsa != NULL && raw_ec != NULL && raw_ed != NULL);
	ctx = pkey_ctx(raw_rsa, EVP_PKEY_encrypt_init, true);
	MUST(EVP_PKEY_encrypt(ctx, wrapped[0], &n, key32, 32) == 1);
	EVP_PKEY_CTX_free(ctx);
}

static void
measure_ours(void)
{
	static struct scene scene;
	struct scene_options o = { .max_age_s = 86400 };
	struct peer p = { .name = "cvm-pkcs11" };

	scene_start(&scene);
	if (!scene.there)
		exit(77);
	scene_prepare(&scene, &o);
	MUST(C_GetFunctionList(&p.f) == CKR_OK);
	MUST(p.f->C_Initialize(NULL) == CKR_OK);
	p.slot = the_slot();
	p.main = open_session(RW);
	login(p.main);
	make_keys(&p);
	measure(&p);
	(void)p.f->C_Finalize(NULL);
	scene_stop(&scene);
}

static void *
load_softhsm(void)
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

/* A token in a directory of its own, gone with it. */
static void
measure_softhsm(void)
{
	char dir[] = "/tmp/bench-token.XXXXXX", conf[64], cmd[64];
	CK_UTF8CHAR label[32] = "bench", pin[] = "1234";
	struct peer p = { .name = "SoftHSM2" };
	void *lib = load_softhsm();
	CK_RV (*list)(CK_FUNCTION_LIST **) = NULL;
	CK_ULONG n = 1;
	FILE *f;

	if (lib == NULL) {
		(void)printf("SoftHSM2 is not installed: not measured\n");
		return;
	}
	*(void **)&list = dlsym(lib, "C_GetFunctionList");
	MUST(list != NULL && list(&p.f) == CKR_OK && mkdtemp(dir) != NULL);
	(void)snprintf(conf, sizeof(conf), "%s/softhsm2.conf", dir);
	f = fopen(conf, "we");
	MUST(f != NULL &&
	    fprintf(f, "directories.tokendir = %s\nlog.level = ERROR\n", dir) >
		0 &&
	    fclose(f) == 0 && setenv("SOFTHSM2_CONF", conf, 1) == 0);
	memset(&label[5], ' ', sizeof(label) - 5);
	MUST(p.f->C_Initialize(&(CK_C_INITIALIZE_ARGS){
		 .flags = CKF_OS_LOCKING_OK }) == CKR_OK &&
	    p.f->C_GetSlotList(CK_FALSE, &p.slot, &n) == CKR_OK &&
	    p.f->C_InitToken(p.slot, pin, 4, label) == CKR_OK);
	n = 1;
	MUST(p.f->C_GetSlotList(CK_TRUE, &p.slot, &n) != CKR_ARGUMENTS_BAD &&
	    p.f->C_OpenSession(p.slot, RW, NULL, NULL, &p.main) == CKR_OK &&
	    p.f->C_Login(p.main, CKU_SO, pin, 4) == CKR_OK &&
	    p.f->C_InitPIN(p.main, pin, 4) == CKR_OK &&
	    p.f->C_Logout(p.main) == CKR_OK &&
	    p.f->C_Login(p.main, CKU_USER, pin, 4) == CKR_OK);
	make_keys(&p);
	measure(&p);
	(void)p.f->C_Finalize(NULL);
	(void)snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
	(void)!system(cmd);
}

int
main(int argc, char **argv)
{
	only = argc > 1 ? argv[1] : NULL;
	make_raw();
	measure_ours();
	measure_softhsm();
	EVP_PKEY_free(raw_rsa);
	EVP_PKEY_free(raw_ec);
	EVP_PKEY_free(raw_ed);
	return 0;
}
