/* SPDX-License-Identifier: Apache-2.0 */
/* What happens after an exit: one row for each kind, the same for every vendor. */
#ifndef VMM_EXITS_H
#define VMM_EXITS_H

#include "vmm/vm.h"

/* exit_handle - all that the guest's exit asks for, so that it can be entered again or is stopped
 */
void exit_handle(struct vcpu *vcpu, const struct vm_exit *exit);

const char *exit_name(enum exit_kind kind);

/* exit_log_last - the last exits of a vCPU that went the long way, oldest first; for crashes */
void exit_log_last(const struct vcpu *vcpu);

#endif
