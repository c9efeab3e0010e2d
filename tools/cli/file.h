/* SPDX-License-Identifier: Apache-2.0 */
/* Files and disks by offset; what cannot be read or written ends the program, and says which. */
#ifndef CLI_FILE_H
#define CLI_FILE_H

#include <stddef.h>
#include <stdint.h>

/* file_read_at - bytes read, fewer than cap only at the file's end */
size_t file_read_at(int fd, const char *path, void *buf, size_t cap, uint64_t offset);

void file_write_at(int fd, const char *path, const void *bytes, size_t len, uint64_t offset);

#endif
