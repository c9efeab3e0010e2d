/* SPDX-License-Identifier: Apache-2.0 */
/* The control queue's commands on images: words for what vmm/images.c answers. */
#include "vmm/control_priv.h"
#include "vmm/images.h"

/* Handles have 32 bits and come in a word of 64. */
static uint32_t handle_of(const struct call *call)
{
	return call->req->arg0 > UINT32_MAX ? 0 : (uint32_t)call->req->arg0;
}

static enum hv_err no_such_image(struct call *call)
{
	return control_refuse(call, HV_ENOENT, "handle: no image %llu",
			      (unsigned long long)call->req->arg0);
}

enum hv_err control_image_create(struct call *call)
{
	uint32_t handle = 0;
	enum hv_err err = image_create(call->req->arg0, call->data, &handle);

	call->reply->value0 = handle;
	switch (err) {
	case HV_EINVAL:
		return control_refuse(call, err,
				      handle ? "size: image %u has this hash and another size"
					     : "size: an image has at least one byte",
				      handle);
	case HV_ENOMEM:
		return control_refuse(call, err,
				      "size: no room for an image of %llu bytes beside the others",
				      (unsigned long long)call->req->arg0);
	default:
		return err;
	}
}

enum hv_err control_image_write(struct call *call)
{
	enum hv_err err =
		image_write(handle_of(call), call->req->arg1, call->data, call->req->data_len);

	switch (err) {
	case HV_ENOENT:
		return no_such_image(call);
	case HV_EINVAL:
		return control_refuse(
			call, err,
			"offset: %llu is not where the bytes so far end, or too many follow",
			(unsigned long long)call->req->arg1);
	default:
		return err;
	}
}

enum hv_err control_image_seal(struct call *call)
{
	enum hv_err err = image_seal(handle_of(call));

	if (err == HV_ENOENT)
		return no_such_image(call);
	if (err == HV_EBUSY)
		return control_refuse(call, err, "image %u: not all of it is written yet",
				      handle_of(call));
	return err;
}

enum hv_err control_image_delete(struct call *call)
{
	enum hv_err err = image_delete(handle_of(call));

	if (err == HV_ENOENT)
		return no_such_image(call);
	if (err == HV_EBUSY)
		return control_refuse(call, err, "image %u: a VM uses it", handle_of(call));
	return err;
}

enum hv_err control_image_list(struct call *call)
{
	static struct ctl_image_info list[CTL_IMAGES_MAX]; /* under the control queue's lock */
	uint32_t nr = image_list(list, CTL_IMAGES_MAX);

	call->reply->value0 = nr;
	return control_put(call, list, nr * sizeof(list[0]));
}
