/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GRUB's environment block: 1024 bytes of text that GRUB's load_env and save_env read and write.
 *
 *     # GRUB Environment Block\n
 *     slot=a\n
 *     cmdline=log=info\n          a \ in front of \ and of a line's end inside a value
 *     ##########################  to the end
 *
 * Pure; the kernel and billetctl share it. A value that is replaced by one of the same length stays
 * where it is, and nothing else moves.
 */
#ifndef STORAGE_GRUBENV_H
#define STORAGE_GRUBENV_H

#include "kernel/lib/err.h"
#include "kernel/lib/types.h"

#define GRUBENV_BYTES 1024u

/* grubenv_init - a block without variables */
void grubenv_init(uint8_t block[GRUBENV_BYTES]);

/* grubenv_check - HV_EPROTO when GRUB would not take it, or would read beyond a line */
MUST_CHECK enum hv_err grubenv_check(const uint8_t block[GRUBENV_BYTES]);

/*
 * grubenv_get - a variable's value, zero-terminated; of two of the same name the first
 *
 * Errors:  HV_ENOENT - there is none; HV_ENOMEM - it does not fit into cap bytes. For any block.
 */
MUST_CHECK enum hv_err grubenv_get(const uint8_t block[GRUBENV_BYTES], const char *name,
				   char *value, size_t cap);

/*
 * grubenv_set - replace a variable's value, or append the variable
 *
 * name     letters, digits and _
 * Errors:  HV_ENOMEM - no room; HV_EPROTO - the block is no such block. Then nothing has changed.
 */
MUST_CHECK enum hv_err grubenv_set(uint8_t block[GRUBENV_BYTES], const char *name,
				   const char *value);

/* grubenv_place - where in the block a variable's value begins; 0 when there is none */
size_t grubenv_place(const uint8_t block[GRUBENV_BYTES], const char *name);

#endif
