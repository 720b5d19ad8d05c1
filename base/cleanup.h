/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

/* Ownership is lexical: a local that owns something says so where it stands. */
#define _cleanup_(fn) __attribute__((cleanup(fn)))
#define _must_check_ __attribute__((warn_unused_result))
#define _printf_(fmt, args) __attribute__((format(printf, fmt, args)))

/* Hands the ownership of a pointer variable over and leaves NULL behind. */
#define TAKE_PTR(p)                                                            \
	__extension__({                                                        \
		__typeof__(p) *take_p_ = &(p);                                 \
		__typeof__(p) take_v_ = *take_p_;                              \
		*take_p_ = NULL;                                               \
		take_v_;                                                       \
	})

/* Hands the ownership of a file descriptor over and leaves -1 behind. */
#define TAKE_FD(fd)                                                            \
	__extension__({                                                        \
		int *take_p_ = &(fd);                                          \
		int take_v_ = *take_p_;                                        \
		*take_p_ = -1;                                                 \
		take_v_;                                                       \
	})

#define NELEMS(a) (sizeof(a) / sizeof((a)[0]))

static inline void
freep(void *p)
{
	void **ptr = p;

	free(*ptr);
	*ptr = NULL;
}

static inline void
closep(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

#endif
