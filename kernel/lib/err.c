/* SPDX-License-Identifier: Apache-2.0 */
/* Words for enum hv_err. */
#include "kernel/lib/err.h"

static const char *const phrases[HV_ERRS] = {
	[HV_OK] = "done",
	[HV_EINVAL] = "invalid value",
	[HV_ENOMEM] = "no memory or no room",
	[HV_EBUSY] = "not in this state",
	[HV_ENOENT] = "no such thing",
	[HV_ENOTSUP] = "not supported here",
	[HV_EPROTO] = "breaks its specification",
	[HV_EEXIST] = "there already",
	[HV_EIO] = "hardware error",
	[HV_EAGAIN] = "not finished yet",
};

const char *hv_strerror(enum hv_err err)
{
	if ((unsigned)err >= HV_ERRS)
		return "unknown error";
	return phrases[err];
}
