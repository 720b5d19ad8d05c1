/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The cvm-pkcs11 authors */

#include "pki.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENTITIES_MAX 64

struct pki {
	char *dir;
	char *shared;
	pthread_mutex_t lock;	  /* slots, and the vendors' files */
	pthread_mutex_t own_lock; /* taken first: the machine's own files */
	struct slot {
		char *name;
		struct pki_entity e;
	} slots[ENTITIES_MAX];
	size_t n;
};

const struct rdn amd_dn[] = { { "OU", "Engineering" }, { "C", "US" },
	{ "L", "Santa Clara" }, { "ST", "CA" },
	{ "O", "Advanced Micro Devices" }, { NULL, NULL } };
const struct rdn intel_dn[] = { { "O", "Intel Corporation" },
	{ "L", "Santa Clara" }, { "ST", "CA" }, { "C", "US" }, { NULL, NULL } };
const struct rdn google_dn[] = { { "C", "US" }, { "ST", "California" },
	{ "L", "Mountain View" }, { "O", "Google LLC" },
	{ "OU", "Google Cloud" }, { NULL, NULL } };
static const struct rdn uefi_dn[] = { { "O", "cvm-pkcs11 tests" },
	{ NULL, NULL } };

/* Intel writes the CN first, everybody else last. */
const struct rdn *
dn_with(const struct rdn *base, const char *cn)
{
	static _Thread_local struct rdn dn[8];
	size_t n = 0;

	if (base == intel_dn)
		dn[n++] = (struct rdn){ "CN", cn };
	while (base->field != NULL)
		dn[n++] = *base++;
	if (dn[0].value != cn)
		dn[n++] = (struct rdn){ "CN", cn };
	dn[n] = (struct rdn){ NULL, NULL };
	return dn;
}

/* What certificates of one kind have in common. */
struct profile {
	const struct rdn *dn;
	bool pss;
	unsigned rsa_bits; /* 0: EC P-256 */
	const char *basic_constraints, *key_usage, *ext_key_usage, *crl_dp;
	bool ski, aki;
	int years;
};

#define KDS "URI:https://kdsintf.amd.com/vcek/v1/test/crl"
#define INTEL_CRL                                                              \
	"URI:https://certificates.trustedservices.intel.com/IntelSGXRootCA.der"
#define SIGNS_ALL "critical,keyCertSign,cRLSign"

static const struct profile amd_root = { amd_dn, true, 4096, "critical,CA:TRUE",
	SIGNS_ALL, NULL, KDS, true, false, 25 };
static const struct profile amd_ca = { amd_dn, true, 4096,
	"critical,CA:TRUE,pathlen:0", "critical,keyCertSign", NULL, KDS, true,
	true, 25 };
static const struct profile intel_root = { intel_dn, false, 0,
	"critical,CA:TRUE,pathlen:1", SIGNS_ALL, NULL, INTEL_CRL, true, true,
	31 };
static const struct profile intel_ca = { intel_dn, false, 0,
	"critical,CA:TRUE,pathlen:0", SIGNS_ALL, NULL, INTEL_CRL, true, true,
	15 };
static const struct profile intel_leaf = { intel_dn, false, 0,
	"critical,CA:FALSE", "critical,digitalSignature,nonRepudiation", NULL,
	INTEL_CRL, true, true, 12 };
static const struct profile google_root = { google_dn, false, 4096,
	"critical,CA:TRUE", SIGNS_ALL, NULL, NULL, true, true, 100 };
static const struct profile google_ca = { google_dn, false, 4096,
	"critical,CA:TRUE", SIGNS_ALL, "2.23.133.8.1",
	"URI:http://crl.google.test/ak/root.crl", true, true, 90 };
static const struct profile uefi = { uefi_dn, false, 2048, "CA:TRUE", NULL,
	NULL, NULL, true, true, 30 };

static const struct entity {
	const char *name;
	const char *issuer; /* NULL: self-signed */
	const struct profile *profile;
	const char *cn;
	long serial;
} entities[] = {
	{ "ark-milan", NULL, &amd_root, "ARK-Milan", 0x10000 },
	{ "ask-milan", "ark-milan", &amd_ca, "SEV-Milan", 0x10001 },
	{ "asvk-milan", "ark-milan", &amd_ca, "SEV-VLEK-Milan", 0x10002 },
	{ "ark-genoa", NULL, &amd_root, "ARK-Genoa", 0x20000 },
	{ "ask-genoa", "ark-genoa", &amd_ca, "SEV-Genoa", 0x20001 },
	{ "asvk-genoa", "ark-genoa", &amd_ca, "SEV-VLEK-Genoa", 0x20002 },
	{ "ark-turin", NULL, &amd_root, "ARK-Turin", 0x30000 },
	{ "ask-turin", "ark-turin", &amd_ca, "SEV-Turin", 0x30001 },
	{ "asvk-turin", "ark-turin", &amd_ca, "SEV-VLEK-Turin", 0x30002 },
	{ "sgx-root", NULL, &intel_root, "Intel SGX Root CA", -1 },
	{ "pck-platform", "sgx-root", &intel_ca, "Intel SGX PCK Platform CA",
	    -1 },
	{ "pck-processor", "sgx-root", &intel_ca, "Intel SGX PCK Processor CA",
	    -1 },
	{ "tcb-signing", "sgx-root", &intel_leaf, "Intel SGX TCB Signing", -1 },
	{ "ak-root", NULL, &google_root, "EK/AK CA Root", -1 },
	{ "ak-intermediate", "ak-root", &google_ca, "EK/AK CA Intermediate",
	    -1 },
	{ "uefi-pk", NULL, &uefi, "Test Platform Key", -1 },
	{ "uefi-kek", NULL, &uefi, "Test Key Exchange Key", -1 },
	{ "uefi-db", NULL, &uefi, "Test UEFI CA", -1 },
	{ "uefi-shim", NULL, &uefi, "Test Shim Vendor CA", -1 },
};

struct pki *
pki_open(const char *dir, const char *shared)
{
	struct pki *pki = xcalloc(1, sizeof(*pki));

	pki->dir = xstrdup(dir);
	if (shared != NULL)
		pki->shared = xstrdup(shared);
	pthread_mutex_init(&pki->lock, NULL);
	pthread_mutex_init(&pki->own_lock, NULL);
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		die("%s: %s", dir, strerror(errno));
	if (shared != NULL && mkdir(shared, 0755) < 0 && errno != EEXIST)
		die("%s: %s", shared, strerror(errno));
	return pki;
}

void
pki_freep(struct pki **pki)
{
	if (*pki == NULL)
		return;
	for (size_t i = 0; i < (*pki)->n; i++) {
		struct slot *slot = &(*pki)->slots[i];

		free(slot->name);
		key_freep(&slot->e.key);
		x509_freep(&slot->e.cert);
	}
	free((*pki)->dir);
	free((*pki)->shared);
	freep(pki);
}

static bool
load(const char *dir, const char *name, struct pki_entity *ret)
{
	_cleanup_(freep) char *key = xasprintf("%s/%s.key", dir, name);
	_cleanup_(freep) char *pem = xasprintf("%s/%s.pem", dir, name);
	FILE *f = fopen(key, "re");

	if (f == NULL)
		return false;
	ret->key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	fclose(f);
	f = fopen(pem, "re");
	if (f == NULL)
		return false;
	ret->cert = PEM_read_X509(f, NULL, NULL, NULL);
	fclose(f);
	if (ret->key == NULL || ret->cert == NULL)
		die("%s, %s: %s", key, pem,
		    ERR_error_string(ERR_peek_last_error(), NULL));
	return true;
}

static void
put_key(struct buf *b, EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	long len;

	if (bio == NULL ||
	    !PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL))
		die("cannot write a private key");
	len = BIO_get_mem_data(bio, &text);
	buf_put(b, text, (size_t)len);
	BIO_free(bio);
}

static void
store(const char *dir, const char *name, const struct pki_entity *e)
{
	_cleanup_(freep) char *key = xasprintf("%s/%s.key", dir, name);
	_cleanup_(freep) char *pem = xasprintf("%s/%s.pem", dir, name);
	_cleanup_(freep) char *der = xasprintf("%s/%s.der", dir, name);
	struct buf k = { 0 }, p = { 0 }, d = { 0 };

	x509_put_pem(&p, e->cert);
	x509_put_der(&d, e->cert);
	put_key(&k, e->key);
	/* The key comes last: load() takes it as the sign of completeness. */
	if (file_write(pem, p.p, p.len, 0644) < 0 ||
	    file_write(der, d.p, d.len, 0644) < 0 ||
	    file_write(key, k.p, k.len, 0600) < 0)
		die("%s: %s", pem, strerror(errno));
	buf_free(&k);
	buf_free(&p);
	buf_free(&d);
}

static const struct entity *
find_entity(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(entities); i++)
		if (strcmp(entities[i].name, name) == 0)
			return &entities[i];
	die("no such certificate: %s", name);
}

static void
create(const struct entity *ent, const struct pki_entity *issuer,
    struct pki_entity *ret)
{
	const struct profile *p = ent->profile;
	time_t now = time(NULL);
	struct x509_spec spec = {
		.dn = dn_with(p->dn, ent->cn),
		.serial = ent->serial,
		.not_before = now - 365 * DAY,
		.not_after = now + p->years * 365 * DAY,
		.pss = p->pss,
		.basic_constraints = p->basic_constraints,
		.key_usage = p->key_usage,
		.ext_key_usage = p->ext_key_usage,
		.crl_dp = p->crl_dp,
		.ski = p->ski,
		.aki = p->aki,
	};

	ret->key = p->rsa_bits ? key_new_rsa(p->rsa_bits) : key_new_ec("P-256");
	ret->cert = x509_issue(&spec, ret->key, issuer ? issuer->cert : NULL,
	    issuer ? issuer->key : ret->key);
}

static const struct pki_entity *get_locked(struct pki *pki, bool foreign,
    const char *name);

/* One machine at a time makes what a shared directory lacks. */
static void
load_or_create(struct pki *pki, bool foreign, const struct entity *ent,
    const char *file, struct pki_entity *ret)
{
	const struct pki_entity *issuer = NULL;
	const char *home = pki->shared ? pki->shared : pki->dir;
	_cleanup_(freep) char *lock = xasprintf("%s/.lock", home);
	int fd;

	if (load(pki->dir, file, ret))
		return;
	if (ent->issuer != NULL)
		issuer = get_locked(pki, foreign, ent->issuer);
	fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || flock(fd, LOCK_EX) < 0)
		die("%s: %s", lock, strerror(errno));
	if (!load(home, file, ret)) {
		create(ent, issuer, ret);
		store(home, file, ret);
	}
	if (pki->shared != NULL)
		store(pki->dir, file, ret);
	close(fd);
}

static const struct pki_entity *
remembered(const struct pki *pki, const char *file)
{
	for (size_t i = 0; i < pki->n; i++)
		if (strcmp(pki->slots[i].name, file) == 0)
			return &pki->slots[i].e;
	return NULL;
}

static const struct pki_entity *
remember(struct pki *pki, const char *file, const struct pki_entity *e)
{
	struct slot *slot = &pki->slots[pki->n];

	if (pki->n++ == ENTITIES_MAX)
		die("too many certificates");
	slot->name = xstrdup(file);
	slot->e = *e;
	return &slot->e;
}

static char *
file_name(bool foreign, const char *name)
{
	return xasprintf("%s%s", foreign ? "foreign-" : "", name);
}

static const struct pki_entity *
get_locked(struct pki *pki, bool foreign, const char *name)
{
	_cleanup_(freep) char *file = file_name(foreign, name);
	const struct pki_entity *known = remembered(pki, file);
	struct pki_entity e = { 0 };

	if (known != NULL)
		return known;
	load_or_create(pki, foreign, find_entity(name), file, &e);
	return remember(pki, file, &e);
}

const struct pki_entity *
pki_get(struct pki *pki, bool foreign, const char *name)
{
	const struct pki_entity *e;

	pthread_mutex_lock(&pki->lock);
	e = get_locked(pki, foreign, name);
	pthread_mutex_unlock(&pki->lock);
	return e;
}

const struct pki_entity *
pki_own(struct pki *pki, bool foreign, const char *name, pki_make_fn *make,
    void *arg)
{
	_cleanup_(freep) char *file = file_name(foreign, name);
	const struct pki_entity *known;
	struct pki_entity e = { 0 };

	pthread_mutex_lock(&pki->own_lock);
	pthread_mutex_lock(&pki->lock);
	known = remembered(pki, file);
	pthread_mutex_unlock(&pki->lock);
	if (known == NULL) {
		if (!load(pki->dir, file, &e)) {
			make(arg, foreign, &e);
			store(pki->dir, file, &e);
		}
		pthread_mutex_lock(&pki->lock);
		known = remember(pki, file, &e);
		pthread_mutex_unlock(&pki->lock);
	}
	pthread_mutex_unlock(&pki->own_lock);
	return known;
}
