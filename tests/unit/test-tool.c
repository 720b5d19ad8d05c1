/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "attest/chain.h"
#include "base/crypto.h"
#include "tools/key_file.h"
#include "tools/key_template.h"
#include "tools/text.h"
#include "tools/tool.h"

/* ---- The command line ---- */

#define ARGS_MAX 8

/* Splits words at blanks; the text must outlive t. */
static int
parse(char *text, struct tool *t, char complaint[static COMPLAINT_MAX])
{
	char *argv[ARGS_MAX + 1] = { (char[]){ "cvm-token" } }, *save = NULL;
	int argc = 1;

	for (char *w = strtok_r(text, " ", &save); w != NULL && argc < ARGS_MAX;
	     w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	return options_parse(argc, argv, t, complaint);
}

static void
command_lines_accepted(void **state)
{
	static const struct {
		const char *line, *command, *operand;
		enum option_id option;
		const char *value;
	} rows[] = {
		{ "status", "status", NULL, OPT_OUT, NULL },
		{ "status --json", "status", NULL, OPT_JSON, "--json" },
		{ "--json status", "status", NULL, OPT_JSON, "--json" },
		{ "--token web status", "status", NULL, OPT_TOKEN, "web" },
		{ "seal add next", "seal add", "next", OPT_OUT, NULL },
		{ "seal --pin-file - add next", "seal add", "next",
		    OPT_PIN_FILE, "-" },
		{ "verify - --policy=p", "verify", "-", OPT_POLICY, "p" },
		{ "verify --policy p -- --json", "verify", "--json", OPT_POLICY,
		    "p" },
		{ "enroll --out=a=b", "enroll", NULL, OPT_OUT, "a=b" },
		{ "enroll --out --json", "enroll", NULL, OPT_OUT, "--json" },
		{ "verify --help", "verify", NULL, OPT_HELP, "--help" },
		{ "verify -h", "verify", NULL, OPT_HELP, "--help" },
		{ "--version", NULL, NULL, OPT_VERSION, "--version" },
	};
	char complaint[COMPLAINT_MAX], line[128];
	struct tool t;

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		(void)snprintf(line, sizeof(line), "%s", rows[i].line);
		if (parse(line, &t, complaint) != 0)
			fail_msg("%s: %s", rows[i].line, complaint);
		assert_string_equal(complaint, "");
		if (rows[i].command == NULL)
			assert_null(t.command);
		else
			assert_string_equal(t.command->name, rows[i].command);
		if (rows[i].operand == NULL)
			assert_null(t.operand[0]);
		else
			assert_string_equal(t.operand[0], rows[i].operand);
		if (rows[i].value == NULL)
			assert_null(t.opt[rows[i].option]);
		else
			assert_string_equal(t.opt[rows[i].option],
			    rows[i].value);
	}
}

static void
command_lines_refused(void **state)
{
	static const struct {
		const char *line, *says;
	} rows[] = {
		{ "", "command is missing" },
		{ "--json", "command is missing" },
		{ "--", "command is missing" },
		{ "stat", "no command \"stat\"" },
		{ "statuss", "no command \"statuss\"" },
		{ "seal", "\"seal add\"" },
		{ "seal next", "\"seal remove\"" },
		{ "policy", "\"policy check\"" },
		{ "seal add a b", "too many" },
		{ "seal add a b c", "too many" },
		{ "status a", "too many" },
		{ "key import --label l", "FILE is missing" },
		{ "status --jso", "no option \"--jso\"" },
		{ "status --json-", "no option" },
		{ "status -j", "no option" },
		{ "status --json=1", "takes no value" },
		{ "status --json=", "takes no value" },
		{ "status --json --json", "twice" },
		{ "enroll --out a --out=b", "twice" },
		{ "enroll --out", "lacks" },
		{ "enroll --out=", "lacks" },
		{ "enroll --policy p", "does not take --policy" },
		{ "status --version", "does not take --version" },
		{ "status --caf\xc3\xa9", "no option \"--caf??\"" },
	};
	char complaint[COMPLAINT_MAX], line[128];
	struct tool t;

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		(void)snprintf(line, sizeof(line), "%s", rows[i].line);
		if (parse(line, &t, complaint) == 0)
			fail_msg("%s: accepted", rows[i].line);
		if (strstr(complaint, rows[i].says) == NULL)
			fail_msg("%s: %s", rows[i].line, complaint);
	}
}

/* The table itself: what no command takes is dead, and names are unique. */
static void
tables_are_sound(void **state)
{
	uint64_t taken = UINT64_C(1) << OPT_VERSION | UINT64_C(1) << OPT_HELP |
	    UINT64_C(1) << OPT_JSON | UINT64_C(1) << OPT_TOKEN |
	    UINT64_C(1) << OPT_CONFIG;

	(void)state;
	for (size_t i = 0; i < n_commands; i++) {
		const struct command *c = &command_table[i];

		taken |= c->options;
		assert_non_null(c->run);
		assert_true(c->least <= c->most && c->most <= OPERANDS_MAX);
		assert_int_equal(c->most > 0, c->operands[0] != '\0');
		assert_int_equal(c->least == 0 && c->most > 0,
		    c->operands[0] == '[');
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(c->name, command_table[k].name);
	}
	assert_true(taken == (UINT64_C(1) << OPT_COUNT) - 1);
	for (int i = 1; i < OPT_COUNT; i++)
		assert_true(
		    strcmp(option_table[i - 1].name, option_table[i].name) < 0);
}

/* ---- Text ---- */

static void
times(void **state)
{
	static const struct {
		const char *text;
		int64_t t;
	} good[] = {
		{ "0", 0 },
		{ "1767225600", 1767225600 },
		{ "1970-01-01T00:00:00Z", 0 },
		{ "2026-01-31T12:00:00Z", 1769860800 },
		{ "2024-02-29T23:59:59Z", 1709251199 },
	};
	static const char *const bad[] = { "", " 0", "0 ", "-1", "+1", "1.5",
		"0x10", "1234567890123", "2026-02-29T12:00:00Z",
		"2026-13-01T12:00:00Z", "2026-01-31T24:00:00Z",
		"2026-01-31T12:00:60Z", "2026-01-31T12:00:00",
		"2026-01-31 12:00:00Z", "2026-01-31T12:00:00z",
		"2026-1-31T12:00:00Z", "2026-01-31T12:00:00+01:00",
		"2026-01-31T12:00:00.5Z" };
	char text[TIME_TEXT_MAX];
	int64_t t;

	(void)state;
	for (size_t i = 0; i < NELEMS(good); i++) {
		assert_int_equal(time_parse(good[i].text, &t), CVM_OK);
		assert_true(t == good[i].t);
	}
	assert_string_equal(time_text(1769860800, text),
	    "2026-01-31T12:00:00Z");
	for (size_t i = 0; i < NELEMS(bad); i++) {
		t = 77;
		if (time_parse(bad[i], &t) != CVM_E_PARSE || t != 77)
			fail_msg("\"%s\"", bad[i]);
	}
}

static void
pcr_lists(void **state)
{
	static const char *const bad[] = { "", ",", "0,", ",0", "0,,1", "24",
		"00", "01", "4,4", "0-7", "0 ,1", " 0", "-1", "a", "0,a",
		"99999999999999999999" };
	char text[PCR_LIST_MAX];
	uint32_t mask;

	(void)state;
	assert_int_equal(pcr_list_parse("0", &mask), CVM_OK);
	assert_int_equal(mask, 1);
	assert_int_equal(pcr_list_parse("14,9,0,23", &mask), CVM_OK);
	assert_int_equal(mask, 0x804201);
	assert_string_equal(pcr_list_text(mask, text), "0,9,14,23");
	assert_string_equal(pcr_list_text(0, text), "");
	assert_string_equal(pcr_list_text(0xffffff, text),
	    "0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23");
	for (size_t i = 0; i < NELEMS(bad); i++) {
		mask = 77;
		if (pcr_list_parse(bad[i], &mask) != CVM_E_PARSE || mask != 77)
			fail_msg("\"%s\"", bad[i]);
	}
}

static void
bank_names(void **state)
{
	static const char *const bad[] = { "", "SHA256", "SHA2-256", "sha256 ",
		"sm3" };
	enum hash_alg bank;

	(void)state;
	assert_int_equal(bank_parse("sha384", &bank), CVM_OK);
	assert_int_equal(bank, HASH_SHA384);
	assert_string_equal(bank_text(HASH_SHA256), "sha256");
	for (size_t i = 0; i < NELEMS(bad); i++)
		assert_int_equal(bank_parse(bad[i], &bank), CVM_E_PARSE);
}

static struct span
text(const char *s)
{
	return span(s, strlen(s));
}

static void
uris(void **state)
{
	static const struct {
		struct uri_key k;
		const char *uri;
	} rows[] = {
		{ { "web", "rsa", { (const uint8_t *)"\x01\xff", 2 } },
		    "pkcs11:token=web;object=rsa;id=%01%FF;type=private" },
		{ { "web", "", { (const uint8_t *)"a", 1 } },
		    "pkcs11:token=web;id=%61;type=private" },
		{ { "a b;c/d", "x?y=%\xc3\xa9", { NULL, 0 } },
		    "pkcs11:token=a%20b%3Bc%2Fd;object=x%3Fy%3D%25%C3%A9"
		    ";type=private" },
		{ { "A-z.0_9~", "\"'", { NULL, 0 } },
		    "pkcs11:token=A-z.0_9~;object=%22%27;type=private" },
	};
	char uri[URI_TEXT_MAX], small[8] = "ab";

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		assert_int_equal(uri_private_key(&rows[i].k, uri), CVM_OK);
		assert_string_equal(uri, rows[i].uri);
	}
	assert_int_equal(uri_escape(small, sizeof(small), text("cdefg"), false),
	    CVM_OK);
	assert_string_equal(small, "abcdefg");
	small[2] = '\0';
	assert_int_equal(uri_escape(small, sizeof(small), text("c/"), false),
	    CVM_OK);
	assert_string_equal(small, "abc%2F");
	assert_int_equal(uri_escape(small, sizeof(small), text("gh"), false),
	    CVM_E_BUFFER_TOO_SMALL);
	assert_string_equal(small, "abc%2F");
	small[2] = '\0';
	assert_int_equal(uri_escape(small, sizeof(small), text("ab"), true),
	    CVM_E_BUFFER_TOO_SMALL);
	assert_string_equal(small, "ab");
}

static void
uri_too_long(void **state)
{
	char label[URI_TEXT_MAX], uri[URI_TEXT_MAX];
	struct uri_key k = { label, "", { NULL, 0 } };

	(void)state;
	memset(label, 'x', sizeof(label));
	/* "pkcs11:token=" and ";type=private" are 13 bytes each. */
	label[URI_TEXT_MAX - 1 - 26] = '\0';
	assert_int_equal(uri_private_key(&k, uri), CVM_OK);
	assert_int_equal(strlen(uri), URI_TEXT_MAX - 1);
	label[URI_TEXT_MAX - 1 - 26] = 'x';
	label[URI_TEXT_MAX - 26] = '\0';
	assert_int_equal(uri_private_key(&k, uri), CVM_E_BUFFER_TOO_SMALL);
	label[URI_TEXT_MAX - 26] = 'x';
	label[URI_TEXT_MAX - 1] = '\0';
	assert_int_equal(uri_private_key(&k, uri), CVM_E_BUFFER_TOO_SMALL);
}

static void
rows_cut(void **state)
{
	char row[] = "0123456789";

	(void)state;
	text_cut(row, 10);
	assert_string_equal(row, "0123456789");
	text_cut(row, 9);
	assert_string_equal(row, "012345...");
	text_cut(row, 4);
	assert_string_equal(row, "0...");
	text_cut(row, 3);
	assert_string_equal(row, "0...");
}

/* ---- Keys ---- */

static EVP_PKEY *
new_key(const char *type, const char *curve)
{
	EVP_PKEY *k;

	if (strcmp(type, "RSA") == 0)
		k = EVP_PKEY_Q_keygen(crypto_libctx(), NULL, type,
		    (size_t)2048);
	else if (curve != NULL)
		k = EVP_PKEY_Q_keygen(crypto_libctx(), NULL, type, curve);
	else
		k = EVP_PKEY_Q_keygen(crypto_libctx(), NULL, type);
	assert_non_null(k);
	return k;
}

/* The value of an attribute; data NULL where there is none. */
static struct span
value(const struct key_template *t, CK_ATTRIBUTE_TYPE type)
{
	for (CK_ULONG i = 0; i < t->n; i++)
		if (t->a[i].type == type)
			return span(t->a[i].pValue, t->a[i].ulValueLen);
	return span(NULL, 0);
}

static bool
aligned(const struct key_template *t)
{
	for (CK_ULONG i = 0; i < t->n; i++)
		if ((uintptr_t)t->a[i].pValue % sizeof(CK_ULONG) != 0)
			return false;
	return true;
}

/* What is in a store is not what may be on a terminal. */
static void
foreign_text(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "", "" },
		{ "plain text", "plain text" },
		{ "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x94\x91",
		    "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x94\x91" },
		{ "a\nb", "a\\x0ab" },
		{ "\x1b[2J", "\\x1b[2J" },
		{ "\x7f", "\\x7f" },
		{ "\xc2\x9b"
		  "2J",
		    "\\xc2\\x9b2J" },
		{ "\x9b"
		  "2J",
		    "\\x9b2J" },
		{ "\xe2\x80\xae"
		  "evil",
		    "\\xe2\\x80\\xaeevil" },
		{ "\xef\xbb\xbf", "\\xef\\xbb\\xbf" },
		{ "\xed\xa0\x80", "\\xed\\xa0\\x80" },
		{ "\xc0\x8a", "\\xc0\\x8a" },
		{ "\xf0\x9f\x94", "\\xf0\\x9f\\x94" },
		{ "caf\xc3", "caf\\xc3" },
	};
	char cut[8];

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++)
		assert_string_equal(PLAIN(rows[i].in), rows[i].out);
	assert_string_equal(text_plain("abc\x01xyz", cut, sizeof(cut)),
	    "abc\\x01");
	assert_string_equal(text_plain("abcde\xc3\xa9", cut, sizeof(cut)),
	    "abcde\xc3\xa9");
	assert_string_equal(text_plain("abcdef\xc3\xa9", cut, sizeof(cut)),
	    "abcdef");
	assert_true(text_is_utf8(rows[2].in));
	assert_true(text_is_utf8("\n"));
	assert_false(text_is_utf8("caf\xc3"));
	assert_false(text_is_utf8("\xff"));
	assert_false(text_is_utf8("\xed\xa0\x80"));
}

/* What print() writes to standard output, up to cap - 1 bytes of it. */
static void
printed(void (*print)(void), char *out, size_t cap)
{
	FILE *f = tmpfile();
	int old = dup(STDOUT_FILENO);
	size_t n;

	assert_non_null(f);
	assert_true(old >= 0);
	(void)fflush(stdout);
	assert_true(dup2(fileno(f), STDOUT_FILENO) >= 0);
	print();
	(void)fflush(stdout);
	assert_true(dup2(old, STDOUT_FILENO) >= 0);
	(void)close(old);
	rewind(f);
	n = fread(out, 1, cap - 1, f);
	out[n] = '\0';
	(void)fclose(f);
}

static struct store_seal bad_seal = { .kind = SEAL_RECOVERY,
	.purpose = SEAL_TOKEN,
	.label = (char[]){ "\x1b]0;x\x07\xff\nforged" } };
static const struct store_seals bad_seals = { &bad_seal, 1 };

static void
print_bad_seals(void)
{
	print_seals(&bad_seals, NULL);
}

static void
print_bad_seals_json(void)
{
	(void)print_json(json_seals(&bad_seals, NULL));
}

static void
labels_of_seals(void **state)
{
	char out[1024];

	(void)state;
	printed(print_bad_seals, out, sizeof(out));
	assert_non_null(strstr(out, "  \\x1b]0;x\\x07\\xff\\x0aforged\n"));
	assert_null(strchr(out, 0x1b));
	printed(print_bad_seals_json, out, sizeof(out));
	assert_true(text_is_utf8(out));
	assert_null(strchr(out, 0x1b));
	assert_non_null(strstr(out, "forged\""));
}

static void
rsa_templates(void **state)
{
	_cleanup_(evp_pkey_freep) EVP_PKEY *k = new_key("RSA", NULL);
	_cleanup_(key_template_clear) struct key_template a = { .n = 0 };
	_cleanup_(key_template_clear) struct key_template b = { .n = 0 };
	struct why why = { 0 };

	(void)state;
	assert_int_equal(key_template_check(k, "k", &why), CVM_OK);
	assert_int_equal(key_template_private(k, &a), CVM_OK);
	assert_int_equal(key_template_public(k, &b), CVM_OK);
	assert_int_equal(value(&a, CKA_MODULUS).len, 256);
	assert_int_equal(value(&a, CKA_PRIME_1).len, 128);
	assert_non_null(value(&a, CKA_COEFFICIENT).data);
	assert_true(span_equal(value(&a, CKA_MODULUS), value(&b, CKA_MODULUS)));
	/* Nothing private in the public half. */
	assert_null(value(&b, CKA_PRIVATE_EXPONENT).data);
	assert_null(value(&b, CKA_PRIME_1).data);
	assert_true(aligned(&a) && aligned(&b));
}

static void
ec_templates(void **state)
{
	_cleanup_(evp_pkey_freep) EVP_PKEY *k = new_key("EC", "P-256");
	_cleanup_(key_template_clear) struct key_template a = { .n = 0 };
	_cleanup_(key_template_clear) struct key_template b = { .n = 0 };
	static const uint8_t oid[] = { 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
		0x03, 0x01, 0x07 };
	struct span point;
	struct why why = { 0 };

	(void)state;
	assert_int_equal(EVP_PKEY_set_utf8_string_param(k, "point-format",
			     "compressed"),
	    1);
	assert_int_equal(key_template_check(k, "k", &why), CVM_OK);
	assert_int_equal(key_template_private(k, &a), CVM_OK);
	assert_int_equal(key_template_public(k, &b), CVM_OK);
	assert_true(
	    span_equal(value(&a, CKA_EC_PARAMS), span(oid, sizeof(oid))));
	assert_non_null(value(&a, CKA_VALUE).data);
	assert_null(value(&b, CKA_VALUE).data);
	/* An OCTET STRING of an uncompressed point. */
	point = value(&b, CKA_EC_POINT);
	assert_int_equal(point.len, 67);
	assert_memory_equal(point.data, "\x04\x41\x04", 3);
	assert_true(aligned(&a) && aligned(&b));
}

static void
keys_of_other_types(void **state)
{
	static const char *const types[] = { "ED25519", "X25519", "ED448" };
	struct key_template t = { .n = 0 };

	(void)state;
	for (size_t i = 0; i < NELEMS(types); i++) {
		_cleanup_(evp_pkey_freep) EVP_PKEY *k = new_key(types[i], NULL);
		struct why why = { 0 };

		assert_int_equal(key_template_check(k, "k", &why),
		    CVM_E_KEY_TYPE);
		assert_string_equal(why.got, types[i]);
		assert_int_equal(key_template_private(k, &t), CVM_E_KEY_TYPE);
		assert_int_equal(key_template_public(k, &t), CVM_E_KEY_TYPE);
	}
}

static void
template_full(void **state)
{
	_cleanup_(key_template_clear) struct key_template t = { .n = 0 };
	static const uint8_t big[KEY_TEMPLATE_BYTES];

	(void)state;
	assert_int_equal(key_template_add(&t, CKA_ID, span(big, 1)), CVM_OK);
	assert_int_equal(key_template_add(&t, CKA_ID, span(big, sizeof(big))),
	    CVM_E_KEY_SIZE);
	assert_int_equal(key_template_add(&t, CKA_ID,
			     span(big, sizeof(big) - 8)),
	    CVM_OK);
	assert_int_equal(key_template_add(&t, CKA_ID, span(big, 1)),
	    CVM_E_KEY_SIZE);
	for (size_t i = t.n; i < KEY_TEMPLATE_ATTRS; i++)
		assert_int_equal(key_template_add(&t, CKA_ID, span(big, 0)),
		    CVM_OK);
	assert_int_equal(key_template_add(&t, CKA_ID, span(big, 0)),
	    CVM_E_KEY_SIZE);
}

struct asked {
	const char *answer; /* NULL: refuses */
	unsigned n;
};

static int
answer(void *arg, struct secret **ret, struct why *why)
{
	struct asked *a = arg;

	a->n++;
	if (a->answer == NULL)
		return why_set(why, CVM_E_INVAL, "test", "", "", "");
	*ret = secret_copy(text(a->answer));
	return CVM_OK;
}

/* The key as PEM or DER, encrypted where a cipher is given. */
static struct span
encode(EVP_PKEY *k, bool pem, bool encrypted, BIO *bio)
{
	const EVP_CIPHER *c = encrypted ? EVP_aes_256_cbc() : NULL;
	const char *pass = encrypted ? "geheim" : NULL;
	int len = encrypted ? 6 : 0, r;
	char *data = NULL;

	r = pem ?
	    PEM_write_bio_PKCS8PrivateKey(bio, k, c, pass, len, NULL, NULL) :
	    i2d_PKCS8PrivateKey_bio(bio, k, c, pass, len, NULL, NULL);
	assert_int_equal(r, 1);
	len = (int)BIO_get_mem_data(bio, &data);
	return span(data, (size_t)len);
}

static void
key_files(void **state)
{
	_cleanup_(evp_pkey_freep) EVP_PKEY *k = new_key("EC", "P-384");

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		bool pem = (i & 1) != 0, encrypted = (i & 2) != 0;
		BIO *bio = BIO_new(BIO_s_mem());
		struct span s = encode(k, pem, encrypted, bio);
		struct asked a = { "geheim", 0 };
		const struct passphrase p = { answer, &a };
		EVP_PKEY *got = NULL;
		struct why why = { 0 };

		assert_int_equal(key_file_parse(s, "k", &p, &got, &why),
		    CVM_OK);
		assert_int_equal(a.n, encrypted ? 1 : 0);
		assert_int_equal(EVP_PKEY_eq(k, got), 1);
		evp_pkey_freep(&got);
		/* Cut short, it is none. */
		s.len -= pem ? s.len / 2 : 1;
		assert_int_not_equal(key_file_parse(s, "k", &p, &got, &why),
		    CVM_OK);
		assert_null(got);
		(void)BIO_free(bio);
	}
}

static void
passphrase_wrong_or_refused(void **state)
{
	_cleanup_(evp_pkey_freep) EVP_PKEY *k = new_key("EC", "P-256");

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		BIO *bio = BIO_new(BIO_s_mem());
		struct span s = encode(k, i == 0, /* encrypted= */ true, bio);
		struct asked wrong = { "falsch", 0 }, none = { NULL, 0 };
		struct passphrase p = { answer, &wrong };
		EVP_PKEY *got = NULL;
		struct why why = { 0 };

		assert_int_equal(key_file_parse(s, "k", &p, &got, &why),
		    CVM_E_PIN_INCORRECT);
		assert_string_equal(why.field, "passphrase");
		p.arg = &none;
		assert_int_equal(key_file_parse(s, "k", &p, &got, &why),
		    CVM_E_INVAL);
		assert_int_equal(none.n, 1);
		assert_null(got);
		(void)BIO_free(bio);
	}
}

static void
no_key_files(void **state)
{
	_cleanup_(evp_pkey_freep) EVP_PKEY *k = new_key("EC", "P-256");
	struct asked a = { "geheim", 0 };
	const struct passphrase p = { answer, &a };
	BIO *bio = BIO_new(BIO_s_mem());
	struct why why = { 0 };
	EVP_PKEY *got = NULL;
	char *pem = NULL;
	long len;

	(void)state;
	assert_int_equal(PEM_write_bio_PUBKEY(bio, k), 1);
	len = BIO_get_mem_data(bio, &pem);
	assert_int_equal(key_file_parse(span(pem, (size_t)len), "k", &p, &got,
			     &why),
	    CVM_E_PARSE);
	assert_int_equal(key_file_parse(text("0123456789"), "k", &p, &got,
			     &why),
	    CVM_E_PARSE);
	assert_int_equal(key_file_parse(text("-----BEGIN PRIVATE KEY-----\n"
					     "AAAA\n"
					     "-----END PRIVATE KEY-----\n"),
			     "k", &p, &got, &why),
	    CVM_E_PARSE);
	assert_int_equal(key_file_parse(span(NULL, 0), "k", &p, &got, &why),
	    CVM_E_PARSE);
	assert_int_equal(a.n, 0);
	(void)BIO_free(bio);
}

/* ---- Questions on a terminal ---- */

static bool
echoes(int tty)
{
	struct termios t;

	assert_int_equal(tcgetattr(tty, &t), 0);
	return (t.c_lflag & ECHO) != 0;
}

/* A program on a terminal of its own that asks for a PIN, and leaves with 0
 * when it is "1234". */
static pid_t
asker(int *ret_master, int *ret_tty)
{
	struct secret *pin = NULL;
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	int tty;
	pid_t pid;

	assert_true(master >= 0);
	assert_int_equal(grantpt(master), 0);
	assert_int_equal(unlockpt(master), 0);
	tty = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(tty >= 0);
	pid = fork();
	if (pid == 0) {
		/* A shell that runs this in the background ignores some. */
		for (int i = SIGHUP; i <= SIGTERM; i++)
			(void)signal(i, SIG_DFL);
		if (setsid() < 0 || ioctl(tty, TIOCSCTTY, 0) != 0 ||
		    tool_pin(NULL, "PIN", false, &pin, NULL) != CVM_OK)
			_exit(9);
		_exit(memcmp(secret_data(pin), "1234", 4) == 0 ? 0 : 8);
	}
	assert_true(pid > 0);
	*ret_master = master;
	*ret_tty = tty;
	return pid;
}

/* Until it waits in silence, or is gone. */
static void
wait_for_question(int tty)
{
	for (int i = 0; i < 6000 && echoes(tty); i++)
		usleep(5000);
	assert_false(echoes(tty));
}

static void
signal_leaves_no_echo(void **state)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT };
	int master, tty, status;

	(void)state;
	for (size_t i = 0; i < NELEMS(signals); i++) {
		pid_t pid = asker(&master, &tty);

		wait_for_question(tty);
		assert_int_equal(kill(pid, signals[i]), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(echoes(tty));
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), signals[i]);
		(void)close(tty);
		(void)close(master);
	}
}

/* The kernel stops nobody in a session without a shell: who goes on is asked
 * again. */
static void
stopped_program_reads_half_a_line(void **state)
{
	char seen[256];
	size_t n = 0;
	int master, tty, status;
	pid_t pid;

	(void)state;
	pid = asker(&master, &tty);
	wait_for_question(tty);
	assert_int_equal(kill(pid, SIGTSTP), 0);
	/* "PIN: ", a line's end, and the question again. */
	do {
		ssize_t got = read(master, &seen[n], sizeof(seen) - 1 - n);

		assert_true(got > 0);
		n += (size_t)got;
		seen[n] = '\0';
	} while (strstr(seen, "PIN: \r\nPIN: ") == NULL);
	wait_for_question(tty);
	assert_int_equal(write(master, "1234\n", 5), 5);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(echoes(tty));
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	(void)close(tty);
	(void)close(master);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(command_lines_accepted),
		cmocka_unit_test(command_lines_refused),
		cmocka_unit_test(tables_are_sound),
		cmocka_unit_test(times),
		cmocka_unit_test(pcr_lists),
		cmocka_unit_test(bank_names),
		cmocka_unit_test(uris),
		cmocka_unit_test(uri_too_long),
		cmocka_unit_test(rows_cut),
		cmocka_unit_test(foreign_text),
		cmocka_unit_test(labels_of_seals),
		cmocka_unit_test(rsa_templates),
		cmocka_unit_test(ec_templates),
		cmocka_unit_test(keys_of_other_types),
		cmocka_unit_test(template_full),
		cmocka_unit_test(key_files),
		cmocka_unit_test(passphrase_wrong_or_refused),
		cmocka_unit_test(no_key_files),
		cmocka_unit_test(signal_leaves_no_echo),
		cmocka_unit_test(stopped_program_reads_half_a_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
