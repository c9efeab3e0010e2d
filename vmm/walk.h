/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a guest's linear address to its physical one, as its CPU would walk the guest's own tables:
 * no paging, 32-bit (with 4 MiB pages), PAE, four levels, five levels.
 *
 * For instructions that we carry out in the guest's place. The tables are hostile and change while
 * we read them: each entry is read once, a walk reads five at most, and its answer is an address
 * that the caller still has to find in struct gmem.
 *
 * What the CPU does and this does not: accessed and dirty bits stay as they are (the instruction
 * that led here has set them on its own walk, save for the second operand of MOVS); PAE's four top
 * entries are read from memory each time; protection keys, which our guests do not have, are not
 * looked at. Pure; any CPU, no lock, allocates nothing.
 */
#ifndef VMM_WALK_H
#define VMM_WALK_H

#include "kernel/lib/err.h"
#include "kernel/lib/types.h"
#include "vmm/gmem.h"

struct walk_state {
	uint64_t cr0, cr3, cr4, efer, rflags; /* rflags: AC lifts SMAP for a supervisor's access */
	uint8_t cpl;
	uint8_t gpa_bits; /* physical address width that the guest's CPUID shows, at most 52 */
};

enum walk_access { WALK_READ, WALK_WRITE, WALK_FETCH };

/* [SDM] "Page-Fault Exceptions": the error code */
#define PF_P	0x01u /* 0: an entry was not present; 1: rights */
#define PF_W	0x02u
#define PF_U	0x04u
#define PF_RSVD 0x08u
#define PF_I	0x10u

struct walk_fault {
	uint64_t gva; /* for CR2 */
	uint32_t code;
};

/*
 * walk_translate - the physical address of one byte
 *
 * gva      linear; its upper half is not looked at outside long mode
 * gpa      filled on HV_OK; the rest of its 4 KiB page follows it
 * fault    filled on HV_EPROTO
 *
 * Errors:  HV_EPROTO  - the CPU would raise #PF
 *          HV_EINVAL  - not canonical: the CPU would raise #GP, or #SS
 *          HV_ENOTSUP - a table does not lie in RAM
 * Source:  [SDM] "Paging", "Determination of Access Rights".
 */
MUST_CHECK enum hv_err walk_translate(const struct gmem *mem, const struct walk_state *state,
				      uint64_t gva, enum walk_access access, uint64_t *gpa,
				      struct walk_fault *fault);

/*
 * walk_read, walk_write - copy between linear addresses in RAM and a buffer, across pages
 *
 * access   WALK_READ or WALK_FETCH
 * Errors:  those of walk_translate, and HV_ENOENT - a page of it is not RAM. Nothing was written
 * then.
 */
MUST_CHECK enum hv_err walk_read(const struct gmem *mem, const struct walk_state *state,
				 uint64_t gva, enum walk_access access, void *dst, size_t len_bytes,
				 struct walk_fault *fault);
MUST_CHECK enum hv_err walk_write(const struct gmem *mem, const struct walk_state *state,
				  uint64_t gva, const void *src, size_t len_bytes,
				  struct walk_fault *fault);

/*
 * walk_fetch - the bytes of an instruction, as far as they can be had
 *
 * bytes    15 of them at most; the ones behind a page that cannot be fetched are left out
 * got      how many were filled; 0 only with an error, which is walk_read's for the first byte
 */
MUST_CHECK enum hv_err walk_fetch(const struct gmem *mem, const struct walk_state *state,
				  uint64_t gva, uint8_t bytes[15], size_t *got,
				  struct walk_fault *fault);

#endif
