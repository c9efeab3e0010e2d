/* SPDX-License-Identifier: Apache-2.0 */
/* A guest that resets itself as soon as it runs, for ever. The hypervisor has to end that. */
#include "tests/guest/lib/guest.h"

void guest_main(void)
{
	reset();
}
