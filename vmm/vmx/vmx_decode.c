/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One table from exit reasons to kinds, and the three qualifications that need taking apart.
 */
#include "vmm/vmx/vmx_decode.h"

#include "vmm/vmx/vmcs.h"

static const uint8_t kinds[] = {
	[REASON_EXTERNAL_INTERRUPT] = EXIT_IRQ,
	[REASON_TRIPLE_FAULT] = EXIT_TRIPLE_FAULT,
	[REASON_INIT] = EXIT_INIT,
	[REASON_INTERRUPT_WINDOW] = EXIT_IRQ_WINDOW,
	[REASON_NMI_WINDOW] = EXIT_NMI_WINDOW,
	[REASON_TASK_SWITCH] = EXIT_TASK_SWITCH,
	[REASON_CPUID] = EXIT_CPUID,
	[REASON_GETSEC] = EXIT_UNDEFINED,
	[REASON_HLT] = EXIT_HLT,
	[REASON_INVD] = EXIT_WBINVD,
	[REASON_RDPMC] = EXIT_NO_COUNTER,
	[REASON_RSM] = EXIT_UNDEFINED,
	[REASON_VMCALL] = EXIT_HYPERCALL,
	[REASON_VMCLEAR... REASON_VMXON] = EXIT_UNDEFINED,
	[REASON_CR_ACCESS] = EXIT_CR_WRITE,
	[REASON_IO] = EXIT_IO,
	[REASON_RDMSR] = EXIT_RDMSR,
	[REASON_WRMSR] = EXIT_WRMSR,
	[REASON_BAD_GUEST_STATE] = EXIT_ENTRY_FAILED,
	[REASON_BAD_MSR_LOAD] = EXIT_ENTRY_FAILED,
	[REASON_MWAIT] = EXIT_UNDEFINED,
	[REASON_MONITOR] = EXIT_UNDEFINED,
	[REASON_PAUSE] = EXIT_PAUSE,
	[REASON_TPR_BELOW_THRESHOLD] = EXIT_TPR,
	[REASON_APIC_ACCESS] = EXIT_APIC_ACCESS,
	[REASON_VIRTUALIZED_EOI] = EXIT_EOI,
	[REASON_EPT_VIOLATION] = EXIT_MMIO,
	[REASON_INVEPT] = EXIT_UNDEFINED,
	[REASON_PREEMPTION_TIMER] = EXIT_PREEMPT,
	[REASON_INVVPID] = EXIT_UNDEFINED,
	[REASON_WBINVD] = EXIT_WBINVD,
	[REASON_XSETBV] = EXIT_XSETBV,
	[REASON_APIC_WRITE] = EXIT_APIC_WRITE,
	[REASON_VMFUNC] = EXIT_UNDEFINED,
	[REASON_ENCLS] = EXIT_UNDEFINED,
	[REASON_UMWAIT] = EXIT_UNDEFINED,
	[REASON_TPAUSE] = EXIT_UNDEFINED,
};

enum exit_kind vmx_decode_reason(uint32_t reason)
{
	uint32_t basic = reason & REASON_BASIC;

	if (reason & REASON_ENTRY_FAILURE)
		return EXIT_ENTRY_FAILED;
	if (basic >= ARRAY_SIZE(kinds) || kinds[basic] == EXIT_NONE)
		return EXIT_UNKNOWN;
	return kinds[basic];
}

enum hv_err vmx_decode_io(uint64_t qual, uint32_t insn_info, uint64_t gva, struct vm_exit *exit)
{
	uint64_t size = FIELD_GET(IOQ_SIZE, qual);
	uint32_t addr_size = FIELD_GET(INS_INFO_ADDR_SIZE, insn_info);
	bool is_string = qual & IOQ_STRING;

	if (size != 0 && size != 1 && size != 3)
		return HV_EPROTO;
	if (is_string && addr_size > 2)
		return HV_EPROTO;
	exit->io.port = (uint16_t)FIELD_GET(IOQ_PORT, qual);
	exit->io.size = (uint8_t)(size + 1);
	exit->io.is_in = qual & IOQ_IN;
	exit->io.is_string = is_string;
	exit->io.is_rep = qual & IOQ_REP;
	exit->io.addr_size = (uint8_t)(2u << addr_size);
	/* INS always uses ES; the field is undefined for it. */
	exit->io.seg =
		exit->io.is_in ? SEG_ES : (uint8_t)MIN(FIELD_GET(INS_INFO_SEG, insn_info), SEG_GS);
	exit->io.gva = gva;
	return HV_OK;
}

enum hv_err vmx_decode_cr(uint64_t qual, const uint64_t gpr[16], uint64_t rsp, uint64_t cr0,
			  struct vm_exit *exit)
{
	uint8_t nr = (uint8_t)FIELD_GET(CRQ_NR, qual), reg = (uint8_t)FIELD_GET(CRQ_REG, qual);
	uint64_t type = FIELD_GET(CRQ_TYPE, qual), source = FIELD_GET(CRQ_LMSW, qual);

	if (nr != 0 && nr != 3 && nr != 4 && nr != 8)
		return HV_EPROTO;
	exit->cr.nr = nr;
	exit->cr.reg = reg;
	switch (type) {
	case 0:
		exit->kind = EXIT_CR_WRITE;
		exit->cr.value = reg == REG_RSP ? rsp : gpr[reg];
		return HV_OK;
	case 1:
		exit->kind = EXIT_CR_READ;
		return HV_OK;
	case 2: /* CLTS */
		exit->kind = EXIT_CR_WRITE;
		exit->cr.value = cr0 & ~BIT(3);
		return HV_OK;
	default: /* LMSW loads PE, MP, EM, TS and cannot clear PE */
		exit->kind = EXIT_CR_WRITE;
		exit->cr.value = (cr0 & ~0xeull) | (source & 0xf);
		return HV_OK;
	}
}

void vmx_decode_ept(uint64_t qual, uint64_t gpa, uint64_t gva, struct vm_exit *exit)
{
	exit->mmio.gpa = gpa;
	exit->mmio.has_gva = (qual & EPTQ_GLA_VALID) && (qual & EPTQ_GLA_FINAL);
	exit->mmio.gva = exit->mmio.has_gva ? gva : 0;
	exit->mmio.is_write = qual & EPTQ_WRITE;
	exit->mmio.is_fetch = qual & EPTQ_FETCH;
}
