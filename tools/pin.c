/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>

#include "tools/tool.h"

#define CONTROL_C 0x03
#define LINE_MAX_LEN (PIN_LEN_MAX + 1)

/* What would end or stop this program while a terminal does not echo. */
static const int deadly[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP };
static volatile sig_atomic_t caught;

static void
on_signal(int signo)
{
	caught = signo;
}

/* The signals of a mask come only in here: none is missed before a read. */
static int
wait_for_byte(int fd, const sigset_t *mask)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	while (caught == 0 && ppoll(&p, 1, /* timeout= */ NULL, mask) < 0)
		if (errno != EINTR)
			return errno;
	return caught != 0 ? EINTR : 0;
}

/*
 * One line, byte by byte, so that the next line of a pipe stays for the next
 * question. A line that Control-C or (mask not NULL) a signal ends is none.
 */
static int
read_line(int fd, const sigset_t *mask, struct secret **ret, int *ret_errno)
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
		if (mask != NULL && (*ret_errno = wait_for_byte(fd, mask)) != 0)
			break;
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
		r = read_line(fd, /* mask= */ NULL, ret, &err);
	if (r != CVM_OK)
		return why_set(why, r, standard ? "standard input" : file, what,
		    "a first line", strerror(err));
	return CVM_OK;
}

/* The terminal and the signals as they were. */
struct hushed {
	struct termios tty;
	sigset_t mask;
	struct sigaction action[NELEMS(deadly)];
};

static void
catch_signals(struct hushed *h)
{
	struct sigaction catcher = { .sa_handler = on_signal };
	sigset_t set;

	(void)sigemptyset(&set);
	for (size_t i = 0; i < NELEMS(deadly); i++)
		(void)sigaddset(&set, deadly[i]);
	(void)sigprocmask(SIG_BLOCK, &set, &h->mask);
	caught = 0;
	for (size_t i = 0; i < NELEMS(deadly); i++) {
		(void)sigaction(deadly[i], &catcher, &h->action[i]);
		if (h->action[i].sa_handler == SIG_IGN)
			(void)sigaction(deadly[i], &h->action[i], NULL);
	}
}

/* Whoever waited finds the terminal as it was. */
static void
release_signals(const struct hushed *h)
{
	for (size_t i = 0; i < NELEMS(deadly); i++)
		(void)sigaction(deadly[i], &h->action[i], NULL);
	(void)sigprocmask(SIG_SETMASK, &h->mask, NULL);
}

/* Echo is off, and Control-C ends the line instead of the program, which
 * would leave the terminal without echo; *ret_signal: one that came. */
static int
ask_once(int tty, const char *prompt, struct secret **ret, int *ret_signal,
    struct why *why)
{
	struct hushed h;
	struct termios quiet;
	int r = CVM_E_IO, err = 0;

	if (tcgetattr(tty, &h.tty) != 0)
		return why_set(why, CVM_E_IO, "/dev/tty", prompt, "a terminal",
		    strerror(errno));
	quiet = h.tty;
	quiet.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
	quiet.c_cc[VEOL] = CONTROL_C;
	(void)dprintf(tty, "%s: ", prompt);
	catch_signals(&h);
	if (tcsetattr(tty, TCSAFLUSH, &quiet) != 0)
		err = errno;
	else
		r = read_line(tty, &h.mask, ret, &err);
	(void)tcsetattr(tty, TCSAFLUSH, &h.tty);
	*ret_signal = caught;
	release_signals(&h);
	(void)dprintf(tty, "\n");
	return r == CVM_OK ?
	    r :
	    why_set(why, r, "/dev/tty", prompt, "a line without echo",
		err == EINTR ? "Control-C" : strerror(err));
}

/* A signal does what it does without us; who goes on is asked again. */
static int
ask(int tty, const char *prompt, struct secret **ret, struct why *why)
{
	int r, signo;

	do {
		signo = 0;
		r = ask_once(tty, prompt, ret, &signo, why);
		if (signo != 0)
			(void)raise(signo);
	} while (r != CVM_OK && signo != 0);
	return r;
}

/* What takes the answer where nobody can be asked. */
static const char *
option_of(const char *what)
{
	static const char *const options[][2] = {
		{ "SO PIN", "--so-pin-file" },
		{ "user PIN", "--pin-file" },
		{ "recovery code", "--code-file" },
	};

	for (size_t i = 0; i < NELEMS(options); i++)
		if (strcmp(what, options[i][0]) == 0)
			return options[i][1];
	return "--passphrase-file";
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
		why_hint(why, "name a file with it: %s FILE", option_of(what));
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
