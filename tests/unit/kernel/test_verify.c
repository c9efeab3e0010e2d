/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures on P-256: RFC 6979's, and everything near them that must not pass. SHA-256: FIPS 180.
 */
#include "kernel/verify/verify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/memory.h"
#include "tests/unit/support/fake_memory.h"

/* RFC 6979, A.2.5 "ECDSA, 256 Bits (Prime Field)", with SHA-256 */
static const char key_hex[] = "04"
			      "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
			      "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299";
static const struct {
	const char *message, *signature;
} vectors[] = {
	{"sample", "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
		   "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"},
	{"test", "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367"
		 "019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083"},
};
/* [SEC2] secp256r1: the order and the prime */
static const char n_hex[] = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
static const char p_hex[] = "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff";

static uint8_t key[VERIFY_KEY_BYTES], digest[SHA256_BYTES], signature[VERIFY_SIGNATURE_LEN];

static uint8_t nibble(char c)
{
	return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static void unhex(uint8_t *to, const char *from)
{
	for (; from[0]; from += 2)
		*to++ = (uint8_t)(nibble(from[0]) << 4 | nibble(from[1]));
}

static void hash_of(const char *message, uint8_t out[SHA256_BYTES])
{
	struct sha256 hash;

	sha256_init(&hash);
	sha256_add(&hash, message, strlen(message));
	sha256_end(&hash, out);
}

static int load(void **state)
{
	(void)state;
	unhex(key, key_hex);
	unhex(signature, vectors[0].signature);
	hash_of(vectors[0].message, digest);
	return 0;
}

static int all_is_given_back(void **state)
{
	(void)state;
	assert_int_equal(kmem_in_use(), 0);
	return 0;
}

static void hashes_as_fips_180_does(void **state)
{
	static const char million[] =
		"cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";
	uint8_t want[SHA256_BYTES], got[SHA256_BYTES], piece[1000];
	struct sha256 hash;

	(void)state;
	unhex(want, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	hash_of("abc", got);
	assert_memory_equal(got, want, sizeof(want));

	memset(piece, 'a', sizeof(piece));
	sha256_init(&hash);
	for (int i = 0; i < 1000; i++)
		sha256_add(&hash, piece, sizeof(piece));
	sha256_end(&hash, got);
	unhex(want, million);
	assert_memory_equal(got, want, sizeof(want));
}

static void takes_what_the_key_signed(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		unhex(signature, vectors[i].signature);
		hash_of(vectors[i].message, digest);
		assert_int_equal(verify_p256(key, digest, signature), HV_OK);
	}
}

static void refuses_any_flipped_bit(void **state)
{
	(void)state;
	for (size_t bit = 0; bit < 8 * sizeof(signature); bit += 5) {
		signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(verify_p256(key, digest, signature), HV_EPROTO);
		signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t bit = 0; bit < 8 * sizeof(digest); bit += 13) {
		digest[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(verify_p256(key, digest, signature), HV_EPROTO);
		digest[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(verify_p256(key, digest, signature), HV_OK);
}

/* r and s must be 1 to n - 1: the zeros that once let anything pass, and the same number plus n. */
static void refuses_r_and_s_out_of_range(void **state)
{
	static const char *const bad[] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		n_hex,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		for (size_t half = 0; half < 2; half++) {
			unhex(signature, vectors[0].signature);
			unhex(signature + 32 * half, bad[i]);
			assert_int_equal(verify_p256(key, digest, signature), HV_EPROTO);
		}
	memset(signature, 0, sizeof(signature));
	assert_int_equal(verify_p256(key, digest, signature), HV_EPROTO);
	memset(digest, 0, sizeof(digest)); /* with e = 0 as well */
	assert_int_equal(verify_p256(key, digest, signature), HV_EPROTO);
}

/* The header says so: nobody may take a signature for a name. */
static void takes_the_twin_of_a_signature(void **state)
{
	uint8_t n[32];
	int borrow = 0;

	(void)state;
	unhex(n, n_hex);
	for (int i = 31; i >= 0; i--) {
		int digit = n[i] - signature[32 + i] - borrow;

		borrow = digit < 0;
		signature[32 + i] = (uint8_t)(digit + 256 * borrow);
	}
	assert_int_equal(borrow, 0);
	assert_int_equal(verify_p256(key, digest, signature), HV_OK);
}

static void refuses_what_is_no_key(void **state)
{
	(void)state;
	assert_int_equal(verify_key_check(key), HV_OK);
	key[64] ^= 1; /* beside the curve */
	assert_int_equal(verify_key_check(key), HV_EINVAL);
	assert_int_equal(verify_p256(key, digest, signature), HV_EINVAL);
	unhex(key, key_hex);
	key[0] = 2; /* compressed */
	assert_int_equal(verify_key_check(key), HV_EINVAL);
	memset(key, 0, sizeof(key)); /* the point at infinity, and (0, 0) */
	assert_int_equal(verify_key_check(key), HV_EINVAL);
	key[0] = 4;
	assert_int_equal(verify_key_check(key), HV_EINVAL);
	unhex(key, key_hex);
	unhex(key + 1, p_hex); /* x = p */
	assert_int_equal(verify_key_check(key), HV_EINVAL);
}

static void says_when_memory_is_short(void **state)
{
	(void)state;
	for (uint64_t after = 0; after < 40; after++) {
		enum hv_err err;

		fake_memory_fail_after = after;
		err = verify_p256(key, digest, signature);
		fake_memory_fail_after = FAKE_MEMORY_NEVER;
		assert_int_equal(err, HV_ENOMEM);
		assert_int_equal(kmem_in_use(), 0);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, load, all_is_given_back)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(hashes_as_fips_180_does),	     TEST(takes_what_the_key_signed),
		TEST(refuses_any_flipped_bit),	     TEST(refuses_r_and_s_out_of_range),
		TEST(takes_the_twin_of_a_signature), TEST(refuses_what_is_no_key),
		TEST(says_when_memory_is_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
