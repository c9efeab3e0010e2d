/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One table from exit codes to kinds, and the information words that need taking apart.
 */
#include "vmm/svm/svm_decode.h"

#include "vmm/svm/vmcb.h"

enum {
	HERE = EXIT_KINDS
}; /* svm.c deals with it alone; tells it from codes that are not in the table */

static const uint8_t kinds[] = {
	[VMEXIT_CR_READ(4)] = EXIT_CR_READ,
	[VMEXIT_CR_WRITE(4)] = EXIT_CR_WRITE,
	[VMEXIT_CR_WRITE(8)] = EXIT_TPR,
	[VMEXIT_EXCP(1)] = HERE,
	[VMEXIT_EXCP(17)] = HERE,
	[VMEXIT_EXCP(18)] = HERE,
	[VMEXIT_INTR] = EXIT_IRQ,
	[VMEXIT_NMI] = HERE,
	[VMEXIT_SMI] = HERE,
	[VMEXIT_INIT] = EXIT_INIT,
	[VMEXIT_VINTR] = EXIT_IRQ_WINDOW,
	[VMEXIT_CR0_SEL_WRITE] = EXIT_CR_WRITE,
	[VMEXIT_RDPMC] = EXIT_NO_COUNTER,
	[VMEXIT_CPUID] = EXIT_CPUID,
	[VMEXIT_RSM] = EXIT_UNDEFINED,
	[VMEXIT_IRET] = HERE,
	[VMEXIT_INVD] = EXIT_WBINVD,
	[VMEXIT_PAUSE] = EXIT_PAUSE,
	[VMEXIT_HLT] = EXIT_HLT,
	[VMEXIT_INVLPGA] = EXIT_UNDEFINED,
	[VMEXIT_IOIO] = EXIT_IO,
	[VMEXIT_MSR] = EXIT_RDMSR,
	[VMEXIT_TASK_SWITCH] = EXIT_TASK_SWITCH,
	[VMEXIT_SHUTDOWN] = EXIT_TRIPLE_FAULT,
	[VMEXIT_VMRUN] = EXIT_UNDEFINED,
	[VMEXIT_VMMCALL] = EXIT_HYPERCALL,
	[VMEXIT_VMLOAD... VMEXIT_SKINIT] = EXIT_UNDEFINED,
	[VMEXIT_WBINVD] = EXIT_WBINVD,
	[VMEXIT_MONITOR... VMEXIT_MWAIT_ARMED] = EXIT_UNDEFINED,
	[VMEXIT_XSETBV] = EXIT_XSETBV,
	[VMEXIT_RDPRU] = EXIT_UNDEFINED,
};

static enum exit_kind decode_avic(uint64_t exit_code)
{
	switch (exit_code) {
	case VMEXIT_AVIC_INCOMPLETE_IPI:
	case VMEXIT_AVIC_NOACCEL:
		return EXIT_APIC_WRITE;
	default:
		return EXIT_UNKNOWN;
	}
}

enum exit_kind svm_decode_code(uint64_t exit_code)
{
	if (exit_code == VMEXIT_NPF)
		return EXIT_MMIO;
	if (exit_code == VMEXIT_INVALID)
		return EXIT_ENTRY_FAILED;
	if (exit_code >= ARRAY_SIZE(kinds) || kinds[exit_code] == EXIT_NONE)
		return decode_avic(exit_code);
	return kinds[exit_code] == HERE ? EXIT_NONE : kinds[exit_code];
}

static bool is_one_bit(uint64_t bits)
{
	return bits != 0 && (bits & (bits - 1)) == 0;
}

enum hv_err svm_decode_io(uint64_t info, struct vm_exit *exit)
{
	uint64_t size = FIELD_GET(IOIO_SIZE, info), addr = FIELD_GET(IOIO_ADDR, info);
	bool is_string = info & IOIO_STR;

	if (!is_one_bit(size) || (addr != 0 && !is_one_bit(addr)))
		return HV_EPROTO;
	exit->io.port = (uint16_t)FIELD_GET(IOIO_PORT, info);
	exit->io.size = (uint8_t)size; /* the bits happen to be the bytes */
	exit->io.is_in = info & IOIO_IN;
	exit->io.is_string = is_string;
	exit->io.is_rep = info & IOIO_REP;
	exit->io.addr_size = (uint8_t)(2 * addr);
	/* INS always uses ES. */
	exit->io.seg =
		exit->io.is_in ? SEG_ES : (uint8_t)MIN(FIELD_GET(IOIO_SEG, info), (uint64_t)SEG_GS);
	exit->io.gva = 0;
	return HV_OK;
}

uint64_t svm_string_gva(enum insn_mode mode, uint8_t addr_size, uint64_t reg, enum guest_seg seg,
			uint64_t seg_base)
{
	uint64_t offset = addr_size == 8 ? reg : reg & (BIT(addr_size * 8) - 1);

	if (mode != INSN_MODE_64)
		return (uint32_t)(seg_base + offset);
	return (seg == SEG_FS || seg == SEG_GS ? seg_base : 0) + offset;
}

void svm_decode_npf(uint64_t info, uint64_t gpa, struct vm_exit *exit)
{
	exit->mmio.gpa = gpa;
	exit->mmio.gva = 0;
	exit->mmio.has_gva = false;
	exit->mmio.is_write = info & NPF_WRITE;
	exit->mmio.is_fetch = info & NPF_FETCH;
}

bool svm_repeats_itself(uint64_t event)
{
	uint64_t type = FIELD_GET(EVENT_TYPE, event), vector = FIELD_GET(EVENT_VECTOR, event);

	return type == EVENT_TYPE_SOFTWARE ||
	       (type == EVENT_TYPE_EXCEPTION && (vector == 3 || vector == 4));
}
