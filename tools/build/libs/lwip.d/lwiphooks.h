/* SPDX-License-Identifier: Apache-2.0 */
/* The hooks that lwipopts.h names are plain macros; lwIP wants a file of this name all the same. */
