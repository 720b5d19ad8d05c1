/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "tests/unit/tracer.h"

#ifdef __x86_64__
#define NO_PTRACE 99 /* exit status */
#define MARK_STOP SIGSTOP
#define CALL_STOP (SIGTRAP | 0x80) /* PTRACE_O_TRACESYSGOOD */

/* Where a call has its file: a descriptor or a path, in which argument. */
enum place { AT_FD, AT_PATH1, AT_PATH2 };
/* What can befall a call. */
enum { FULL = 1, READ_ONLY = 2, BROKEN = 4, HALF = 8, READS = 16 };

static const struct {
	unsigned long long nr;
	const char *name;
	enum place place;
	unsigned harms;
} calls[] = {
	{ SYS_openat, "openat", AT_PATH2, FULL | READ_ONLY | BROKEN },
	{ SYS_open, "open", AT_PATH1, FULL | READ_ONLY | BROKEN },
	{ SYS_read, "read", AT_FD, READS | BROKEN },
	{ SYS_pread64, "pread64", AT_FD, READS | BROKEN },
	{ SYS_write, "write", AT_FD, FULL | BROKEN | HALF },
	{ SYS_pwrite64, "pwrite64", AT_FD, FULL | BROKEN | HALF },
	{ SYS_fallocate, "fallocate", AT_FD, FULL | BROKEN },
	{ SYS_fsync, "fsync", AT_FD, FULL | BROKEN },
	{ SYS_fdatasync, "fdatasync", AT_FD, FULL | BROKEN },
	{ SYS_ftruncate, "ftruncate", AT_FD, BROKEN },
	{ SYS_rename, "rename", AT_PATH1, FULL | READ_ONLY | BROKEN },
	{ SYS_renameat2, "renameat2", AT_PATH2, FULL | READ_ONLY | BROKEN },
	{ SYS_link, "link", AT_PATH1, FULL | READ_ONLY | BROKEN },
	{ SYS_linkat, "linkat", AT_PATH2, FULL | READ_ONLY | BROKEN },
	{ SYS_unlink, "unlink", AT_PATH1, READ_ONLY | BROKEN },
	{ SYS_unlinkat, "unlinkat", AT_PATH2, READ_ONLY | BROKEN },
	{ SYS_chmod, "chmod", AT_PATH1, READ_ONLY | BROKEN },
	{ SYS_fchmod, "fchmod", AT_FD, READ_ONLY | BROKEN },
	{ SYS_fchown, "fchown", AT_FD, READ_ONLY | BROKEN },
	{ SYS_fcntl, "fcntl", AT_FD, BROKEN },
};

/* Stops at these calls alone: at every call it would take ten times longer. */
static void
filter_calls(void)
{
	struct sock_filter code[NELEMS(calls) + 3];
	struct sock_fprog prog = { .len = NELEMS(code), .filter = code };

	code[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
	    offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < NELEMS(calls); i++)
		code[1 + i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ |
			BPF_K,
		    (uint32_t)calls[i].nr, (uint8_t)(NELEMS(calls) - i), 0);
	code[NELEMS(calls) + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
	    SECCOMP_RET_ALLOW);
	code[NELEMS(calls) + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
	    SECCOMP_RET_TRACE);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) != 0)
		_exit(NO_PTRACE);
}

struct tracing {
	const char *dir;
	pid_t pid;
	enum harm harm;
	unsigned n, seen, wanted; /* wanted: of the calls' harms; 0: any */
	int error;
	const struct traced_job *job;
	struct traced *ret;
};

static int
find_call(unsigned long long nr)
{
	for (size_t i = 0; i < NELEMS(calls); i++)
		if (calls[i].nr == nr)
			return (int)i;
	return -1;
}

static bool
peek(pid_t pid, unsigned long long at, long *ret)
{
	errno = 0;
	*ret = ptrace(PTRACE_PEEKDATA, pid, at, NULL);
	return errno == 0;
}

static void
file_of(pid_t pid, int call, const struct user_regs_struct *r, char *out,
    size_t len)
{
	unsigned long long at = calls[call].place == AT_PATH1 ? r->rdi : r->rsi;
	char link[64];
	ssize_t n;
	long word;

	memset(out, 0, len);
	if (calls[call].place == AT_FD) {
		(void)snprintf(link, sizeof(link), "/proc/%d/fd/%d", (int)pid,
		    (int)r->rdi);
		n = readlink(link, out, len - 1);
		out[n > 0 ? n : 0] = '\0';
		return;
	}
	for (size_t i = 0; i + sizeof(word) < len; i += sizeof(word)) {
		if (!peek(pid, at + i, &word))
			return;
		memcpy(&out[i], &word, sizeof(word));
		if (memchr(&word, 0, sizeof(word)) != NULL)
			return;
	}
}

/* Flags decide about open(2): a reader needs neither room nor permission.
 * To give a lock up, or the half of it, needs nothing, and other commands of
 * fcntl(2) no disk. */
static unsigned
harms_of(pid_t pid, int call, const struct user_regs_struct *r)
{
	unsigned harms = calls[call].harms;
	unsigned long long flags;
	long lock = 0;

	if (calls[call].nr == SYS_fcntl)
		return r->rsi == F_SETLK && peek(pid, r->rdx, &lock) &&
			(short)lock == F_WRLCK ?
		    harms :
		    0;
	if (calls[call].nr != SYS_open && calls[call].nr != SYS_openat)
		return harms;
	flags = calls[call].nr == SYS_open ? r->rsi : r->rdx;
	if ((flags & O_CREAT) == 0)
		harms &= ~(unsigned)FULL;
	return (flags & O_ACCMODE) == O_RDONLY ? harms & BROKEN : harms;
}

/* At the entry of a call: true when it is the one, or one of the later. */
static bool
is_due(struct tracing *t, const struct user_regs_struct *r)
{
	int call = find_call(r->orig_rax);
	char file[80];

	if (call < 0)
		return false;
	file_of(t->pid, call, r, file, sizeof(file));
	if (strncmp(file, t->dir, strlen(t->dir)) != 0)
		return false;
	if (t->wanted != 0 && (harms_of(t->pid, call, r) & t->wanted) == 0)
		return false;
	/* A kill here leaves what one at the next call does. */
	if (t->wanted == 0 && (calls[call].harms & READS) != 0)
		return false;
	t->seen++;
	if (t->seen == t->n) {
		(void)snprintf(t->ret->call, sizeof(t->ret->call), "%s %s",
		    calls[call].name, file);
		t->ret->reached = true;
	}
	return t->seen == t->n || (t->seen > t->n && t->harm == HARM_FAIL_ON);
}

static bool
next_stop(struct tracing *t, enum __ptrace_request how, int want)
{
	if (ptrace(how, t->pid, NULL, NULL) != 0)
		return false;
	if (waitpid(t->pid, &t->ret->status, 0) != t->pid)
		return false;
	return WIFSTOPPED(t->ret->status) &&
	    (want == 0 || WSTOPSIG(t->ret->status) == want);
}

/* False when the child is to die. */
static bool
do_harm(struct tracing *t, struct user_regs_struct *r)
{
	if (t->harm == HARM_KILL)
		return false;
	if (t->harm == HARM_TEAR) {
		r->rdx /= 2;
		if (ptrace(PTRACE_SETREGS, t->pid, NULL, r) == 0)
			(void)next_stop(t, PTRACE_SYSCALL, CALL_STOP);
		return false;
	}
	r->orig_rax = ~0ULL; /* no such call: it is not made */
	r->rax = (unsigned long long)-(long long)t->error;
	return ptrace(PTRACE_SETREGS, t->pid, NULL, r) == 0;
}

static bool
at_call(const struct tracing *t)
{
	return t->ret->status >> 8 == (SIGTRAP | PTRACE_EVENT_SECCOMP << 8);
}

/* After the end: the second mark, and calls. */
static bool
is_harmless(const struct tracing *t)
{
	int sig = WSTOPSIG(t->ret->status);

	return sig == MARK_STOP || at_call(t);
}

static void
end_child(struct tracing *t)
{
	if (WIFEXITED(t->ret->status) || WIFSIGNALED(t->ret->status))
		return;
	(void)kill(t->pid, SIGKILL);
	while (waitpid(t->pid, &t->ret->status, 0) == t->pid &&
	    WIFSTOPPED(t->ret->status))
		;
}

/* From mark to end, and then on to the child's exit. */
static void
trace(struct tracing *t)
{
	struct user_regs_struct r;

	if (waitpid(t->pid, &t->ret->status, 0) != t->pid)
		return;
	t->ret->there = !WIFEXITED(t->ret->status) ||
	    WEXITSTATUS(t->ret->status) != NO_PTRACE;
	if (!WIFSTOPPED(t->ret->status))
		return;
	(void)ptrace(PTRACE_SETOPTIONS, t->pid, NULL,
	    PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACESECCOMP);
	while (next_stop(t, PTRACE_CONT, 0)) {
		if (WSTOPSIG(t->ret->status) == MARK_STOP)
			break;
		if (!at_call(t))
			return; /* a fault */
		if (ptrace(PTRACE_GETREGS, t->pid, NULL, &r) != 0)
			return;
		if (is_due(t, &r) && !do_harm(t, &r))
			return;
	}
	if (WIFSTOPPED(t->ret->status) && t->job->at_end != NULL)
		t->job->at_end(t->job->arg);
	while (WIFSTOPPED(t->ret->status) && next_stop(t, PTRACE_CONT, 0))
		if (!is_harmless(t))
			return; /* a fault */
}

struct traced
traced_run(const char *dir, enum harm harm, unsigned n, int error,
    const struct traced_job *job)
{
	struct traced ret = { 0 };
	struct tracing t = { .dir = dir,
		.harm = harm,
		.n = n,
		.job = job,
		.ret = &ret };

	t.error = error;
	t.wanted = harm == HARM_TEAR ? HALF :
	    error == ENOSPC	     ? FULL :
	    error == EROFS	     ? READ_ONLY :
	    error != 0		     ? BROKEN :
				       0;
	t.pid = fork();
	if (t.pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
			_exit(NO_PTRACE);
		job->fn(job->arg);
		_exit(0);
	}
	if (t.pid < 0)
		return ret;
	trace(&t);
	end_child(&t);
	return ret;
}

void
tracer_mark(void)
{
	(void)raise(SIGSTOP);
	filter_calls();
}
#else
void
tracer_mark(void)
{
}

struct traced
traced_run(const char *dir, enum harm harm, unsigned n, int error,
    const struct traced_job *job)
{
	(void)dir;
	(void)harm;
	(void)n;
	(void)error;
	(void)job;
	return (struct traced){ 0 };
}
#endif

void
tracer_end(void)
{
	(void)raise(SIGSTOP);
}
