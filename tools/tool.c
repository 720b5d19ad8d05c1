/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>

#include "tools/tool.h"

int
tool_fail(int err, const struct why *why)
{
	char sentence[WHY_SENTENCE_MAX];

	if (why != NULL && why->err != 0)
		(void)fprintf(stderr, "cvm-token: %s\n",
		    why_sentence(why, sentence, sizeof(sentence)));
	else
		(void)fprintf(stderr, "cvm-token: %s\n", cvm_strerror(err));
	switch (err) {
	case CVM_E_DENIED:
	case CVM_E_SEALED:
	case CVM_E_PIN_INCORRECT:
	case CVM_E_PIN_LOCKED:
	case CVM_E_CORRUPT:
		return EXIT_DENY;
	default:
		return EXIT_TROUBLE;
	}
}

int
tool_usage(const struct tool *t, const char *complaint)
{
	for (size_t i = 0; i < n_commands; i++)
		if (strcmp(commands[i].name, t->argv[0]) == 0)
			(void)fprintf(stderr,
			    "cvm-token: %s\nusage: cvm-token %s %s\n",
			    complaint, commands[i].name, commands[i].args);
	return EXIT_TROUBLE;
}

/* Takes argv[i] and n behind it out of the list. */
static void
take(struct tool *t, int i, int n)
{
	for (int k = i; k + n < t->argc; k++)
		t->argv[k] = t->argv[k + n];
	t->argc -= n;
}

static int
one_option(struct tool *t, int i, const struct option_row *rows, size_t n)
{
	char text[128];

	for (size_t k = 0; k < n; k++) {
		if (strcmp(rows[k].name, t->argv[i]) != 0)
			continue;
		if (rows[k].flag != NULL) {
			*rows[k].flag = true;
			take(t, i, 1);
			return 0;
		}
		if (i + 1 >= t->argc)
			break;
		*rows[k].value = t->argv[i + 1];
		take(t, i, 2);
		return 0;
	}
	(void)snprintf(text, sizeof(text),
	    "option \"%.64s\" is unknown or "
	    "lacks its value",
	    t->argv[i]);
	return tool_usage(t, text);
}

int
tool_options(struct tool *t, const struct option_row *rows, size_t n,
    int min_operands, int max_operands)
{
	int i = 1;

	while (i < t->argc) {
		if (strncmp(t->argv[i], "--", 2) != 0) {
			i++;
			continue;
		}
		if (one_option(t, i, rows, n) != 0)
			return EXIT_TROUBLE;
	}
	if (t->argc - 1 < min_operands || t->argc - 1 > max_operands)
		return tool_usage(t, "wrong number of operands");
	return 0;
}

int
tool_config(const struct tool *t, struct tool_context *c)
{
	_cleanup_(freep) char *path = NULL;
	struct why why = { 0 };
	int r = CVM_OK;

	memset(c, 0, sizeof(*c));
	if (t->config_path == NULL)
		r = config_locate(NULL, &path, &why);
	else if ((path = realpath(t->config_path, NULL)) == NULL)
		r = why_set(&why, CVM_E_NOT_FOUND, t->config_path, "",
		    "a configuration file", strerror(errno));
	if (r == CVM_OK)
		r = config_load(path, &c->cfg, &why);
	if (r != CVM_OK)
		return tool_fail(r, &why);
	if (t->token_name != NULL)
		c->tcfg = config_find_token(c->cfg, t->token_name);
	else if (c->cfg->n_tokens == 1)
		c->tcfg = &c->cfg->tokens[0];
	if (c->tcfg != NULL)
		return 0;
	r = why_set(&why, CVM_E_NOT_FOUND, c->cfg->path, "tokens",
	    t->token_name != NULL ? "a token of that name" :
				    "--token NAME, or only one token",
	    t->token_name != NULL ? t->token_name : "several or none");
	config_freep(&c->cfg);
	return tool_fail(r, &why);
}

int
tool_open(const struct tool *t, struct tool_context *c)
{
	struct why why = { 0 };
	int r;

	if ((r = tool_config(t, c)) != 0)
		return r;
	/* What is to be said is said here, on the terminal. */
	log_setup(LOG_TARGET_NONE, LOG_LEVEL_ERROR, NULL);
	if ((r = gate_new(c->cfg, c->tcfg, &c->gate)) != CVM_OK)
		r = tool_fail(r, NULL);
	else {
		gate_trouble(c->gate, &why);
		if (gate_policy(c->gate) == NULL)
			r = tool_fail(why.err, &why);
	}
	if (r != 0)
		tool_close(c);
	return r;
}

int
tool_admit(const struct tool *t, struct tool_context *c)
{
	struct why why = { 0 };
	int r;

	if ((r = tool_open(t, c)) != 0)
		return r;
	if ((r = gate_open_session(c->gate, &c->session, &why)) == CVM_OK) {
		c->open = true;
		return 0;
	}
	r = tool_fail(r, &why);
	tool_close(c);
	return r;
}

void
tool_close(struct tool_context *c)
{
	gate_session_clear(&c->session);
	gate_freep(&c->gate);
	config_freep(&c->cfg);
	c->tcfg = NULL;
}

static int
read_line(int fd, struct secret **ret)
{
	_cleanup_(secret_freep) struct secret *s = secret_new(PIN_LEN_MAX + 2);
	size_t n = 0;
	uint8_t *p;

	if (s == NULL)
		return CVM_E_NOMEM;
	p = secret_data(s);
	while (n < PIN_LEN_MAX + 2 && read(fd, p + n, 1) == 1 && p[n] != '\n')
		n++;
	if (n > 0 && p[n - 1] == '\r')
		n--;
	if (n == 0 || n > PIN_LEN_MAX)
		return CVM_E_PIN_LEN;
	secret_shrink(s, n);
	*ret = TAKE_PTR(s);
	return CVM_OK;
}

static int
ask_terminal(const char *prompt, struct secret **ret)
{
	_cleanup_(closep) int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);
	struct termios old, quiet;
	int r;

	if (fd < 0 || tcgetattr(fd, &old) != 0) {
		(void)fprintf(stderr,
		    "cvm-token: no terminal to ask for %s: give a file\n",
		    prompt);
		return CVM_E_INVAL;
	}
	quiet = old;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	(void)dprintf(fd, "%s: ", prompt);
	(void)tcsetattr(fd, TCSAFLUSH, &quiet);
	r = read_line(fd, ret);
	(void)tcsetattr(fd, TCSAFLUSH, &old);
	(void)dprintf(fd, "\n");
	return r;
}

int
tool_pin(const char *file, const char *prompt, bool confirm,
    struct secret **ret)
{
	_cleanup_(secret_freep) struct secret *again = NULL;
	_cleanup_(closep) int fd = -1;
	int r;

	if (file != NULL) {
		if (strcmp(file, "-") == 0)
			return read_line(STDIN_FILENO, ret);
		if ((fd = open(file, O_RDONLY | O_CLOEXEC)) < 0) {
			(void)fprintf(stderr, "cvm-token: %s: %s\n", file,
			    strerror(errno));
			return CVM_E_IO;
		}
		return read_line(fd, ret);
	}
	if ((r = ask_terminal(prompt, ret)) != CVM_OK || !confirm)
		return r;
	if ((r = ask_terminal("once more", &again)) != CVM_OK)
		return r;
	if (span_equal(secret_span(*ret), secret_span(again)))
		return CVM_OK;
	(void)fprintf(stderr, "cvm-token: the two differ\n");
	secret_freep(ret);
	return CVM_E_INVAL;
}

int
tool_read(const char *path, size_t max, struct blob *ret)
{
	_cleanup_(closep) int owned = -1;
	_cleanup_(blob_clear) struct blob b = { 0 };
	int fd = STDIN_FILENO, r;
	uint8_t buf[16384];
	ssize_t n;

	if (strcmp(path, "-") != 0)
		fd = owned = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && (n = read(fd, buf, sizeof(buf))) > 0) {
		if (b.len + (size_t)n > max) {
			(void)fprintf(stderr,
			    "cvm-token: %s: more than %zu bytes\n", path, max);
			return CVM_E_PARSE;
		}
		if ((r = blob_append(&b, span(buf, (size_t)n))) != CVM_OK)
			return r;
	}
	if (fd < 0 || n < 0) {
		(void)fprintf(stderr, "cvm-token: %s: %s\n", path,
		    strerror(errno));
		return CVM_E_IO;
	}
	*ret = b;
	b = (struct blob){ 0 };
	return CVM_OK;
}

int
tool_write(const char *path, struct span s, mode_t mode, bool force)
{
	_cleanup_(closep) int fd = -1;
	size_t done = 0;
	ssize_t n = 0;

	if (path == NULL || strcmp(path, "-") == 0)
		return fwrite(s.data, 1, s.len, stdout) == s.len &&
			fflush(stdout) == 0 ?
		    CVM_OK :
		    CVM_E_IO;
	fd = open(path,
	    O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW |
		(force ? O_TRUNC : O_EXCL),
	    mode);
	while (fd >= 0 && done < s.len &&
	    (n = write(fd, s.data + done, s.len - done)) > 0)
		done += (size_t)n;
	if (fd >= 0 && done == s.len && fsync(fd) == 0)
		return CVM_OK;
	(void)fprintf(stderr, "cvm-token: %s: %s\n", path, strerror(errno));
	return CVM_E_IO;
}
