/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can go wrong in the world outside our own code. Our bugs are ASSERTs; a guest's misbehaviour
 * is answered with the architectural fault or by stopping that guest.
 */
#ifndef KERNEL_LIB_ERR_H
#define KERNEL_LIB_ERR_H

#include "kernel/lib/types.h"

enum hv_err {
	HV_OK = 0,
	HV_EINVAL,  /* a value that the other side should not have sent */
	HV_ENOMEM,  /* no memory, or no room in a table */
	HV_EBUSY,   /* not in this state; may succeed later */
	HV_ENOENT,  /* names nothing that is there */
	HV_ENOTSUP, /* this machine or this version cannot */
	HV_EPROTO,  /* bytes that break their specification */
	HV_EEXIST,  /* there already */
	HV_EIO,	    /* hardware said no, or said nothing */
	HV_EAGAIN,  /* a part of it is done: the same again goes on */
	HV_ERRS
};

/* hv_strerror - a lower-case phrase for a message; never NULL */
const char *hv_strerror(enum hv_err err);

#endif
