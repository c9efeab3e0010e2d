/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exits that need nothing but this vCPU, carried out between exit and entry: no neutral exit is
 * made, no clock read, no lock but the device's taken. All are vendor-neutral; a backend calls them
 * with RAX, RBX, RCX and RDX in vcpu->gpr, and moves RIP on itself when the answer is true. False:
 * nothing was done, take the long way (vmm/exits.c).
 */
#ifndef VMM_EXIT_FAST_H
#define VMM_EXIT_FAST_H

#include "kernel/cpu.h"
#include "vmm/board.h"
#include "vmm/cpuid.h"
#include "vmm/dev/lapic.h"
#include "vmm/layout.h"
#include "vmm/vm.h"

/* CPUID leaves that are the same for every vCPU of every VM at every moment. */
static inline bool exit_fast_cpuid(struct vcpu *vcpu)
{
	const struct cpuid_answer *answer =
		cpuid_fixed(&cpuid_host_policy, (uint32_t)vcpu->gpr[REG_RAX]);

	if (!answer)
		return false;
	vcpu->gpr[REG_RAX] = answer->eax;
	vcpu->gpr[REG_RBX] = answer->ebx;
	vcpu->gpr[REG_RCX] = answer->ecx;
	vcpu->gpr[REG_RDX] = answer->edx;
	vcpu->exits[EXIT_CPUID]++;
	return true;
}

static inline bool exit_fast_rdmsr(struct vcpu *vcpu)
{
	uint32_t index = (uint32_t)vcpu->gpr[REG_RCX];
	uint64_t val;

	if (index == LAPIC_MSR_BASE)
		val = vcpu->lapic->base_msr;
	else if (index - LAPIC_MSR_X2APIC > 0xff || !lapic_msr_read(vcpu->lapic, index, &val))
		return false;
	vcpu->gpr[REG_RAX] = (uint32_t)val;
	vcpu->gpr[REG_RDX] = val >> 32;
	vcpu->exits[EXIT_RDMSR]++;
	return true;
}

/* The timer only: what else there is may change modes, or send to others. */
static inline bool exit_fast_wrmsr(struct vcpu *vcpu)
{
	if ((uint32_t)vcpu->gpr[REG_RCX] != LAPIC_MSR_TSC_DEADLINE)
		return false;
	vcpu->exits[EXIT_WRMSR]++;
	return lapic_msr_write(vcpu->lapic, LAPIC_MSR_TSC_DEADLINE,
			       vcpu->gpr[REG_RDX] << 32 | (uint32_t)vcpu->gpr[REG_RAX]);
}

/* A write there notifies a virtqueue, or does nothing: the window holds nothing else. */
static inline bool exit_fast_is_doorbell(uint16_t port)
{
	return (uint32_t)port - LAYOUT_PCI_IO < LAYOUT_PCI_IO_BYTES;
}

static inline void exit_fast_doorbell(struct vcpu *vcpu, uint16_t port)
{
	vcpu->exits[EXIT_IO]++;
	board_doorbell(vcpu->vm->board, port);
}

/* IN and OUT without the string forms. Carried out in any case. */
static inline void exit_fast_io(struct vcpu *vcpu, uint16_t port, uint8_t size, bool is_in)
{
	uint64_t mask = (1ull << (size * 8)) - 1;
	struct io_access acc = {.addr = port, .size = size, .is_write = !is_in};

	vcpu->exits[EXIT_IO]++;
	acc.value = vcpu->gpr[REG_RAX] & mask;
	board_pio(vcpu->vm, &acc);
	/* A doubleword clears the upper half, as every 32-bit result does. */
	if (is_in)
		vcpu->gpr[REG_RAX] =
			(size == 4 ? 0 : vcpu->gpr[REG_RAX] & ~mask) | (acc.value & mask);
}

/* exit_fast_is_quiet - nothing came up that has to be looked at before the next entry */
static inline bool exit_fast_is_quiet(const struct vcpu *vcpu)
{
	const struct vm *vm = vcpu->vm;

	return !(vcpu->request | vm->has_stop | vm->has_work | vcpu->lapic->posted.control |
		 vcpu->cpu->kick_pending);
}

#endif
