/* SPDX-License-Identifier: Apache-2.0 */
/* The key that releases are signed with. */
#ifndef CLI_RELEASE_H
#define CLI_RELEASE_H

/* release_public_key - of a PEM file, public or private: 130 hexadecimal digits. Gives; ends the
 * program when the file holds none on P-256. */
char *release_public_key(const char *path);

#endif
