/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the segments of an x86 ELF executable (32 or 64 bits) go, by their physical addresses. The
 * file is hostile. Pure.
 */
#ifndef VMM_ELF_H
#define VMM_ELF_H

#include "vmm/boot_proto.h"

struct elf_info {
	bool is_64;
	uint64_t entry;		    /* e_entry: often a virtual address */
	uint64_t low_gpa, high_gpa; /* all segments lie in [low_gpa, high_gpa) */
	bool has_pvh_entry;
	uint32_t pvh_entry; /* XEN_ELFNOTE_PHYS32_ENTRY */
};

/*
 * elf_plan - every PT_LOAD segment of the kernel onto the plan, at its physical address and with
 * the zeros behind it; read the notes
 *
 * info     filled on HV_OK
 * why      on error, a sentence for people; a constant string
 * Errors:  HV_EPROTO - not such a file, or it contradicts itself; HV_ENOMEM - a segment lies
 * outside RAM; those of the image's read(). Source:  [ELF] "Program Header", "Note Section"; [PVH]
 * for the note.
 */
MUST_CHECK enum hv_err elf_plan(const struct boot_request *req, struct elf_info *info,
				const char **why);

#endif
