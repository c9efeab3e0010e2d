/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of NVM Express that the driver uses, named as the specification names them.
 *
 * Source: [NVMe] "Controller Properties", "Submission Queue Entry", "Completion Queue Entry",
 * "Admin Command Set", "I/O Commands".
 */
#ifndef DRIVERS_NVME_H
#define DRIVERS_NVME_H

#include "drivers/drivers.h"
#include "kernel/lib/types.h"

extern const struct pci_driver nvme_driver;

/* "Controller Properties": offsets in bytes */
#define NVME_REG_CAP	  0x00u /* 64 bits */
#define NVME_REG_CC	  0x14u
#define NVME_REG_CSTS	  0x1cu
#define NVME_REG_AQA	  0x24u
#define NVME_REG_ASQ	  0x28u /* 64 bits */
#define NVME_REG_ACQ	  0x30u /* 64 bits */
#define NVME_REG_DOORBELL 0x1000u

#define NVME_CAP_MQES	 0x000000000000ffffull /* entries of a queue at most, less one */
#define NVME_CAP_TO	 0x00000000ff000000ull /* until RDY changes, at worst, in 500 ms */
#define NVME_CAP_DSTRD	 0x0000000f00000000ull /* doorbells are 4 << this apart */
#define NVME_CAP_CSS	 0x00001fe000000000ull
#define NVME_CAP_CSS_NVM 0x01u
#define NVME_CAP_MPSMIN	 0x000f000000000000ull /* smallest page: 4096 << this */

#define NVME_CC_EN	   0x00000001u
#define NVME_CC_SHN	   0x0000c000u
#define NVME_CC_SHN_NORMAL 1u
#define NVME_CC_IOSQES	   0x000f0000u /* 2^n bytes */
#define NVME_CC_IOCQES	   0x00f00000u

#define NVME_CSTS_RDY	    0x00000001u
#define NVME_CSTS_CFS	    0x00000002u /* controller fatal status */
#define NVME_CSTS_SHST	    0x0000000cu
#define NVME_CSTS_SHST_DONE 2u
#define NVME_CSTS_GONE	    0xffffffffu /* what a device reads as that was pulled out */

#define NVME_AQA_ASQS 0x00000fffu /* less one */
#define NVME_AQA_ACQS 0x0fff0000u

struct nvme_command {
	uint8_t opcode, flags;
	uint16_t cid;
	uint32_t nsid;
	uint32_t cdw2, cdw3;
	uint64_t mptr;
	uint64_t prp1, prp2;
	uint32_t cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
};
static_assert(sizeof(struct nvme_command) == 64, "[NVMe] a submission queue entry is 64 bytes");

struct nvme_completion {
	uint32_t dw0, dw1;
	uint32_t sq;	 /* head in the low half, identifier in the high */
	uint32_t status; /* command identifier in the low half, then the phase tag */
};
static_assert(sizeof(struct nvme_completion) == 16, "[NVMe] a completion queue entry is 16 bytes");

#define NVME_CQE_SQHD	0x0000ffffu
#define NVME_CQE_SQID	0xffff0000u
#define NVME_CQE_CID	0x0000ffffu
#define NVME_CQE_PHASE	0x00010000u
#define NVME_CQE_STATUS 0xfffe0000u

/* "Status Field", without the phase tag */
#define NVME_STATUS_SC	0x00ffu
#define NVME_STATUS_SCT 0x0700u
#define NVME_STATUS_DNR 0x4000u /* do not retry */

enum nvme_admin_opcode {
	NVME_CREATE_SQ = 0x01,
	NVME_GET_LOG_PAGE = 0x02,
	NVME_CREATE_CQ = 0x05,
	NVME_IDENTIFY = 0x06,
	NVME_SET_FEATURES = 0x09,
	NVME_ASYNC_EVENT = 0x0c,
};

enum nvme_io_opcode {
	NVME_FLUSH = 0x00,
	NVME_WRITE = 0x01,
	NVME_READ = 0x02,
	NVME_DATASET = 0x09,
};

#define NVME_NSID_ALL 0xffffffffu

#define NVME_CNS_NAMESPACE  0x00u
#define NVME_CNS_CONTROLLER 0x01u
#define NVME_CNS_ACTIVE	    0x02u /* identifiers above nsid, 1024 of them */
#define NVME_ACTIVE_MAX	    1024u

#define NVME_FEATURE_QUEUES 0x07u
#define NVME_FEATURE_EVENTS 0x0bu
#define NVME_EVENTS_HEALTH  0x1fu	/* all of the critical warnings of the health log */
#define NVME_QUEUES_SQ	    0x0000ffffu /* less one */
#define NVME_QUEUES_CQ	    0xffff0000u

#define NVME_CREATE_QID	 0x0000ffffu
#define NVME_CREATE_SIZE 0xffff0000u /* less one */
#define NVME_CREATE_PC	 0x00000001u /* physically contiguous */
#define NVME_CREATE_IEN	 0x00000002u
#define NVME_CREATE_HIGH 0xffff0000u /* of a CQ: interrupt vector; of an SQ: its CQ */

#define NVME_LOG_LID	0x000000ffu
#define NVME_LOG_NUMDL	0xffff0000u /* words, less one */
#define NVME_LOG_HEALTH 0x02u
#define NVME_LOG_BYTES	512u
#define NVME_EVENT_LOG	0x00ff0000u /* of an event: the log page that says more */

#define NVME_DATASET_DISCARD 0x00000004u

struct nvme_range { /* "Dataset Management - Range Definition" */
	uint32_t attributes, nr_blocks;
	uint64_t start;
};
static_assert(sizeof(struct nvme_range) == 16, "[NVMe] a range is 16 bytes");

#define NVME_IDENTIFY_BYTES 4096u

#endif
