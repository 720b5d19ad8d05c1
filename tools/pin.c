/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>

#include "tools/tool.h"

#define CONTROL_C 0x03
#define LINE_MAX_LEN (PIN_LEN_MAX + 1)

/*
 * One line, byte by byte, so that the next line of a pipe stays for the next
 * question. A line that Control-C ends is none.
 */
static int
read_line(int fd, struct secret **ret, int *ret_errno)
{
	_cleanup_(secret_freep) struct secret *s = secret_new(LINE_MAX_LEN + 1);
	size_t n = 0;
	ssize_t got;
	uint8_t *p;

	if (s == NULL)
		return CVM_E_NOMEM;
	p = secret_data(s);
	*ret_errno = 0;
	while (n <= LINE_MAX_LEN) {
		got = read(fd, p + n, 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			*ret_errno = errno;
		if (got > 0 && p[n] == CONTROL_C)
			*ret_errno = EINTR;
		if (got <= 0 || p[n] == '\n' || *ret_errno != 0)
			break;
		n++;
	}
	if (*ret_errno != 0)
		return CVM_E_IO;
	if (n > 0 && p[n - 1] == '\r')
		n--;
	secret_shrink(s, n);
	*ret = TAKE_PTR(s);
	return CVM_OK;
}

static int
from_file(const char *file, const char *what, struct secret **ret,
    struct why *why)
{
	_cleanup_(closep) int owned = -1;
	bool standard = strcmp(file, "-") == 0;
	int fd = STDIN_FILENO, err = 0, r = CVM_E_IO;

	if (!standard)
		fd = owned = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		err = errno;
	else
		r = read_line(fd, ret, &err);
	if (r != CVM_OK)
		return why_set(why, r, standard ? "standard input" : file, what,
		    "a first line", strerror(err));
	return CVM_OK;
}

/* Echo is off, and Control-C ends the line instead of the program, which
 * would leave the terminal without echo. */
static int
ask(int tty, const char *prompt, struct secret **ret, struct why *why)
{
	struct termios old, quiet;
	int r, err = 0;

	if (tcgetattr(tty, &old) != 0)
		return why_set(why, CVM_E_IO, "/dev/tty", prompt, "a terminal",
		    strerror(errno));
	quiet = old;
	quiet.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
	quiet.c_cc[VEOL] = CONTROL_C;
	(void)dprintf(tty, "%s: ", prompt);
	(void)tcsetattr(tty, TCSAFLUSH, &quiet);
	r = read_line(tty, ret, &err);
	(void)tcsetattr(tty, TCSAFLUSH, &old);
	(void)dprintf(tty, "\n");
	return r == CVM_OK ? r :
			     why_set(why, r, "/dev/tty", prompt, "a line",
				 err == EINTR ? "Control-C" : strerror(err));
}

static int
from_terminal(const char *what, bool set, struct secret **ret, struct why *why)
{
	_cleanup_(closep) int tty = open("/dev/tty", O_RDWR | O_CLOEXEC);
	_cleanup_(secret_freep) struct secret *first = NULL, *again = NULL;
	char prompt[96];
	int r;

	if (tty < 0) {
		(void)why_set(why, CVM_E_INVAL, what, "",
		    "a terminal to ask on", strerror(errno));
		why_hint(why, "name a file with it (--help)");
		return CVM_E_INVAL;
	}
	(void)snprintf(prompt, sizeof(prompt), "%s%s", set ? "new " : "", what);
	if ((r = ask(tty, prompt, &first, why)) != CVM_OK)
		return r;
	if (set && (r = ask(tty, "once more", &again, why)) != CVM_OK)
		return r;
	if (set && !span_equal(secret_span(first), secret_span(again)))
		return why_set(why, CVM_E_INVAL, what, "", "the same twice",
		    "two that differ");
	*ret = TAKE_PTR(first);
	return CVM_OK;
}

int
tool_pin(const char *file, const char *what, bool set, struct secret **ret,
    struct why *reterr_why)
{
	_cleanup_(secret_freep) struct secret *s = NULL;
	int r;

	r = file != NULL ? from_file(file, what, &s, reterr_why) :
			   from_terminal(what, set, &s, reterr_why);
	if (r != CVM_OK)
		return r;
	if (secret_len(s) == 0 || secret_len(s) > PIN_LEN_MAX)
		return why_setf(reterr_why, CVM_E_PIN_LEN,
		    file != NULL ? file : "", what, "1 to 255 bytes", "%s",
		    secret_len(s) == 0 ? "none" : "more");
	*ret = TAKE_PTR(s);
	return CVM_OK;
}

int
tool_user_pin(const struct tool *t, const struct tool_context *c, bool set,
    struct secret **ret, struct why *reterr_why)
{
	if (c->tcfg->login != LOGIN_PIN)
		return CVM_OK;
	return tool_pin(t->opt[OPT_PIN_FILE], "user PIN", set, ret, reterr_why);
}
