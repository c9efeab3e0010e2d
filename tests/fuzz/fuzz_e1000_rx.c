/* SPDX-License-Identifier: Apache-2.0 */
/* A hostile e1000, which writes legacy descriptors. */
#include "tests/fuzz/intel_rx_card.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz(INTEL_RX_LEGACY, data, size);
	return 0;
}
