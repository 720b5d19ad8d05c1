/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The cvm-pkcs11 authors */

/* The virtual CVM: see README.md. */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl.h"

#define STOP_SECONDS 20
#define THREADS_MAX 128

struct start_options {
	const char *setting[SETTINGS];
	const char *pki, *boot;
	bool foreground;
};

static void
usage(FILE *out)
{
	_cleanup_(buf_free) struct buf b = { 0 };

	buf_text(&b,
	    "usage:\n"
	    "  start DIR [--foreground] [--pki DIR] [--boot FILE] [settings]\n"
	    "  stop DIR\n"
	    "  clone DIR DIR2\n");
	ctl_help(&b);
	buf_text(&b, "settings, the first choice being the default:\n");
	for (enum setting s = 0; s < SETTINGS; s++) {
		buf_printf(&b, "  --%s ", setting_rows[s].name);
		for (int i = 0; i < 5 && setting_rows[s].choices[i]; i++)
			buf_printf(&b, "%s%s", i > 0 ? "|" : "",
			    setting_rows[s].choices[i]);
		buf_printf(&b, "\n      %s\n", setting_rows[s].help);
	}
	fputs(buf_cstr(&b), out);
}

enum { OPT_FOREGROUND = 1000, OPT_PKI, OPT_BOOT };

static int
parse_start(int argc, char **argv, struct start_options *ret)
{
	struct option options[SETTINGS + 4] = { { "foreground", no_argument,
						    NULL, OPT_FOREGROUND },
		{ "pki", required_argument, NULL, OPT_PKI },
		{ "boot", required_argument, NULL, OPT_BOOT } };
	int opt;

	for (int s = 0; s < SETTINGS; s++)
		options[3 + s] = (struct option){ setting_rows[s].name,
			required_argument, NULL, s };
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == OPT_FOREGROUND)
			ret->foreground = true;
		else if (opt == OPT_PKI)
			ret->pki = optarg;
		else if (opt == OPT_BOOT)
			ret->boot = optarg;
		else if (opt >= 0 && opt < SETTINGS)
			ret->setting[opt] = optarg;
		else
			return -1;
	}
	return optind == argc ? 0 : -1;
}

/* Held as long as the machine runs: two of one DIR would share a TPM. */
static int
lock_dir(const char *dir, bool wait)
{
	_cleanup_(freep) char *path = xasprintf("%s/state/lock", dir);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return -1;
	for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
		if (!wait || i == STOP_SECONDS * 50) {
			close(fd);
			errno = EBUSY;
			return -1;
		}
		usleep(20000);
	}
	return fd;
}

static struct fuse_session *
mount_tree(struct machine *m, struct tree *tree)
{
	static char program[] = "vcvm", o[] = "-o";
	static char opts[] = "allow_other,default_permissions,fsname=vcvm,"
			     "subtype=vcvm";
	char *argv[] = { program, o, opts, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(3, argv);
	_cleanup_(freep) char *root = machine_path(m, "root");
	struct fuse_session *se;

	/* A machine that crashed leaves its mount behind. */
	while (umount2(root, MNT_DETACH) == 0)
		continue;
	se = fuse_session_new(&args, &tree_ops, sizeof(tree_ops), tree);
	if (se == NULL || fuse_set_signal_handlers(se) != 0 ||
	    fuse_session_mount(se, root) != 0)
		die("%s: cannot mount", root);
	fuse_opt_free_args(&args);
	return se;
}

static void
write_pid(struct machine *m)
{
	_cleanup_(freep) char *path = machine_path(m, "pid");
	_cleanup_(freep) char *text = xasprintf("%d\n", (int)getpid());

	if (file_write(path, text, strlen(text), 0644) < 0)
		die("%s: %s", path, strerror(errno));
}

/* The description of this boot: given now, of the last boot, or defaults. */
static void
read_boot(struct machine *m, const char *given)
{
	_cleanup_(freep) char *kept = machine_path(m, "state/boot.json");
	_cleanup_(buf_free) struct buf text = { 0 };

	if (given != NULL &&
	    (file_read(given, &text) < 0 ||
		file_write(kept, text.p, text.len, 0600) < 0))
		die("%s: %s", given, strerror(errno));
	if (boot_desc_read(access(kept, F_OK) == 0 ? kept : NULL, &m->desc) < 0)
		die("no usable boot description");
}

/* The parent of a daemon waits for the byte; then the log takes stderr. */
static void
tell_ready(const struct machine *m, int ready_fd)
{
	_cleanup_(freep) char *path = machine_path(m, "log");
	int log, null;

	if (ready_fd < 0)
		return;
	log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (log < 0 || null < 0)
		die("%s: %s", path, strerror(errno));
	dup2(null, 0);
	dup2(log, 1);
	dup2(log, 2);
	if (write(ready_fd, "", 1) != 1)
		die("nobody waits for the machine");
	close(ready_fd);
	close(log);
	close(null);
}

static void
turn_off(struct machine *m)
{
	_cleanup_(freep) char *pid = machine_path(m, "pid");
	_cleanup_(freep) char *control = machine_path(m, "control");

	pthread_mutex_lock(&m->tpm.lock);
	tpm_shutdown(&m->tpm);
	pthread_mutex_unlock(&m->tpm.lock);
	unlink(control);
	unlink(pid);
}

static int
serve(struct fuse_session *se)
{
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	int r;

	fuse_loop_cfg_set_max_threads(config, THREADS_MAX);
	fuse_loop_cfg_set_idle_threads(config, THREADS_MAX);
	r = fuse_session_loop_mt(se, config);
	fuse_loop_cfg_destroy(config);
	return r;
}

static int
run_machine(const char *dir, const struct start_options *opt, int ready_fd)
{
	struct fuse_session *se;
	struct machine *m;
	struct tree *tree;
	int r;

	/* Held until the process ends. */
	if (lock_dir(dir, false) < 0)
		die("%s: %s", dir,
		    errno == EBUSY ? "the machine is running" :
				     strerror(errno));
	m = machine_open(dir, opt->setting, opt->pki);
	signal(SIGPIPE, SIG_IGN);
	read_boot(m, opt->boot);
	r = machine_power_on(m);
	if (r < 0)
		die("the TPM does not start: %s", strerror(-r));
	machine_write_collateral(m);
	machine_write_facts(m);
	tree = tree_new(m);
	dev_add(tree);
	logs_add(tree);
	tsm_add(tree);
	se = mount_tree(m, tree);
	ctl_serve(m, tree);
	write_pid(m);
	tell_ready(m, ready_fd);
	r = serve(se);
	fuse_session_unmount(se);
	turn_off(m);
	/* Threads may still hold parts of it: the process ends here. */
	_exit(r == 0 || r == SIGTERM ? 0 : 1);
}

static int
start(const char *dir, const struct start_options *opt)
{
	int ready[2];
	char byte;
	pid_t pid;

	if (opt->foreground)
		return run_machine(dir, opt, -1);
	if (pipe2(ready, O_CLOEXEC) < 0)
		die("pipe: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (pid == 0) {
		close(ready[0]);
		setsid();
		return run_machine(dir, opt, ready[1]);
	}
	close(ready[1]);
	return read(ready[0], &byte, 1) == 1 ? 0 : 1;
}

static int
cmd_start(int argc, char **argv)
{
	struct start_options opt = { 0 };
	_cleanup_(freep) char *state = NULL;
	char *dir;
	int r;

	if (argc < 2 || parse_start(argc - 1, argv + 1, &opt) < 0)
		return 2;
	state = xasprintf("%s/state", argv[1]);
	if ((mkdir(argv[1], 0755) < 0 && errno != EEXIST) ||
	    (mkdir(state, 0700) < 0 && errno != EEXIST))
		die("%s: %s", argv[1], strerror(errno));
	dir = realpath(argv[1], NULL);
	if (dir == NULL)
		die("%s: %s", argv[1], strerror(errno));
	r = start(dir, &opt);
	free(dir);
	return r;
}

/* Returns when the machine is off, also when it was not on. */
static int
cmd_stop(int argc, char **argv)
{
	_cleanup_(freep) char *root = NULL;
	char stop[] = "stop", *words[] = { stop };
	int fd, lock;

	if (argc != 2)
		return 2;
	root = xasprintf("%s/root", argv[1]);
	fd = ctl_socket(argv[1], false);
	if (fd >= 0) {
		close(fd);
		(void)ctl_client(argv[1], 1, words);
	}
	lock = lock_dir(argv[1], true);
	if (lock < 0)
		die("%s: %s", argv[1], strerror(errno));
	while (umount2(root, MNT_DETACH) == 0)
		continue;
	close(lock);
	return 0;
}

static int
cmd_ctl(int argc, char **argv)
{
	char *path;

	if (argc < 3)
		return 2;
	/* The machine has another working directory. */
	if (argc == 4 && strcmp(argv[2], "boot") == 0) {
		path = realpath(argv[3], NULL);
		if (path == NULL)
			die("%s: %s", argv[3], strerror(errno));
		argv[3] = path;
	}
	return ctl_client(argv[1], argc - 2, argv + 2);
}

static int
copy(const char *from, const char *to, const char *name)
{
	_cleanup_(freep) char *source = xasprintf("%s/%s", from, name);
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		execlp("cp", "cp", "-a", source, to, (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -1;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

/* What a snapshot of the disk and of the vTPM carries away. */
static int
cmd_clone(int argc, char **argv)
{
	static const char *const parts[] = { "state", "pki", "collateral" };

	if (argc != 3)
		return 2;
	if (mkdir(argv[2], 0755) < 0)
		die("%s: %s", argv[2], strerror(errno));
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (copy(argv[1], argv[2], parts[i]) < 0)
			die("%s/%s: cannot copy", argv[1], parts[i]);
	return 0;
}

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} verbs[] = {
	{ "start", cmd_start },
	{ "stop", cmd_stop },
	{ "ctl", cmd_ctl },
	{ "clone", cmd_clone },
};

int
main(int argc, char **argv)
{
	int r = 2;

	for (size_t i = 0; argc > 1 && i < ARRAY_LEN(verbs); i++)
		if (strcmp(argv[1], verbs[i].name) == 0)
			r = verbs[i].run(argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[1], "--help") == 0) {
		usage(stdout);
		return 0;
	}
	if (r == 2)
		usage(stderr);
	return r;
}
