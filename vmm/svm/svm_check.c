/* SPDX-License-Identifier: Apache-2.0 */
/* The rules in the manual's order, each with the sentence that a log shows. */
#include "vmm/svm/svm_check.h"

#define CR0_PE	    BIT(0)
#define CR0_NW	    BIT(29)
#define CR0_CD	    BIT(30)
#define CR0_PG	    BIT(31)
#define CR4_PAE	    BIT(5)
#define EFER_LME    BIT(8)
#define ATTR_L	    BIT(9) /* of CS, as struct vmcb_seg has it */
#define ATTR_D	    BIT(10)
#define MSRPM_BYTES 8192ull
#define IOPM_BYTES  12288ull

static const char *check_registers(const struct vmcb_save *s, uint8_t phys_bits)
{
	bool is_long = (s->efer & EFER_LME) && (s->cr0 & CR0_PG);

	if (!(s->efer & EFER_SVME))
		return "EFER.SVME is clear";
	if (!(s->cr0 & CR0_CD) && (s->cr0 & CR0_NW))
		return "CR0.NW is set without CR0.CD";
	if (s->cr0 >> 32)
		return "CR0 has bits above 31";
	if (is_long && s->cr3 >> phys_bits)
		return "CR3 lies beyond physical memory";
	if (s->dr6 >> 32 || s->dr7 >> 32)
		return "DR6 or DR7 has bits above 31";
	if (is_long && !(s->cr4 & CR4_PAE))
		return "long mode without CR4.PAE";
	if (is_long && !(s->cr0 & CR0_PE))
		return "long mode without CR0.PE";
	if (is_long && (s->cs.attrib & ATTR_L) && (s->cs.attrib & ATTR_D))
		return "CS has both L and D";
	return NULL;
}

static bool is_known_event(uint64_t event)
{
	uint64_t type = FIELD_GET(EVENT_TYPE, event), vector = FIELD_GET(EVENT_VECTOR, event);

	if (type == EVENT_TYPE_EXCEPTION)
		return vector < 32 && vector != 2;
	return type == EVENT_TYPE_INTR || type == EVENT_TYPE_NMI || type == EVENT_TYPE_SOFTWARE;
}

static const char *check_controls(const struct vmcb_control *c, uint8_t phys_bits)
{
	uint64_t end = BIT(phys_bits);

	if (!(c->intercept_misc2 & INTERCEPT_VMRUN))
		return "VMRUN is not intercepted";
	if (c->asid == 0)
		return "ASID is 0";
	if (!range_fits(c->iopm_base_pa, IOPM_BYTES, end) ||
	    !range_fits(c->msrpm_base_pa, MSRPM_BYTES, end))
		return "a permission map lies beyond physical memory";
	if ((c->event_inj & EVENT_V) && !is_known_event(c->event_inj))
		return "the injected event does not exist";
	if ((c->nested_ctl & NESTED_CTL_NP_ENABLE) && c->n_cr3 >= end)
		return "N_CR3 lies beyond physical memory";
	if ((c->vintr & VINTR_AVIC_ENABLE) &&
	    (!(c->nested_ctl & NESTED_CTL_NP_ENABLE) || c->avic_backing_page >= end ||
	     c->avic_logical_table >= end || c->avic_physical_table >= end))
		return "AVIC without nested paging, or a page of it lies beyond physical memory";
	return NULL;
}

const char *svm_check(const struct vmcb *vmcb, uint8_t phys_bits)
{
	const char *why = check_registers(&vmcb->save, phys_bits);

	return why ? why : check_controls(&vmcb->control, phys_bits);
}
