/* SPDX-License-Identifier: Apache-2.0 */
/* Making a VM: checking what is wanted, and choosing its node. */
#ifndef CONTROLLER_VM_CREATE_H
#define CONTROLLER_VM_CREATE_H

#include "tools/controller/http.h"

/* vm_create - from the call's body; false after answering why not */
bool vm_create(struct call *c, char id[static UUID_TEXT_MAX]);

#endif
