/* SPDX-License-Identifier: Apache-2.0 */
/* The agent asks for another kernel: only with a signature of the right key over the right bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <mbedtls/ecdsa.h>

#include "kernel/verify/verify.h"
#include "tests/unit/support/fake_machine.h"
#include "tests/unit/support/fake_memory.h"
#include "vmm/images.h"

#define IMAGE_BYTES 5000u

static uint8_t image[IMAGE_BYTES], key[VERIFY_KEY_BYTES];
static struct ctl_update_manifest manifest;
static mbedtls_ecp_keypair pair;
static uint32_t handle;
static struct ctl_reply reply;

static int draw(void *ctx, unsigned char *out, size_t len)
{
	static uint8_t next = 1;

	(void)ctx;
	for (size_t i = 0; i < len; i++)
		out[i] = next++ * 31;
	return 0;
}

static void sign(void)
{
	uint8_t digest[SHA256_BYTES];
	struct sha256 hash;
	mbedtls_mpi r, s;

	sha256_init(&hash);
	sha256_add(&hash, &manifest, offsetof(struct ctl_update_manifest, signature));
	sha256_end(&hash, digest);
	mbedtls_mpi_init(&r);
	mbedtls_mpi_init(&s);
	assert_int_equal(mbedtls_ecdsa_sign(&pair.private_grp, &r, &s, &pair.private_d, digest,
					    sizeof(digest), draw, NULL),
			 0);
	assert_int_equal(mbedtls_mpi_write_binary(&r, manifest.signature, 32), 0);
	assert_int_equal(mbedtls_mpi_write_binary(&s, manifest.signature + 32, 32), 0);
	mbedtls_mpi_free(&s);
	mbedtls_mpi_free(&r);
}

static enum hv_err ask(uint32_t command, uint64_t arg0, const void *data, uint32_t len)
{
	static uint8_t out[1024];

	return fake_machine_ask(command, arg0, 0, data, len, &reply, out, sizeof(out));
}

static enum hv_err install(void)
{
	return ask(CTL_UPDATE_INSTALL, handle, &manifest, sizeof(manifest));
}

static int set_up(void **state)
{
	struct sha256 hash;
	size_t len;

	(void)state;
	fake_machine_reset("", 0, false);
	mbedtls_ecp_keypair_init(&pair);
	assert_int_equal(mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, &pair, draw, NULL), 0);
	assert_int_equal(mbedtls_ecp_point_write_binary(&pair.private_grp, &pair.private_Q,
							MBEDTLS_ECP_PF_UNCOMPRESSED, &len, key,
							sizeof(key)),
			 0);
	fake_machine.update_key = key;

	memset(image, 0x5c, sizeof(image));
	memset(&manifest, 0, sizeof(manifest));
	memcpy(manifest.magic, "billet-release-1", sizeof(manifest.magic));
	strcpy(manifest.version, "1.2.3");
	manifest.size = sizeof(image);
	sha256_init(&hash);
	sha256_add(&hash, image, sizeof(image));
	sha256_end(&hash, manifest.sha256);
	sign();

	assert_int_equal(image_create(sizeof(image), manifest.sha256, &handle), HV_OK);
	assert_int_equal(image_write(handle, 0, image, sizeof(image)), HV_OK);
	assert_int_equal(image_seal(handle), HV_OK);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	mbedtls_ecp_keypair_free(&pair);
	fake_machine_reset(NULL, 0,
			   false); /* which deletes the image: nobody may use it any more */
	assert_int_equal(kmem_in_use(), 0);
	return 0;
}

static void expect_refusal(enum hv_err err, const char *because)
{
	assert_int_equal(install(), err);
	assert_non_null(strstr(reply.message, because));
	assert_int_equal(fake_machine.nr_installs, 0);
}

static void installs_what_is_signed(void **state)
{
	(void)state;
	assert_int_equal(install(), HV_OK);
	assert_int_equal(fake_machine.nr_installs, 1);
	assert_memory_equal(&fake_machine.installed, &manifest, sizeof(manifest));
}

static void refuses_any_change_of_what_was_signed(void **state)
{
	(void)state;
	manifest.version[0] ^= 1; /* a downgrade under another name */
	expect_refusal(HV_EPROTO, "not signed");
	manifest.version[0] ^= 1;
	manifest.magic[0] ^= 1;
	expect_refusal(HV_EPROTO, "not signed");
	manifest.magic[0] ^= 1;
	manifest.signature[63] ^= 1;
	expect_refusal(HV_EPROTO, "not signed");
	memset(manifest.signature, 0, sizeof(manifest.signature));
	expect_refusal(HV_EPROTO, "not signed");
	sign();
	assert_int_equal(install(), HV_OK);
}

static void refuses_an_image_that_the_manifest_is_not_of(void **state)
{
	(void)state;
	manifest.sha256[0] ^= 1;
	sign();
	expect_refusal(HV_EPROTO, "is not the manifest's");
	manifest.sha256[0] ^= 1;
	manifest.size++;
	sign();
	expect_refusal(HV_EPROTO, "is not the manifest's");
}

static void refuses_another_key_and_none(void **state)
{
	uint8_t other[VERIFY_KEY_BYTES];

	(void)state;
	memcpy(other, key, sizeof(key));
	other[64] ^= 1;
	fake_machine.update_key = other;
	expect_refusal(HV_EPROTO, "not signed");
	fake_machine.update_key = NULL;
	expect_refusal(HV_ENOTSUP, "no key");
}

static void refuses_handles_of_no_sealed_image(void **state)
{
	(void)state;
	assert_int_equal(ask(CTL_UPDATE_INSTALL, handle + 1, &manifest, sizeof(manifest)),
			 HV_ENOENT);
	assert_int_equal(
		ask(CTL_UPDATE_INSTALL, handle + (1ull << 32), &manifest, sizeof(manifest)),
		HV_ENOENT);
	assert_int_equal(ask(CTL_UPDATE_INSTALL, handle, &manifest, sizeof(manifest) - 1),
			 HV_EINVAL);
	assert_int_equal(fake_machine.nr_installs, 0);
}

static void hands_on_what_the_slots_say(void **state)
{
	(void)state;
	fake_machine.next_update = HV_EEXIST;
	assert_int_equal(install(), HV_EEXIST);
	assert_string_equal(reply.message, "the slots say no");
	assert_int_equal(ask(CTL_UPDATE_TRY, 77, NULL, 0), HV_OK);
	assert_int_equal(fake_machine.attempt, 77);
	fake_machine.next_update = HV_EBUSY;
	assert_int_equal(ask(CTL_UPDATE_TRY, 78, NULL, 0), HV_EBUSY);
	assert_int_equal(fake_machine.attempt, 77);
	assert_int_equal(ask(CTL_UPDATE_COMMIT, 0, NULL, 0), HV_OK);
	assert_int_equal(fake_machine.nr_commits, 1);
	assert_int_equal(ask(CTL_UPDATE_COMMIT, 1, NULL, 0), HV_EINVAL);
	assert_int_equal(ask(CTL_UPDATE_STATUS, 0, NULL, 0), HV_OK);
	assert_int_equal(reply.data_len, sizeof(struct ctl_update_status));
}

static void reads_keys_in_hexadecimal(void **state)
{
	char hex[2 * VERIFY_KEY_BYTES + 2];
	uint8_t got[VERIFY_KEY_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(key); i++)
		snprintf(hex + 2 * i, 3, i % 2 ? "%02x" : "%02X", key[i]);
	assert_true(control_read_key(hex, got));
	assert_memory_equal(got, key, sizeof(key));
	hex[10] = 'g';
	assert_false(control_read_key(hex, got));
	hex[10] = hex[10] == '0' ? '1' : '0';
	hex[130] = '0';
	hex[131] = 0;
	assert_false(control_read_key(hex, got));
	hex[129] = 0;
	assert_false(control_read_key(hex, got));
	assert_false(control_read_key("", got));
}

/* Off a boot disk node.conf is as long as the room for it. */
static void ends_the_configuration_where_the_zeros_begin(void **state)
{
	static const char padded[512] = "controller = x\n";
	struct ctl_hello hello;
	uint8_t out[1024];

	(void)state;
	fake_machine_reset(padded, sizeof(padded), false);
	assert_int_equal(fake_machine_ask(CTL_HELLO, 0, 0, NULL, 0, &reply, out, sizeof(out)),
			 HV_OK);
	memcpy(&hello, out, sizeof(hello));
	assert_int_equal(hello.config_len, strlen(padded));
	fake_machine_reset(padded + 100, 400, false);
	assert_int_equal(fake_machine_ask(CTL_HELLO, 0, 0, NULL, 0, &reply, out, sizeof(out)),
			 HV_OK);
	memcpy(&hello, out, sizeof(hello));
	assert_int_equal(hello.config_len, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(installs_what_is_signed),
		TEST(refuses_any_change_of_what_was_signed),
		TEST(refuses_an_image_that_the_manifest_is_not_of),
		TEST(refuses_another_key_and_none),
		TEST(refuses_handles_of_no_sealed_image),
		TEST(hands_on_what_the_slots_say),
		TEST(reads_keys_in_hexadecimal),
		TEST(ends_the_configuration_where_the_zeros_begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
