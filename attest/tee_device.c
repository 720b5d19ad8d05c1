/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "attest/tee_device.h"

#define SYSFS_TYPE 0x62656572 /* statfs(2) */
#define MISC_MAJOR 10	      /* Linux, Documentation/admin-guide/devices.txt */
#define UEVENT_MAX 512

int
tee_device_refuse(const struct tee_device *dev, const char *what, int err,
    struct why *why)
{
	char buf[128];

	return why_set(why, CVM_E_UNREACHABLE, dev->path, what, "a TEE report",
	    strerror_r(err, buf, sizeof(buf)));
}

int
tee_device_open(const struct tee_device *dev, const char *module, int *ret,
    struct why *reterr_why)
{
	int fd = open(dev->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	int err = errno;

	if (fd >= 0) {
		*ret = fd;
		return CVM_OK;
	}
	(void)tee_device_refuse(dev, "open", err, reterr_why);
	if (err == EACCES || err == EPERM)
		why_hint(reterr_why,
		    "only root may ask for reports: use p11-kit server, or "
		    "give %s to a group",
		    dev->path);
	else if (err == ENOENT || err == ENXIO || err == ENODEV)
		why_hint(reterr_why,
		    "load the kernel module %s (package "
		    "linux-modules-extra-$(uname -r))",
		    module);
	return CVM_E_UNREACHABLE;
}

/* Does sysfs say that the device of this number has one of the names? */
static bool
has_name(int uevent, const char *const *names, size_t n)
{
	char text[UEVENT_MAX + 1], line[80];
	ssize_t len = read(uevent, text, UEVENT_MAX);

	if (len <= 0)
		return false;
	text[len] = '\0';
	for (size_t i = 0; i < n; i++) {
		const char *at;

		(void)snprintf(line, sizeof(line), "DEVNAME=%s\n", names[i]);
		at = strstr(text, line);
		if (at != NULL && (at == text || at[-1] == '\n'))
			return true;
	}
	return false;
}

bool
tee_device_is_kernels(int fd, const char *const *names, size_t n)
{
	_cleanup_(closep) int uevent = -1;
	char path[64];
	struct statfs fs;
	struct stat st;

	if (fstat(fd, &st) != 0 || !S_ISCHR(st.st_mode) || st.st_uid != 0 ||
	    major(st.st_rdev) != MISC_MAJOR)
		return false;
	(void)snprintf(path, sizeof(path), "/sys/dev/char/%u:%u/uevent",
	    MISC_MAJOR, minor(st.st_rdev));
	uevent = open(path, O_RDONLY | O_CLOEXEC);
	return uevent >= 0 && fstatfs(uevent, &fs) == 0 &&
	    (long)fs.f_type == SYSFS_TYPE && has_name(uevent, names, n);
}

int
tee_device_call(const struct tee_device *dev, int fd, unsigned long request,
    void *arg)
{
	return dev->call != NULL ? dev->call(fd, request, arg) :
				   ioctl(fd, request, arg);
}
