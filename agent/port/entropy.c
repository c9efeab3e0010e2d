/* SPDX-License-Identifier: Apache-2.0 */
/* The DRBG and its seed. RDRAND may fail for a while; ten tries each, as [SDM] advises. */
#include "agent/entropy.h"

#include <string.h>

#include "agent/control.h"
#include "agent/port/cpu.h"
#include "agent/port/port.h"
#include "mbedtls/ctr_drbg.h"
#include "psa/crypto.h"

#define RDRAND_TRIES   10
#define CTL_RANDOM_MAX 256u

static mbedtls_ctr_drbg_context drbg;
static void (*random_hook)(void);

static bool rdrand64(uint64_t *val)
{
	unsigned char ok = 0;
	int i;

	for (i = 0; i < RDRAND_TRIES && !ok; i++)
		asm volatile("rdrand %0; setc %1" : "=r"(*val), "=qm"(ok) : : "cc");
	return ok;
}

static bool from_cpu(unsigned char *out, size_t len)
{
	uint64_t word = 0;
	size_t i;

	if (!(cpuid(1, 0).ecx & BIT(30)))
		return false;
	for (i = 0; i < len; i++) {
		if (i % 8 == 0 && !rdrand64(&word))
			return false;
		out[i] ^= (unsigned char)(word >> 8 * (i % 8));
	}
	return true;
}

static bool from_kernel(unsigned char *out, size_t len)
{
	unsigned char bytes[CTL_RANDOM_MAX];
	struct control_io io = {
		.command = CTL_RANDOM, .arg0 = len, .out = bytes, .out_cap = sizeof(bytes)};
	size_t i;

	if (len > sizeof(bytes) || control_call(&io) != HV_OK || io.out_len < len)
		return false;
	for (i = 0; i < len; i++)
		out[i] ^= bytes[i];
	return true;
}

static int seed(void *arg, unsigned char *out, size_t len)
{
	bool cpu, kernel;

	(void)arg;
	memset(out, 0, len);
	cpu = from_cpu(out, len);
	kernel = from_kernel(out, len);
	return cpu || kernel ? 0 : MBEDTLS_ERR_CTR_DRBG_ENTROPY_SOURCE_FAILED;
}

bool entropy_init(void)
{
	static const unsigned char name[] = "billet-agent";

	mbedtls_ctr_drbg_init(&drbg);
	return mbedtls_ctr_drbg_seed(&drbg, seed, NULL, name, sizeof(name)) == 0;
}

int entropy_random(void *arg, unsigned char *out, size_t len_bytes)
{
	size_t n;
	int err;

	(void)arg;
	if (random_hook)
		random_hook();
	for (; len_bytes > 0; out += n, len_bytes -= n) {
		n = MIN(len_bytes, (size_t)MBEDTLS_CTR_DRBG_MAX_REQUEST);
		err = mbedtls_ctr_drbg_random(&drbg, out, n);
		if (err)
			return err;
	}
	return 0;
}

/* mbedTLS's PSA functions (TLS 1.3) draw here. */
psa_status_t mbedtls_psa_external_get_random(mbedtls_psa_external_random_context_t *context,
					     uint8_t *out, size_t size, size_t *len)
{
	(void)context;
	*len = size;
	return entropy_random(NULL, out, size) == 0 ? PSA_SUCCESS : PSA_ERROR_INSUFFICIENT_ENTROPY;
}

uint32_t agent_random32(void)
{
	uint32_t val = 0;

	if (entropy_random(NULL, (unsigned char *)&val, sizeof(val)) != 0)
		agent_fail("no randomness", __FILE__, __LINE__);
	return val;
}

void entropy_set_hook(void (*hook)(void))
{
	random_hook = hook;
}
