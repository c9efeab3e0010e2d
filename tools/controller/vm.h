/* SPDX-License-Identifier: Apache-2.0 */
/* /v1/vms: making, finding, commanding and deleting VMs. */
#ifndef CONTROLLER_VM_H
#define CONTROLLER_VM_H

#include "tools/controller/http.h"

/* vm_find - the VM that the path's parameter means, by id or name; false after answering that there
 * is none */
bool vm_find(struct call *c, char id[static UUID_TEXT_MAX], char node[static ID_TEXT_MAX]);

/* vm_delete - mark it deleted and tell its node */
void vm_delete(struct call *c, const char *id, const char *node);

extern const struct route vm_routes[];

#endif
