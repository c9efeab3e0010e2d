/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel has of mbedTLS: ECDSA's verification on P-256, SHA-256, and what they need. */
#ifndef KERNEL_VERIFY_MBEDTLS_CONFIG_H
#define KERNEL_VERIFY_MBEDTLS_CONFIG_H

#include <stddef.h>

void *verify_calloc(size_t count, size_t len_bytes);
void kmem_free(void *ptr);

#define MBEDTLS_PLATFORM_C
#define MBEDTLS_PLATFORM_MEMORY
#define MBEDTLS_PLATFORM_CALLOC_MACRO verify_calloc
#define MBEDTLS_PLATFORM_FREE_MACRO   kmem_free

#define MBEDTLS_HAVE_ASM
#define MBEDTLS_NO_UDBL_DIVISION /* which libgcc would have to do */
#define MBEDTLS_BIGNUM_C
#define MBEDTLS_ECP_C
#define MBEDTLS_ECP_DP_SECP256R1_ENABLED
#define MBEDTLS_ECP_NIST_OPTIM
#define MBEDTLS_ECDSA_C
#define MBEDTLS_ASN1_PARSE_C /* ECDSA_C asks for both; nothing of them is linked */
#define MBEDTLS_ASN1_WRITE_C
#define MBEDTLS_SHA256_C

#endif
