/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads an x86 ELF executable (32 or 64 bits) into guest memory by its physical addresses. The file
 * is hostile. Pure.
 */
#ifndef VMM_ELF_H
#define VMM_ELF_H

#include "vmm/boot_proto.h"

#define ELF_SEGMENTS_MAX 64u /* program headers; real kernels have a handful */

struct elf_info {
	bool is_64;
	uint64_t entry;		    /* e_entry: often a virtual address */
	uint64_t low_gpa, high_gpa; /* all that was loaded lies in [low_gpa, high_gpa) */
	bool has_pvh_entry;
	uint32_t pvh_entry; /* XEN_ELFNOTE_PHYS32_ENTRY */
};

/*
 * elf_load - copy every PT_LOAD segment to its physical address, zero the rest of it, read the
 * notes
 *
 * info     filled on HV_OK
 * why      on error, a sentence for people; a constant string
 * Errors:  HV_EPROTO - not such a file, or it contradicts itself; HV_ENOMEM - a segment lies
 * outside RAM; those of src->read(). Guest memory may have been written to. Source:  [ELF] "Program
 * Header", "Note Section"; [PVH] for the note.
 */
MUST_CHECK enum hv_err elf_load(const struct image_src *src, const struct gmem *mem,
				struct elf_info *info, const char **why);

#endif
