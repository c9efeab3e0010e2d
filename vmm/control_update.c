/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control queue's commands on the node's own software. The agent is not believed: who released
 * an image is checked here, by a signature whose public key the agent cannot change. The hash of
 * the image's bytes is compared once they are on the disk (storage/slots.c).
 */
#include "kernel/lib/string.h"
#include "kernel/verify/verify.h"
#include "storage/node_slots.h"
#include "vmm/control_priv.h"
#include "vmm/images.h"

static_assert(sizeof(((struct ctl_reply *)0)->message) == SLOTS_WHY_BYTES, "reasons fit");
static_assert(sizeof(((struct ctl_update_manifest *)0)->signature) == VERIFY_SIGNATURE_LEN,
	      "signatures are P-256's");

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool control_read_key(const char *hex, uint8_t key[VERIFY_KEY_BYTES])
{
	if (strlen(hex) != VERIFY_KEY_HEX)
		return false;
	for (uint32_t i = 0; i < VERIFY_KEY_BYTES; i++) {
		int high = digit_of(hex[2 * i]), low = digit_of(hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		key[i] = (uint8_t)(high << 4 | low);
	}
	return verify_key_check(key) == HV_OK;
}

enum hv_err control_update_status(struct call *call)
{
	struct ctl_update_status status;

	control.setup.ops->update_status(&status);
	return control_put(call, &status, sizeof(status));
}

static enum hv_err check_signature(struct call *call, const uint8_t *key,
				   const struct ctl_update_manifest *manifest)
{
	uint8_t digest[SHA256_BYTES];
	struct sha256 hash;

	sha256_init(&hash);
	sha256_add(&hash, manifest, offsetof(struct ctl_update_manifest, signature));
	sha256_end(&hash, digest);
	switch (verify_p256(key, digest, manifest->signature)) {
	case HV_OK:
		return HV_OK;
	case HV_ENOMEM:
		return control_refuse(call, HV_ENOMEM, "no memory to check the signature with");
	default:
		return control_refuse(call, HV_EPROTO,
				      "the release is not signed with this node's update_key");
	}
}

static enum hv_err check_image(struct call *call, const struct ctl_update_manifest *manifest,
			       const struct image *image)
{
	if (image_size(image) != manifest->size ||
	    memcmp(image_sha256(image), manifest->sha256, sizeof(manifest->sha256)) != 0)
		return control_refuse(call, HV_EPROTO, "image %llu is not the manifest's",
				      (unsigned long long)call->req->arg0);
	return HV_OK;
}

static enum hv_err read_image(const void *ctx, uint64_t offset, void *dst, uint64_t len_bytes)
{
	return image_read(ctx, offset, dst, len_bytes);
}

static void release_image(void *ctx)
{
	image_unuse(ctx);
}

enum hv_err control_update_install(struct call *call)
{
	struct image *image =
		call->req->arg0 > UINT32_MAX ? NULL : image_use((uint32_t)call->req->arg0);
	struct node_image source = {.image = {.read = read_image, .ctx = image},
				    .release = release_image};
	const uint8_t *key = control.setup.ops->update_key();
	struct ctl_update_manifest manifest;
	enum hv_err err;

	if (!image)
		return control_refuse(call, HV_ENOENT, "handle: no sealed image %llu",
				      (unsigned long long)call->req->arg0);
	memcpy(&manifest, call->data, sizeof(manifest));
	if (key)
		err = check_image(call, &manifest, image);
	else
		err = control_refuse(call, HV_ENOTSUP,
				     "this node has no key to check releases with (update_key=)");
	if (err == HV_OK)
		err = check_signature(call, key, &manifest);
	if (err == HV_OK)
		err = control.setup.ops->update_install(&manifest, &source, call->reply->message);
	if (err != HV_OK)
		image_unuse(image);
	return err;
}

enum hv_err control_update_try(struct call *call)
{
	return control.setup.ops->update_try(call->req->arg0, call->reply->message);
}

enum hv_err control_update_commit(struct call *call)
{
	return control.setup.ops->update_commit(call->reply->message);
}
