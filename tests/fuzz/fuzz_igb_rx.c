/* SPDX-License-Identifier: Apache-2.0 */
/* A hostile igb or e1000e, which writes over whole descriptors. */
#include "tests/fuzz/intel_rx_card.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz(INTEL_RX_EXTENDED, data, size);
	return 0;
}
