/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How billetctl ends when it cannot go on: one line on standard error, and a status that scripts
 * can tell apart. docs/cli.md lists the statuses; they never change.
 */
#ifndef CLI_DIE_H
#define CLI_DIE_H

#include <stddef.h>

enum exit_status {
	EXIT_OK = 0,
	EXIT_REFUSED = 1,     /* the controller said no, or something here failed */
	EXIT_USAGE = 2,	      /* the command line is wrong */
	EXIT_UNREACHABLE = 3, /* no controller there, or not the one that the CA vouches for */
	EXIT_NOT_FOUND = 4,   /* no such node, VM, image, token */
	EXIT_TIMEOUT = 5,     /* --timeout passed */
	EXIT_DENIED = 6,      /* no token, a wrong one, or one whose role does not suffice */
};

_Noreturn void die(enum exit_status status, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* note - one line on standard error that ends nothing */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* xalloc - memory that is zero, or the end of the program. Gives: the caller frees, or never does.
 */
void *xalloc(size_t len_bytes);
char *xformat(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
