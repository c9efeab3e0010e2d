/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of AMD-V: the virtual machine control block, intercept bits, exit codes, MSRs, spelled
 * as the manual spells them. Only vmm/svm reads this file.
 *
 * Source: [APM] appendices "Layout of VMCB" and "SVM Intercept Exit Codes"; "VMCB Clean Field",
 * "Event Injection", "SVM Related MSRs".
 */
#ifndef VMM_SVM_VMCB_H
#define VMM_SVM_VMCB_H

#include "kernel/lib/types.h"

/* ---- intercepts ---- */

/* intercept_cr: reads of CR0 to CR15 in bits 15:0, writes in 31:16 */
#define INTERCEPT_CR_READ(n)  (1u << (n))
#define INTERCEPT_CR_WRITE(n) (1u << ((n) + 16))

/* intercept_exceptions: by vector */
#define INTERCEPT_DB BIT(1)
#define INTERCEPT_AC BIT(17)
#define INTERCEPT_MC BIT(18)

/* intercept_misc1 */
#define INTERCEPT_INTR		BIT(0)
#define INTERCEPT_NMI		BIT(1)
#define INTERCEPT_SMI		BIT(2)
#define INTERCEPT_INIT		BIT(3)
#define INTERCEPT_VINTR		BIT(4)
#define INTERCEPT_CR0_SEL_WRITE BIT(5) /* only writes that change more than TS and MP */
#define INTERCEPT_RDPMC		BIT(15)
#define INTERCEPT_CPUID		BIT(18)
#define INTERCEPT_RSM		BIT(19)
#define INTERCEPT_IRET		BIT(20)
#define INTERCEPT_INVD		BIT(22)
#define INTERCEPT_PAUSE		BIT(23)
#define INTERCEPT_HLT		BIT(24)
#define INTERCEPT_INVLPGA	BIT(26)
#define INTERCEPT_IOIO_PROT	BIT(27)
#define INTERCEPT_MSR_PROT	BIT(28)
#define INTERCEPT_TASK_SWITCH	BIT(29)
#define INTERCEPT_SHUTDOWN	BIT(31)

/* intercept_misc2 */
#define INTERCEPT_VMRUN	  BIT(0) /* VMRUN refuses to work without it */
#define INTERCEPT_VMMCALL BIT(1)
#define INTERCEPT_VMLOAD  BIT(2)
#define INTERCEPT_VMSAVE  BIT(3)
#define INTERCEPT_STGI	  BIT(4)
#define INTERCEPT_CLGI	  BIT(5)
#define INTERCEPT_SKINIT  BIT(6)
#define INTERCEPT_WBINVD  BIT(9)
#define INTERCEPT_MONITOR BIT(10)
#define INTERCEPT_MWAIT	  BIT(11)
#define INTERCEPT_XSETBV  BIT(13)
#define INTERCEPT_RDPRU	  BIT(14)

/* ---- other control words ---- */

enum { TLB_CONTROL_NOTHING = 0, TLB_CONTROL_FLUSH_ALL = 1, TLB_CONTROL_FLUSH_ASID = 3 };

/* vintr */
#define VINTR_V_TPR	0x0000000full
#define VINTR_V_IRQ	BIT(8)
#define VINTR_V_IGN_TPR BIT(20)
#define VINTR_V_INTR_MASKING                                                                       \
	BIT(24) /* the host's RFLAGS.IF rules physical interrupts, V_TPR is CR8 */

#define VINTR_AVIC_ENABLE BIT(31) /* V_IRQ is ignored then */

#define INTERRUPT_SHADOW BIT(0)

#define NESTED_CTL_NP_ENABLE BIT(0)
#define LBR_CTL_LBR_VIRT     BIT(0) /* DEBUGCTL is the guest's own */

/* event_inj and exit_int_info */
#define EVENT_VECTOR	 0x000000ffull
#define EVENT_TYPE	 0x00000700ull
#define EVENT_EV	 BIT(11) /* an error code comes with it */
#define EVENT_V		 BIT(31)
#define EVENT_ERROR_CODE 0xffffffff00000000ull
enum { EVENT_TYPE_INTR = 0, EVENT_TYPE_NMI = 2, EVENT_TYPE_EXCEPTION = 3, EVENT_TYPE_SOFTWARE = 4 };

/* clean: which parts of the VMCB are as the CPU last saw them */
#define CLEAN_I	   BIT(0) /* intercepts, TSC offset, pause filter */
#define CLEAN_IOPM BIT(1)
#define CLEAN_ASID BIT(2)
#define CLEAN_TPR  BIT(3) /* vintr */
#define CLEAN_NP   BIT(4) /* nested paging, G_PAT */
#define CLEAN_CRX  BIT(5) /* CR0, CR3, CR4, EFER */
#define CLEAN_DRX  BIT(6) /* DR6, DR7 */
#define CLEAN_DT   BIT(7) /* GDT, IDT */
#define CLEAN_SEG  BIT(8) /* CS, DS, SS, ES, CPL */
#define CLEAN_CR2  BIT(9)
#define CLEAN_LBR  BIT(10) /* DBGCTL and the last-branch registers */
#define CLEAN_ALL  0x7ffu  /* but AVIC's bit 11: its addresses are read at each entry */

/* ---- layout ---- */

struct vmcb_control {
	uint32_t intercept_cr, intercept_dr, intercept_exceptions;
	uint32_t intercept_misc1, intercept_misc2, intercept_misc3;
	uint8_t reserved_18[0x3c - 0x18];
	uint16_t pause_filter_threshold, pause_filter_count;
	uint64_t iopm_base_pa, msrpm_base_pa;
	uint64_t tsc_offset;
	uint32_t asid, tlb_control;
	uint64_t vintr;
	uint64_t interrupt_shadow;
	uint64_t exit_code, exit_info_1, exit_info_2, exit_int_info;
	uint64_t nested_ctl;
	uint64_t avic_apic_bar; /* guest-physical */
	uint64_t reserved_a0;
	uint64_t event_inj;
	uint64_t n_cr3;
	uint64_t lbr_ctl;
	uint32_t clean, reserved_c4;
	uint64_t n_rip; /* next instruction, with NRIP save */
	uint8_t nr_insn_bytes, insn_bytes[15];
	uint64_t avic_backing_page;
	uint64_t reserved_e8;
	uint64_t avic_logical_table;
	uint64_t avic_physical_table; /* with the highest index in 7:0 */
	uint8_t reserved_100[0x400 - 0x100];
};

struct vmcb_seg {
	uint16_t selector;
	uint16_t attrib; /* descriptor bits 40..47 in 7:0, 52..55 in 11:8 */
	uint32_t limit;
	uint64_t base;
};

struct vmcb_save {
	struct vmcb_seg es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
	uint8_t reserved_a0[0xcb - 0xa0];
	uint8_t cpl;
	uint32_t reserved_cc;
	uint64_t efer;
	uint8_t reserved_d8[0x148 - 0xd8];
	uint64_t cr4, cr3, cr0, dr7, dr6, rflags, rip;
	uint8_t reserved_180[0x1d8 - 0x180];
	uint64_t rsp;
	uint64_t s_cet, ssp, isst_addr;
	uint64_t rax;
	uint64_t star, lstar, cstar, sfmask, kernel_gs_base;
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
	uint64_t cr2;
	uint8_t reserved_248[0x268 - 0x248];
	uint64_t g_pat;
	uint64_t dbgctl;
	uint8_t reserved_278[0xc00 - 0x278];
};

struct vmcb {
	struct vmcb_control control;
	struct vmcb_save save;
};

#define VMCB_AT(member, offset)                                                                    \
	static_assert(offsetof(struct vmcb, member) == (offset), "[APM] \"Layout of VMCB\"")
VMCB_AT(control.intercept_misc3, 0x014);
VMCB_AT(control.pause_filter_threshold, 0x03c);
VMCB_AT(control.iopm_base_pa, 0x040);
VMCB_AT(control.tsc_offset, 0x050);
VMCB_AT(control.asid, 0x058);
VMCB_AT(control.vintr, 0x060);
VMCB_AT(control.exit_code, 0x070);
VMCB_AT(control.nested_ctl, 0x090);
VMCB_AT(control.avic_apic_bar, 0x098);
VMCB_AT(control.event_inj, 0x0a8);
VMCB_AT(control.lbr_ctl, 0x0b8);
VMCB_AT(control.clean, 0x0c0);
VMCB_AT(control.n_rip, 0x0c8);
VMCB_AT(control.nr_insn_bytes, 0x0d0);
VMCB_AT(control.avic_backing_page, 0x0e0);
VMCB_AT(control.avic_logical_table, 0x0f0);
VMCB_AT(control.avic_physical_table, 0x0f8);
VMCB_AT(save.es, 0x400);
VMCB_AT(save.gdtr, 0x460);
VMCB_AT(save.tr, 0x490);
VMCB_AT(save.cpl, 0x4cb);
VMCB_AT(save.efer, 0x4d0);
VMCB_AT(save.cr4, 0x548);
VMCB_AT(save.cr0, 0x558);
VMCB_AT(save.rflags, 0x570);
VMCB_AT(save.rsp, 0x5d8);
VMCB_AT(save.rax, 0x5f8);
VMCB_AT(save.kernel_gs_base, 0x620);
VMCB_AT(save.cr2, 0x640);
VMCB_AT(save.g_pat, 0x668);
VMCB_AT(save.dbgctl, 0x670);
static_assert(sizeof(struct vmcb) == 4096, "[APM] a VMCB is one page");

/* ---- exit codes ---- */

#define VMEXIT_CR_READ(n)    (0x000ull + (n))
#define VMEXIT_CR_WRITE(n)   (0x010ull + (n))
#define VMEXIT_EXCP(n)	     (0x040ull + (n))
#define VMEXIT_INTR	     0x060ull
#define VMEXIT_NMI	     0x061ull
#define VMEXIT_SMI	     0x062ull
#define VMEXIT_INIT	     0x063ull
#define VMEXIT_VINTR	     0x064ull
#define VMEXIT_CR0_SEL_WRITE 0x065ull
#define VMEXIT_RDPMC	     0x06full
#define VMEXIT_CPUID	     0x072ull
#define VMEXIT_RSM	     0x073ull
#define VMEXIT_IRET	     0x074ull
#define VMEXIT_INVD	     0x076ull
#define VMEXIT_PAUSE	     0x077ull
#define VMEXIT_HLT	     0x078ull
#define VMEXIT_INVLPGA	     0x07aull
#define VMEXIT_IOIO	     0x07bull
#define VMEXIT_MSR	     0x07cull
#define VMEXIT_TASK_SWITCH   0x07dull
#define VMEXIT_SHUTDOWN	     0x07full
#define VMEXIT_VMRUN	     0x080ull
#define VMEXIT_VMMCALL	     0x081ull
#define VMEXIT_VMLOAD	     0x082ull
#define VMEXIT_VMSAVE	     0x083ull
#define VMEXIT_STGI	     0x084ull
#define VMEXIT_CLGI	     0x085ull
#define VMEXIT_SKINIT	     0x086ull
#define VMEXIT_WBINVD	     0x089ull
#define VMEXIT_MONITOR	     0x08aull
#define VMEXIT_MWAIT	     0x08bull
#define VMEXIT_MWAIT_ARMED   0x08cull
#define VMEXIT_XSETBV	     0x08dull
#define VMEXIT_RDPRU	     0x08eull
#define VMEXIT_NPF	     0x400ull
#define VMEXIT_INVALID	     (~0ull) /* the guest's state or a control was refused */

#define VMEXIT_AVIC_INCOMPLETE_IPI 0x401ull
#define VMEXIT_AVIC_NOACCEL	   0x402ull

/* exit_info_1 of VMEXIT_IOIO; exit_info_2 is the next RIP */
#define IOIO_IN	  BIT(0)
#define IOIO_STR  BIT(2)
#define IOIO_REP  BIT(3)
#define IOIO_SIZE 0x00000070ull /* one bit each: 1, 2, 4 bytes */
#define IOIO_ADDR 0x00000380ull /* one bit each: 16, 32, 64 bits */
#define IOIO_SEG  0x00001c00ull /* of OUTS; with decode assists */
#define IOIO_PORT 0xffff0000ull

/* exit_info_1 of CR accesses, with decode assists */
#define CR_INFO_MOV BIT(63)
#define CR_INFO_GPR 0x0full

/* exit_info_1 of VMEXIT_NPF; exit_info_2 is the guest-physical address */
#define NPF_WRITE BIT(1)
#define NPF_FETCH BIT(4)

/* exit_info_2 of VMEXIT_AVIC_INCOMPLETE_IPI; exit_info_1 is ICR */
#define AVIC_IPI_WHY 0xffffffff00000000ull
enum {
	AVIC_IPI_INVALID_TYPE = 0,
	AVIC_IPI_NOT_RUNNING = 1,
	AVIC_IPI_INVALID_TARGET = 2,
	AVIC_IPI_INVALID_BACKING_PAGE = 3,
	AVIC_IPI_INVALID_VECTOR = 4,
};

/* exit_info_1 and, of EOI, exit_info_2 of VMEXIT_AVIC_NOACCEL */
#define AVIC_ACCESS_OFFSET 0x00000ff0ull
#define AVIC_ACCESS_WRITE  BIT(32)
#define AVIC_ACCESS_VECTOR 0x000000ffull

/* ---- MSRs ---- */

#define MSR_VM_CR	0xc0010114u
#define VM_CR_LOCK	BIT(3)
#define VM_CR_SVMDIS	BIT(4)
#define MSR_VM_HSAVE_PA 0xc0010117u
#define EFER_SVME	BIT(12)
#define EFER_AIBRSE	BIT(21) /* Automatic IBRS; every guest's, whether it asks or not */

/* [APM] "TSC Ratio MSR (C000_0104h)": 8 bits before the point, 32 behind it */
#define MSR_TSC_RATIO	   0xc0000104u
#define TSC_RATIO_FRACTION 32
#define TSC_RATIO_ONE	   (1ull << TSC_RATIO_FRACTION) /* after RESET */
#define TSC_RATIO_MOST	   0xffffffffffull

#define MSR_AVIC_DOORBELL 0xc001011bu /* write an APIC ID: that CPU's guest looks at its IRR */

/* CPUID 8000000Ah EDX, [APM] "SVM Feature Identification" */
#define SVM_FEATURE_NP		      BIT(0)
#define SVM_FEATURE_LBR_VIRT	      BIT(1)
#define SVM_FEATURE_SVM_LOCK	      BIT(2)
#define SVM_FEATURE_NRIP_SAVE	      BIT(3)
#define SVM_FEATURE_TSC_RATE	      BIT(4)
#define SVM_FEATURE_VMCB_CLEAN	      BIT(5)
#define SVM_FEATURE_FLUSH_BY_ASID     BIT(6)
#define SVM_FEATURE_DECODE_ASSISTS    BIT(7)
#define SVM_FEATURE_PAUSE_FILTER      BIT(10)
#define SVM_FEATURE_PAUSE_THRESHOLD   BIT(12)
#define SVM_FEATURE_AVIC	      BIT(13)
#define SVM_FEATURE_HOST_MCE_OVERRIDE BIT(23)

#endif
