/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults on purpose, for tests of what the kernel does about them: `test_fault` in the node's
 * configuration says when. The kernel is asked first (CTL_TEST_FAULT), and allows it only when its
 * command line has test=1.
 */
#ifndef AGENT_FAULT_H
#define AGENT_FAULT_H

#include "agent/node.h"

/* fault_work - does not return when one is due; each happens once in a boot of the node */
void fault_work(struct node *n);

#endif
