/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every command's function; commands[] is the table of their rows.
 */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "tools/cli/args.h"
#include "tools/cli/settings.h"

extern const struct command commands[];
extern struct settings settings_now; /* set before a command runs */

void node_ls(const struct args *args);
void node_show(const struct args *args);
void node_approve(const struct args *args);
void node_rm(const struct args *args);
void node_update(const struct args *args);
void node_install_media(const struct args *args);

void join_token_create(const struct args *args);
void join_token_ls(const struct args *args);
void join_token_rm(const struct args *args);
void token_create(const struct args *args);
void token_ls(const struct args *args);
void token_rm(const struct args *args);

void image_upload(const struct args *args);
void image_ls(const struct args *args);
void image_show(const struct args *args);
void image_rm(const struct args *args);

void release_keygen(const struct args *args);
void release_pubkey(const struct args *args);
void release_upload(const struct args *args);
void release_ls(const struct args *args);
void release_show(const struct args *args);
void release_rm(const struct args *args);

void vm_create(const struct args *args);
void vm_ls(const struct args *args);
void vm_show(const struct args *args);
void vm_start(const struct args *args);
void vm_stop(const struct args *args);
void vm_pause(const struct args *args);
void vm_resume(const struct args *args);
void vm_reboot(const struct args *args);
void vm_rm(const struct args *args);
void vm_wait(const struct args *args);
void vm_console(const struct args *args);

void usage_show(const struct args *args);
void events_show(const struct args *args);
void version_show(const struct args *args);
void login(const struct args *args);
void completion(const struct args *args);

/* help_show - of a command, else of a group, else of all */
void help_show(const struct command *command, const char *group);

#endif
