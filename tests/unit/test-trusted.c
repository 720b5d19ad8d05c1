/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#include <fcntl.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf/config.h"
#include "conf/file.h"

/* NOBODY stands for whoever is neither root nor who runs this. */
#define NOBODY 65534

/*
 * DIR/up/in/file, and beside it DIR/links, with link to the file and far to
 * up, and DIR/sticky, which everybody may write into, with a file, a link and
 * a directory.
 */
static char dir[32];
static struct why why;

static const char *
at(const char *name)
{
	static char paths[4][160];
	static unsigned n;
	char *path = paths[n++ % 4];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

static void
make_file(const char *name)
{
	int fd = open(at(name), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "{}", 2), 2);
	assert_int_equal(fchmod(fd, 0644), 0);
	assert_int_equal(close(fd), 0);
}

static void
make_dir(const char *name, mode_t mode)
{
	assert_int_equal(mkdir(at(name), 0700), 0);
	assert_int_equal(chmod(at(name), mode), 0);
}

static void
make_link(const char *to, const char *name)
{
	assert_int_equal(symlink(to, at(name)), 0);
}

static int
make_tree(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/trusted-XXXXXX");
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chmod(dir, 0755), 0);
	make_dir("up", 0755);
	make_dir("up/in", 0755);
	make_file("up/in/file");
	make_dir("links", 0755);
	make_link("../up/in/file", "links/link");
	make_link(at("up/in"), "links/far");
	make_dir("sticky", 01777);
	make_file("sticky/file");
	make_link("../up/in/file", "sticky/link");
	make_dir("sticky/own", 0755);
	make_file("sticky/own/file");
	make_dir("sticky/theirs", 0755);
	make_file("sticky/theirs/file");
	return 0;
}

static int
remove_tree(void **state)
{
	char command[64];

	(void)state;
	(void)umount2(at("ro"), MNT_DETACH);
	(void)snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static int
trusted(const char *path)
{
	_cleanup_(blob_clear) struct blob b = { 0 };
	int err;

	memset(&why, 0, sizeof(why));
	err = file_read(path, 100, FILE_TRUSTED, &b, &why);
	if (err == CVM_OK)
		assert_true(b.len == 2 && memcmp(b.data, "{}", 2) == 0);
	else
		assert_int_equal(why.err, err);
	return err;
}

static void
sound_file_refused(void **state)
{
	static const char *const sound[] = { "up/in/file", "up//in/./file",
		"up/in/../in/file", "up/../up/in/../../up/in/file",
		"links/link", "links/far/file", "links/far/../in/file",
		"links/../links/link", "sticky/own/file",
		"sticky/own/../own/file", "sticky/../up/in/file" };
	static const mode_t modes[] = { 0400, 0600, 0640, 0644, 0755, 04755 };

	(void)state;
	for (size_t i = 0; i < NELEMS(sound); i++)
		assert_int_equal(trusted(at(sound[i])), CVM_OK);
	for (size_t i = 0; i < NELEMS(modes); i++) {
		assert_int_equal(chmod(at("up/in/file"), modes[i]), 0);
		assert_int_equal(trusted(at("up/in/file")), CVM_OK);
	}
}

static void
relative_path_refused(void **state)
{
	char before[4096];

	(void)state;
	assert_non_null(getcwd(before, sizeof(before)));
	assert_int_equal(chdir(at("up")), 0);
	assert_int_equal(trusted("in/file"), CVM_OK);
	assert_int_equal(trusted("../links/link"), CVM_OK);
	/* What is above the working directory counts as well. */
	assert_int_equal(chmod(dir, 0777), 0);
	assert_int_equal(trusted("in/file"), CVM_E_CONFIG);
	assert_string_equal(why.where, dir);
	assert_int_equal(chdir(before), 0);
}

/* With that mode there, the way to the file is refused, with those words. */
static const struct fault {
	const char *there;
	mode_t mode;
	const char *path, *hint;
} faults[] = {
	{ "up/in/file", 0664, "up/in/file", "chmod g-w" },
	{ "up/in/file", 0646, "up/in/file", "chmod o-w" },
	{ "up/in/file", 0666, "up/in/file", "chmod go-w" },
	/* The sticky bit of a file says nothing. */
	{ "up/in/file", 01666, "up/in/file", "chmod go-w" },
	{ "up/in/file", 0664, "links/link", "chmod g-w" },
	{ "up/in", 0775, "up/in/file", "chmod g-w" },
	{ "up/in", 0757, "up/in/file", "chmod o-w" },
	{ "up/in", 0777, "up/in/file", "chmod go-w" },
	{ "up/in", 02775, "up/in/file", "chmod g-w" },
	{ "up", 0775, "up/in/file", "chmod g-w" },
	{ "up", 0777, "up/in/file", "chmod go-w" },
	{ "", 0777, "up/in/file", "chmod go-w" },
	/* Who writes the link's directory has it name another file, */
	{ "links", 0775, "links/link", "chmod g-w" },
	{ "links", 0777, "links/far/file", "chmod go-w" },
	/* and who writes the way to what it names. */
	{ "up", 0777, "links/link", "chmod go-w" },
	{ "up/in", 0777, "links/far/file", "chmod go-w" },
	/* Only passed through. */
	{ "links", 0777, "links/../up/in/file", "chmod go-w" },
	{ "sticky/own", 0777, "sticky/own/file", "chmod go-w" },
	{ "sticky/own", 0775, "sticky/own/file", "chmod g-w" },
};

/* The command of a hint; that of a file is for who has read it. */
static const char *
command_of(const char *there)
{
	static const char first[] = "read it, then: ";
	struct stat st;

	assert_int_equal(lstat(there, &st), 0);
	if (!S_ISREG(st.st_mode))
		return why.hint;
	assert_int_equal(strncmp(why.hint, first, strlen(first)), 0);
	return why.hint + strlen(first);
}

static void
writable_by_others_trusted(void **state)
{
	char mode[8];

	(void)state;
	for (size_t i = 0; i < NELEMS(faults); i++) {
		const struct fault *f = &faults[i];
		const char *there = f->there[0] ? at(f->there) : dir;
		const char *command;
		struct stat st;

		assert_int_equal(trusted(at(f->path)), CVM_OK);
		assert_int_equal(stat(there, &st), 0);
		assert_int_equal(chmod(there, f->mode), 0);
		assert_int_equal(trusted(at(f->path)), CVM_E_CONFIG);
		assert_string_equal(why.where, there);
		assert_string_equal(why.field, "mode");
		(void)snprintf(mode, sizeof(mode), "%04o", (unsigned)f->mode);
		assert_string_equal(why.got, mode);
		/* The command that mends it, whole. */
		command = command_of(there);
		assert_int_equal(strncmp(command, f->hint, strlen(f->hint)), 0);
		assert_string_equal(command + strlen(f->hint) + 1, there);
		assert_int_equal(system(command), 0);
		assert_int_equal(trusted(at(f->path)), CVM_OK);
		assert_int_equal(chmod(there, st.st_mode & 07777), 0);
	}
}

/*
 * Whoever has the directory of a file or link that is root's can move it to
 * where everybody may write, if the name is free there.
 */
static void
moved_file_trusted(void **state)
{
	static const char *const moved[] = { "sticky/file", "sticky/link",
		"sticky/own/../file", "links/../sticky/file" };

	(void)state;
	for (size_t i = 0; i < NELEMS(moved); i++) {
		assert_int_equal(trusted(at(moved[i])), CVM_E_CONFIG);
		assert_string_equal(why.field, "directory");
	}
	assert_int_equal(chmod(at("sticky"), 0755), 0);
	for (size_t i = 0; i < NELEMS(moved); i++)
		assert_int_equal(trusted(at(moved[i])), CVM_OK);
}

/* Secrets and ConfigMaps of Kubernetes. */
static void
bits_of_a_mount_that_nobody_writes(void **state)
{
	(void)state;
	make_dir("ro", 0755);
	if (mount("none", at("ro"), "tmpfs", 0, NULL) != 0)
		skip();
	assert_int_equal(chmod(at("ro"), 01777), 0);
	make_dir("ro/..data", 0777);
	make_file("ro/..data/file");
	assert_int_equal(chmod(at("ro/..data/file"), 0666), 0);
	make_link("..data/file", "ro/file");
	assert_int_equal(trusted(at("ro/file")), CVM_E_CONFIG);
	assert_int_equal(trusted(at("ro/..data/file")), CVM_E_CONFIG);
	assert_int_equal(mount("none", at("ro"), "tmpfs",
			     MS_REMOUNT | MS_RDONLY, NULL),
	    0);
	assert_int_equal(trusted(at("ro/file")), CVM_OK);
	assert_int_equal(trusted(at("ro/..data/file")), CVM_OK);
	assert_int_equal(mount("none", at("ro"), "tmpfs", MS_REMOUNT, NULL), 0);
	assert_int_equal(lchown(at("ro/file"), 1, 0), 0);
	assert_int_equal(mount("none", at("ro"), "tmpfs",
			     MS_REMOUNT | MS_RDONLY, NULL),
	    0);
	assert_int_equal(trusted(at("ro/file")), CVM_E_CONFIG);
	assert_string_equal(why.field, "owner");
}

/* A directory of others is not entered, sticky or not. */
static const struct owned {
	const char *there, *path;
} owned[] = {
	{ "up/in/file", "up/in/file" },
	{ "up/in/file", "links/link" },
	{ "up/in", "up/in/file" },
	{ "up", "up/in/file" },
	{ "links", "links/link" },
	{ "links/link", "links/link" },
	{ "sticky", "sticky/own/file" },
	{ "sticky/theirs", "sticky/theirs/file" },
	{ "sticky/own/file", "sticky/own/file" },
};

#define STRANGER 4711

static void
owned_by_another_trusted(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	for (size_t i = 0; i < NELEMS(owned); i++) {
		const char *there = at(owned[i].there);

		assert_int_equal(lchown(there, STRANGER, 0), 0);
		assert_int_equal(trusted(at(owned[i].path)), CVM_E_CONFIG);
		assert_string_equal(why.where, there);
		assert_string_equal(why.field, "owner");
		assert_string_equal(why.expected, "root");
		assert_string_equal(why.got, "uid 4711");
		if (strncmp(why.hint, "chown", 5) == 0)
			assert_int_equal(system(why.hint), 0);
		else
			assert_int_equal(chown(there, 0, 0), 0);
		assert_int_equal(trusted(at(owned[i].path)), CVM_OK);
	}
}

/* A worker that gave up its rights reads root's files, and its own. */
static void
roots_file_refused(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(seteuid(NOBODY), 0);
	assert_int_equal(trusted(at("up/in/file")), CVM_OK);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(chown(at("up/in/file"), NOBODY, 0), 0);
	assert_int_equal(seteuid(NOBODY), 0);
	assert_int_equal(trusted(at("up/in/file")), CVM_OK);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(trusted(at("up/in/file")), CVM_E_CONFIG);
	assert_int_equal(chown(at("up/in/file"), NOBODY - 1, 0), 0);
	assert_int_equal(seteuid(NOBODY), 0);
	assert_int_equal(trusted(at("up/in/file")), CVM_E_CONFIG);
	assert_string_equal(why.expected, "root or uid 65534");
	assert_int_equal(seteuid(0), 0);
}

/* ... and finds what it may not look into as unreadable as open(2) does. */
static void
closed_directory_told_as_unsafe(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(at("up"), 0700), 0);
	assert_int_equal(seteuid(NOBODY), 0);
	assert_int_equal(trusted(at("up/in/file")), CVM_E_IO);
	assert_string_equal(why.where, at("up/in/file"));
	assert_int_equal(seteuid(0), 0);
}

static void
what_is_no_file(void **state)
{
	char path[4200];

	(void)state;
	assert_int_equal(trusted(at("up/in/none")), CVM_E_NOT_FOUND);
	assert_int_equal(trusted(at("none/in/file")), CVM_E_NOT_FOUND);
	assert_int_equal(trusted(at("up/in/file/")), CVM_E_NOT_FOUND);
	assert_int_equal(trusted(at("up/in/file/x")), CVM_E_NOT_FOUND);
	make_link("nowhere", "links/dangling");
	assert_int_equal(trusted(at("links/dangling")), CVM_E_NOT_FOUND);
	for (size_t i = 0; i < 5; i++) {
		const char *const dirs[] = { at("up"), at("up/"), at("up/."),
			at("links/far"), "/" };

		assert_int_equal(trusted(dirs[i]), CVM_E_CONFIG);
		assert_string_equal(why.field, "type");
	}
	make_link("round", "links/round");
	assert_int_equal(trusted(at("links/round")), CVM_E_IO);
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(trusted(path), CVM_E_IO);
	path[300] = '\0';
	assert_int_equal(trusted(path), CVM_E_IO);
	for (size_t i = 0; i < sizeof(path) - 1; i++)
		path[i] = '/';
	assert_int_equal(trusted(path), CVM_E_IO);
}

/* As many as the kernel follows, and one more. */
static void
links_without_end(void **state)
{
	char name[32], to[32];

	(void)state;
	make_link("../up/in/file", "links/0");
	for (unsigned i = 1; i <= 40; i++) {
		(void)snprintf(name, sizeof(name), "links/%u", i);
		(void)snprintf(to, sizeof(to), "%u", i - 1);
		make_link(to, name);
	}
	assert_int_equal(trusted(at("links/39")), CVM_OK);
	assert_int_equal(trusted(at("links/40")), CVM_E_IO);
}

/* What a caller has just named may be anybody's, anywhere. */
static void
named_file_refused(void **state)
{
	_cleanup_(blob_clear) struct blob b = { 0 };
	static const mode_t refused[] = { 0602, 0646, 0666 };

	(void)state;
	assert_int_equal(chmod(at("up/in"), 0777), 0);
	assert_int_equal(chmod(at("up/in/file"), 0664), 0);
	assert_int_equal(file_read(at("up/in/file"), 100, FILE_NAMED, &b, &why),
	    CVM_OK);
	for (size_t i = 0; i < NELEMS(refused); i++) {
		assert_int_equal(chmod(at("up/in/file"), refused[i]), 0);
		assert_int_equal(file_read(at("up/in/file"), 100, FILE_NAMED,
				     &b, &why),
		    CVM_E_CONFIG);
		assert_non_null(strstr(why.hint, ": chmod o-w /"));
	}
}

#define SKIPPED 77

/* In a program of its own: 0 when the environment names the configuration,
 * 1 when it does not. */
static int
environment_counts(const char *privileged)
{
	_cleanup_(freep) char *path = NULL;

	if ((getauxval(AT_SECURE) != 0) != (strcmp(privileged, "yes") == 0))
		return SKIPPED; /* mounted nosuid */
	if (config_locate(NULL, &path, NULL) != CVM_OK)
		return 2;
	return strcmp(path, "/evil.json") != 0;
}

static int
run_copy(const char *privileged)
{
	char program[160], locate[] = "locate", how[8];
	char variable[] = "CVM_PKCS11_CONF=/evil.json";
	char *const args[] = { program, locate, how, NULL };
	char *const environment[] = { variable, NULL };
	pid_t pid;
	int status;

	(void)snprintf(program, sizeof(program), "%s", at("program"));
	(void)snprintf(how, sizeof(how), "%s", privileged);
	assert_int_equal(posix_spawn(&pid, args[0], NULL, NULL, args,
			     environment),
	    0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* Who calls a program that has more rights does not tell it what to trust. */
static void
environment_taken_with_more_rights(void **state)
{
	static const mode_t modes[] = { 04755, 02755, 06755 };
	char command[128];
	int result;

	(void)state;
	if (geteuid() != 0)
		skip();
	(void)snprintf(command, sizeof(command), "cp /proc/%d/exe %s",
	    (int)getpid(), at("program"));
	assert_int_equal(system(command), 0);
	assert_int_equal(chown(at("program"), NOBODY, NOBODY), 0);
	assert_int_equal(chmod(at("program"), 0755), 0);
	assert_int_equal(run_copy("no"), 0);
	for (size_t i = 0; i < NELEMS(modes); i++) {
		assert_int_equal(chmod(at("program"), modes[i]), 0);
		if ((result = run_copy("yes")) == SKIPPED)
			skip();
		assert_int_equal(result, 1);
	}
}

#define ON(f) cmocka_unit_test_setup_teardown(f, make_tree, remove_tree)

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		ON(sound_file_refused),
		ON(relative_path_refused),
		ON(writable_by_others_trusted),
		ON(owned_by_another_trusted),
		ON(roots_file_refused),
		ON(closed_directory_told_as_unsafe),
		ON(what_is_no_file),
		ON(links_without_end),
		ON(moved_file_trusted),
		ON(bits_of_a_mount_that_nobody_writes),
		ON(named_file_refused),
		ON(environment_taken_with_more_rights),
	};

	if (argc == 3 && strcmp(argv[1], "locate") == 0)
		return environment_counts(argv[2]);
	return cmocka_run_group_tests_name("trusted", tests, NULL, NULL);
}
