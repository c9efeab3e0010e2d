/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nested page tables: from a guest's physical addresses to ours, four levels, in pages given to it.
 *
 * Intel's and AMD's entries differ only in which bit says what; struct ept_format is that
 * difference, and the backend chooses it. An entry that is not present is all zero, so nothing can
 * be speculated through it (L1TF), and a table that maps nothing any more is given back at once.
 *
 * Lives from ept_create to ept_destroy, with its VM. No lock: mappings change only while no vCPU of
 * the VM runs; whoever unmaps flushes what the CPUs cached. Accessed and dirty bits are left to
 * them.
 */
#ifndef VMM_EPT_H
#define VMM_EPT_H

#include "kernel/lib/err.h"
#include "kernel/lib/types.h"

struct ept;

#define EPT_GPA_BITS 48 /* what four levels reach */

enum ept_perm { EPT_READ = 1, EPT_WRITE = 2, EPT_EXEC = 4 }; /* EPT_READ is always among them */
enum ept_memtype { EPT_WRITE_BACK, EPT_UNCACHED, EPT_MEMTYPES };

struct ept_format {
	const char *name;
	uint64_t present; /* any of these: the entry is present */
	uint64_t table;	  /* what an entry that leads to a table consists of, beside its address */
	uint64_t read, write, exec; /* set in a leaf that permits it */
	uint64_t no_exec;	    /* set in a leaf that does not */
	uint64_t leaf;		    /* set in every leaf */
	uint64_t large;		    /* set in a leaf of 2 MiB or 1 GiB */
	uint64_t memtype_mask, memtype[EPT_MEMTYPES];
};

extern const struct ept_format ept_format_intel; /* [SDM] "Extended Page-Table Mechanism" */
extern const struct ept_format ept_format_amd;	 /* [APM] "Nested Paging": long-mode entries */

/* Where tables lie. take gives a zeroed 4 KiB page, or ~0 when there is none. */
struct ept_pages {
	uint64_t (*take)(void *arg);
	void (*give_back)(void *arg, uint64_t hpa);
	void *(*hva_of)(void *arg, uint64_t hpa);
	void *arg;
};

enum ept_flags { EPT_WITHOUT_1G = 0, EPT_WITH_1G = 1 }; /* whether the CPU has 1 GiB leaves */

/*
 * ept_create - empty tables: the root page and nothing else
 *
 * pages    copied; what it points to is kept until ept_destroy
 * out      the caller's, to end with ept_destroy
 * Errors:  HV_ENOMEM
 */
MUST_CHECK enum hv_err ept_create(const struct ept_pages *pages, const struct ept_format *format,
				  enum ept_flags flags, struct ept **out);
void ept_destroy(struct ept *ept); /* gives every page back; NULL is fine */

/*
 * ept_map - map [gpa, gpa + len_bytes) onto hpa with the largest leaves that alignment allows
 *
 * gpa, hpa, len_bytes   multiples of 4 KiB, not empty; hpa below 2^52
 * perms                 bits of enum ept_perm, EPT_READ among them
 * Errors:  HV_EINVAL - beyond EPT_GPA_BITS; HV_EEXIST - part of it is mapped; HV_ENOMEM.
 *          On an error the tables are as they were, and hold no page more.
 */
MUST_CHECK enum hv_err ept_map(struct ept *ept, uint64_t gpa, uint64_t hpa, uint64_t len_bytes,
			       unsigned perms, enum ept_memtype memtype);

/*
 * ept_unmap - take a mapped range out, and give back the tables that are empty then
 *
 * Errors:  HV_ENOENT - part of it is not mapped; HV_EINVAL - an end of it lies inside a large leaf,
 *          or beyond EPT_GPA_BITS. On an error nothing was changed.
 */
MUST_CHECK enum hv_err ept_unmap(struct ept *ept, uint64_t gpa, uint64_t len_bytes);

bool ept_is_mapped(const struct ept *ept, uint64_t gpa);

struct ept_leaf {
	uint64_t hpa;	     /* of the byte asked for */
	uint64_t size_bytes; /* of the leaf: 4 KiB, 2 MiB or 1 GiB */
	unsigned perms;
	enum ept_memtype memtype;
};
bool ept_translate(const struct ept *ept, uint64_t gpa,
		   struct ept_leaf *out); /* false: not mapped */

uint64_t ept_root(const struct ept *ept);     /* hpa, for EPTP or nCR3 */
uint64_t ept_nr_pages(const struct ept *ept); /* taken and not given back, with the root */

#endif
