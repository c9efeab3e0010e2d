/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of VT-x: VMCS field encodings, control bits, exit reasons, capability MSRs, spelled as
 * the manual spells them. Only vmm/vmx reads this file.
 *
 * Source: [SDM] appendices "Field Encoding in VMCS", "VMX Basic Exit Reasons", "VMX Capability
 * Reporting Facility"; tables "Definitions of Pin-Based VM-Execution Controls" and those after it.
 */
#ifndef VMM_VMX_VMCS_H
#define VMM_VMX_VMCS_H

#include "kernel/lib/types.h"

/* ---- fields ---- */

#define VMCS_FIELD_WIDTH   0x6000u /* 0 16-bit, 1 64-bit, 2 32-bit, 3 natural */
#define VMCS_FIELD_TYPE	   0x0c00u /* 0 control, 1 read-only, 2 guest, 3 host */
#define VMCS_FIELD_IS_HIGH 0x0001u

#define VMCS_VPID		 0x0000u
#define VMCS_GUEST_ES_SELECTOR	 0x0800u
#define VMCS_GUEST_CS_SELECTOR	 0x0802u
#define VMCS_GUEST_SS_SELECTOR	 0x0804u
#define VMCS_GUEST_DS_SELECTOR	 0x0806u
#define VMCS_GUEST_FS_SELECTOR	 0x0808u
#define VMCS_GUEST_GS_SELECTOR	 0x080au
#define VMCS_GUEST_LDTR_SELECTOR 0x080cu
#define VMCS_GUEST_TR_SELECTOR	 0x080eu
#define VMCS_GUEST_INTR_STATUS	 0x0810u
#define VMCS_HOST_ES_SELECTOR	 0x0c00u
#define VMCS_HOST_CS_SELECTOR	 0x0c02u
#define VMCS_HOST_SS_SELECTOR	 0x0c04u
#define VMCS_HOST_DS_SELECTOR	 0x0c06u
#define VMCS_HOST_FS_SELECTOR	 0x0c08u
#define VMCS_HOST_GS_SELECTOR	 0x0c0au
#define VMCS_HOST_TR_SELECTOR	 0x0c0cu

#define VMCS_IO_BITMAP_A	    0x2000u
#define VMCS_IO_BITMAP_B	    0x2002u
#define VMCS_MSR_BITMAP		    0x2004u
#define VMCS_EXIT_MSR_STORE_ADDR    0x2006u
#define VMCS_EXIT_MSR_LOAD_ADDR	    0x2008u
#define VMCS_ENTRY_MSR_LOAD_ADDR    0x200au
#define VMCS_TSC_OFFSET		    0x2010u
#define VMCS_VIRTUAL_APIC_ADDR	    0x2012u
#define VMCS_APIC_ACCESS_ADDR	    0x2014u
#define VMCS_EPT_POINTER	    0x201au
#define VMCS_EOI_EXIT_BITMAP0	    0x201cu
#define VMCS_EOI_EXIT_BITMAP1	    0x201eu
#define VMCS_EOI_EXIT_BITMAP2	    0x2020u
#define VMCS_EOI_EXIT_BITMAP3	    0x2022u
#define VMCS_XSS_EXIT_BITMAP	    0x202cu
#define VMCS_TSC_MULTIPLIER	    0x2032u
#define VMCS_GUEST_PHYSICAL_ADDRESS 0x2400u
#define VMCS_LINK_POINTER	    0x2800u
#define VMCS_GUEST_DEBUGCTL	    0x2802u
#define VMCS_GUEST_PAT		    0x2804u
#define VMCS_GUEST_EFER		    0x2806u
#define VMCS_GUEST_PDPTE0	    0x280au
#define VMCS_GUEST_PDPTE1	    0x280cu
#define VMCS_GUEST_PDPTE2	    0x280eu
#define VMCS_GUEST_PDPTE3	    0x2810u
#define VMCS_HOST_PAT		    0x2c00u
#define VMCS_HOST_EFER		    0x2c02u

#define VMCS_PIN_BASED		    0x4000u
#define VMCS_CPU_BASED		    0x4002u
#define VMCS_EXCEPTION_BITMAP	    0x4004u
#define VMCS_PF_ERROR_MASK	    0x4006u
#define VMCS_PF_ERROR_MATCH	    0x4008u
#define VMCS_CR3_TARGET_COUNT	    0x400au
#define VMCS_EXIT_CONTROLS	    0x400cu
#define VMCS_EXIT_MSR_STORE_COUNT   0x400eu
#define VMCS_EXIT_MSR_LOAD_COUNT    0x4010u
#define VMCS_ENTRY_CONTROLS	    0x4012u
#define VMCS_ENTRY_MSR_LOAD_COUNT   0x4014u
#define VMCS_ENTRY_INTR_INFO	    0x4016u
#define VMCS_ENTRY_ERROR_CODE	    0x4018u
#define VMCS_ENTRY_INSN_LEN	    0x401au
#define VMCS_TPR_THRESHOLD	    0x401cu
#define VMCS_CPU_BASED2		    0x401eu
#define VMCS_PLE_GAP		    0x4020u
#define VMCS_PLE_WINDOW		    0x4022u
#define VMCS_INSN_ERROR		    0x4400u
#define VMCS_EXIT_REASON	    0x4402u
#define VMCS_EXIT_INTR_INFO	    0x4404u
#define VMCS_EXIT_INTR_ERROR	    0x4406u
#define VMCS_IDT_VECTORING_INFO	    0x4408u
#define VMCS_IDT_VECTORING_ERROR    0x440au
#define VMCS_EXIT_INSN_LEN	    0x440cu
#define VMCS_EXIT_INSN_INFO	    0x440eu
#define VMCS_GUEST_ES_LIMIT	    0x4800u
#define VMCS_GUEST_CS_LIMIT	    0x4802u
#define VMCS_GUEST_SS_LIMIT	    0x4804u
#define VMCS_GUEST_DS_LIMIT	    0x4806u
#define VMCS_GUEST_FS_LIMIT	    0x4808u
#define VMCS_GUEST_GS_LIMIT	    0x480au
#define VMCS_GUEST_LDTR_LIMIT	    0x480cu
#define VMCS_GUEST_TR_LIMIT	    0x480eu
#define VMCS_GUEST_GDTR_LIMIT	    0x4810u
#define VMCS_GUEST_IDTR_LIMIT	    0x4812u
#define VMCS_GUEST_ES_ACCESS	    0x4814u
#define VMCS_GUEST_CS_ACCESS	    0x4816u
#define VMCS_GUEST_SS_ACCESS	    0x4818u
#define VMCS_GUEST_DS_ACCESS	    0x481au
#define VMCS_GUEST_FS_ACCESS	    0x481cu
#define VMCS_GUEST_GS_ACCESS	    0x481eu
#define VMCS_GUEST_LDTR_ACCESS	    0x4820u
#define VMCS_GUEST_TR_ACCESS	    0x4822u
#define VMCS_GUEST_INTERRUPTIBILITY 0x4824u
#define VMCS_GUEST_ACTIVITY_STATE   0x4826u
#define VMCS_GUEST_SMBASE	    0x4828u
#define VMCS_GUEST_SYSENTER_CS	    0x482au
#define VMCS_PREEMPTION_TIMER	    0x482eu
#define VMCS_HOST_SYSENTER_CS	    0x4c00u

#define VMCS_CR0_MASK		  0x6000u
#define VMCS_CR4_MASK		  0x6002u
#define VMCS_CR0_SHADOW		  0x6004u
#define VMCS_CR4_SHADOW		  0x6006u
#define VMCS_EXIT_QUALIFICATION	  0x6400u
#define VMCS_IO_RCX		  0x6402u
#define VMCS_IO_RSI		  0x6404u
#define VMCS_IO_RDI		  0x6406u
#define VMCS_IO_RIP		  0x6408u
#define VMCS_GUEST_LINEAR_ADDRESS 0x640au
#define VMCS_GUEST_CR0		  0x6800u
#define VMCS_GUEST_CR3		  0x6802u
#define VMCS_GUEST_CR4		  0x6804u
#define VMCS_GUEST_ES_BASE	  0x6806u
#define VMCS_GUEST_CS_BASE	  0x6808u
#define VMCS_GUEST_SS_BASE	  0x680au
#define VMCS_GUEST_DS_BASE	  0x680cu
#define VMCS_GUEST_FS_BASE	  0x680eu
#define VMCS_GUEST_GS_BASE	  0x6810u
#define VMCS_GUEST_LDTR_BASE	  0x6812u
#define VMCS_GUEST_TR_BASE	  0x6814u
#define VMCS_GUEST_GDTR_BASE	  0x6816u
#define VMCS_GUEST_IDTR_BASE	  0x6818u
#define VMCS_GUEST_DR7		  0x681au
#define VMCS_GUEST_RSP		  0x681cu
#define VMCS_GUEST_RIP		  0x681eu
#define VMCS_GUEST_RFLAGS	  0x6820u
#define VMCS_GUEST_PENDING_DEBUG  0x6822u
#define VMCS_GUEST_SYSENTER_ESP	  0x6824u
#define VMCS_GUEST_SYSENTER_EIP	  0x6826u
#define VMCS_HOST_CR0		  0x6c00u
#define VMCS_HOST_CR3		  0x6c02u
#define VMCS_HOST_CR4		  0x6c04u
#define VMCS_HOST_FS_BASE	  0x6c06u
#define VMCS_HOST_GS_BASE	  0x6c08u
#define VMCS_HOST_TR_BASE	  0x6c0au
#define VMCS_HOST_GDTR_BASE	  0x6c0cu
#define VMCS_HOST_IDTR_BASE	  0x6c0eu
#define VMCS_HOST_SYSENTER_ESP	  0x6c10u
#define VMCS_HOST_SYSENTER_EIP	  0x6c12u
#define VMCS_HOST_RSP		  0x6c14u
#define VMCS_HOST_RIP		  0x6c16u

/* ---- pin-based VM-execution controls ---- */
#define PIN_EXTERNAL_INTERRUPT (1u << 0)
#define PIN_NMI		       (1u << 3)
#define PIN_VIRTUAL_NMIS       (1u << 5)
#define PIN_PREEMPTION_TIMER   (1u << 6)
#define PIN_POSTED_INTERRUPTS  (1u << 7)

/* ---- primary processor-based ---- */
#define CPU_INTERRUPT_WINDOW (1u << 2)
#define CPU_TSC_OFFSETTING   (1u << 3)
#define CPU_HLT		     (1u << 7)
#define CPU_INVLPG	     (1u << 9)
#define CPU_MWAIT	     (1u << 10)
#define CPU_RDPMC	     (1u << 11)
#define CPU_RDTSC	     (1u << 12)
#define CPU_CR3_LOAD	     (1u << 15)
#define CPU_CR3_STORE	     (1u << 16)
#define CPU_TERTIARY	     (1u << 17)
#define CPU_CR8_LOAD	     (1u << 19)
#define CPU_CR8_STORE	     (1u << 20)
#define CPU_TPR_SHADOW	     (1u << 21)
#define CPU_NMI_WINDOW	     (1u << 22)
#define CPU_MOV_DR	     (1u << 23)
#define CPU_UNCONDITIONAL_IO (1u << 24)
#define CPU_IO_BITMAPS	     (1u << 25)
#define CPU_MTF		     (1u << 27)
#define CPU_MSR_BITMAPS	     (1u << 28)
#define CPU_MONITOR	     (1u << 29)
#define CPU_PAUSE	     (1u << 30)
#define CPU_SECONDARY	     (1u << 31)

/* ---- secondary processor-based ---- */
#define CPU2_APIC_ACCESSES	(1u << 0)
#define CPU2_EPT		(1u << 1)
#define CPU2_DESCRIPTOR_TABLE	(1u << 2)
#define CPU2_RDTSCP		(1u << 3)
#define CPU2_X2APIC_MODE	(1u << 4)
#define CPU2_VPID		(1u << 5)
#define CPU2_WBINVD		(1u << 6)
#define CPU2_UNRESTRICTED	(1u << 7)
#define CPU2_APIC_REGISTERS	(1u << 8)
#define CPU2_INTERRUPT_DELIVERY (1u << 9)
#define CPU2_PAUSE_LOOP		(1u << 10)
#define CPU2_RDRAND		(1u << 11)
#define CPU2_INVPCID		(1u << 12)
#define CPU2_VMFUNC		(1u << 13)
#define CPU2_VMCS_SHADOWING	(1u << 14)
#define CPU2_ENCLS		(1u << 15)
#define CPU2_RDSEED		(1u << 16)
#define CPU2_PML		(1u << 17)
#define CPU2_EPT_VE		(1u << 18)
#define CPU2_CONCEAL_PT		(1u << 19)
#define CPU2_XSAVES		(1u << 20)
#define CPU2_EPT_MODE_BASED	(1u << 22)
#define CPU2_TSC_SCALING	(1u << 25)
#define CPU2_USER_WAIT		(1u << 26)

/* ---- VM-exit controls ---- */
#define EXIT_CTL_SAVE_DEBUG    (1u << 2)
#define EXIT_CTL_HOST_64       (1u << 9)
#define EXIT_CTL_LOAD_PERF     (1u << 12)
#define EXIT_CTL_ACK_INTERRUPT (1u << 15)
#define EXIT_CTL_SAVE_PAT      (1u << 18)
#define EXIT_CTL_LOAD_PAT      (1u << 19)
#define EXIT_CTL_SAVE_EFER     (1u << 20)
#define EXIT_CTL_LOAD_EFER     (1u << 21)
#define EXIT_CTL_SAVE_TIMER    (1u << 22)

/* ---- VM-entry controls ---- */
#define ENTRY_CTL_LOAD_DEBUG   (1u << 2)
#define ENTRY_CTL_GUEST_64     (1u << 9)
#define ENTRY_CTL_SMM	       (1u << 10)
#define ENTRY_CTL_DUAL_MONITOR (1u << 11)
#define ENTRY_CTL_LOAD_PERF    (1u << 13)
#define ENTRY_CTL_LOAD_PAT     (1u << 14)
#define ENTRY_CTL_LOAD_EFER    (1u << 15)

/* ---- interruption information (entry, exit, IDT-vectoring) ---- */
#define INTR_VECTOR	       0x000000ffu
#define INTR_TYPE	       0x00000700u
#define INTR_TYPE_EXTERNAL     0u
#define INTR_TYPE_NMI	       2u
#define INTR_TYPE_HARDWARE     3u /* exception */
#define INTR_TYPE_SOFTWARE     4u /* INT n */
#define INTR_TYPE_PRIV_SW      5u /* INT1 */
#define INTR_TYPE_SW_EXCEPTION 6u /* INT3, INTO */
#define INTR_HAS_CODE	       0x00000800u
#define INTR_NMI_UNBLOCKING    0x00001000u
#define INTR_VALID	       0x80000000u

/* ---- interruptibility and activity ---- */
#define BLOCKING_STI	   1u
#define BLOCKING_MOV_SS	   2u
#define BLOCKING_SMI	   4u
#define BLOCKING_NMI	   8u
#define ACTIVITY_ACTIVE	   0u
#define ACTIVITY_HLT	   1u
#define ACTIVITY_SHUTDOWN  2u
#define ACTIVITY_WAIT_SIPI 3u

/* ---- access rights: bits 15:0 as in a descriptor, and ---- */
#define ACCESS_UNUSABLE (1u << 16)

/* ---- exit reasons ---- */
#define REASON_BASIC	     0x0000ffffu
#define REASON_ENTRY_FAILURE 0x80000000u

enum vmx_reason {
	REASON_EXCEPTION_OR_NMI = 0,
	REASON_EXTERNAL_INTERRUPT = 1,
	REASON_TRIPLE_FAULT = 2,
	REASON_INIT = 3,
	REASON_SIPI = 4,
	REASON_INTERRUPT_WINDOW = 7,
	REASON_NMI_WINDOW = 8,
	REASON_TASK_SWITCH = 9,
	REASON_CPUID = 10,
	REASON_GETSEC = 11,
	REASON_HLT = 12,
	REASON_INVD = 13,
	REASON_INVLPG = 14,
	REASON_RDPMC = 15,
	REASON_RDTSC = 16,
	REASON_RSM = 17,
	REASON_VMCALL = 18,
	REASON_VMCLEAR = 19,
	REASON_VMXON = 27, /* 19 to 27 are the VMX instructions */
	REASON_CR_ACCESS = 28,
	REASON_MOV_DR = 29,
	REASON_IO = 30,
	REASON_RDMSR = 31,
	REASON_WRMSR = 32,
	REASON_BAD_GUEST_STATE = 33,
	REASON_BAD_MSR_LOAD = 34,
	REASON_MWAIT = 36,
	REASON_MTF = 37,
	REASON_MONITOR = 39,
	REASON_PAUSE = 40,
	REASON_MACHINE_CHECK_ENTRY = 41,
	REASON_TPR_BELOW_THRESHOLD = 43,
	REASON_APIC_ACCESS = 44,
	REASON_VIRTUALIZED_EOI = 45,
	REASON_GDTR_IDTR = 46,
	REASON_LDTR_TR = 47,
	REASON_EPT_VIOLATION = 48,
	REASON_EPT_MISCONFIG = 49,
	REASON_INVEPT = 50,
	REASON_RDTSCP = 51,
	REASON_PREEMPTION_TIMER = 52,
	REASON_INVVPID = 53,
	REASON_WBINVD = 54,
	REASON_XSETBV = 55,
	REASON_APIC_WRITE = 56,
	REASON_RDRAND = 57,
	REASON_INVPCID = 58,
	REASON_VMFUNC = 59,
	REASON_ENCLS = 60,
	REASON_RDSEED = 61,
	REASON_PML_FULL = 62,
	REASON_XSAVES = 63,
	REASON_XRSTORS = 64,
	REASON_UMWAIT = 67,
	REASON_TPAUSE = 68,
};

/* ---- exit qualifications ---- */

/* [SDM] table "Exit Qualification for I/O Instructions" */
#define IOQ_SIZE   0x00000007ull /* 0 = 1 byte, 1 = 2, 3 = 4; the rest undefined */
#define IOQ_IN	   0x00000008ull
#define IOQ_STRING 0x00000010ull
#define IOQ_REP	   0x00000020ull
#define IOQ_PORT   0xffff0000ull

/* [SDM] table "Exit Qualification for Control-Register Accesses" */
#define CRQ_NR	     0x0000000full
#define CRQ_TYPE     0x00000030ull /* 0 to CR, 1 from CR, 2 CLTS, 3 LMSW */
#define CRQ_LMSW_MEM 0x00000040ull
#define CRQ_REG	     0x00000f00ull
#define CRQ_LMSW     0xffff0000ull

/* [SDM] table "Exit Qualification for EPT Violations" */
#define EPTQ_READ      (1ull << 0)
#define EPTQ_WRITE     (1ull << 1)
#define EPTQ_FETCH     (1ull << 2)
#define EPTQ_GLA_VALID (1ull << 7)
#define EPTQ_GLA_FINAL (1ull << 8)

/* [SDM] table "Exit Qualification for APIC-Access VM Exits" */
#define APICQ_OFFSET 0x00000fffull
#define APICQ_TYPE                                                                                 \
	0x0000f000ull /* 0 linear read, 1 linear write, 2 fetch, 3 during event delivery */

/* [SDM] table "Format of the VM-Exit Instruction-Information Field as Used for INS and OUTS" */
#define INS_INFO_ADDR_SIZE 0x00000380u /* 0 16-bit, 1 32-bit, 2 64-bit */
#define INS_INFO_SEG	   0x00038000u

/* ---- capability MSRs and what is in them ---- */
#define MSR_VMX_BASIC	       0x480u
#define MSR_VMX_MISC	       0x485u
#define MSR_VMX_CR0_FIXED0     0x486u
#define MSR_VMX_CR0_FIXED1     0x487u
#define MSR_VMX_CR4_FIXED0     0x488u
#define MSR_VMX_CR4_FIXED1     0x489u
#define MSR_VMX_PROCBASED2     0x48bu
#define MSR_VMX_EPT_VPID_CAP   0x48cu
#define MSR_VMX_TRUE_PINBASED  0x48du
#define MSR_VMX_TRUE_PROCBASED 0x48eu
#define MSR_VMX_TRUE_EXIT      0x48fu
#define MSR_VMX_TRUE_ENTRY     0x490u

#define VMX_BASIC_REVISION  0x7fffffffull
#define VMX_BASIC_TRUE_CTLS (1ull << 55)
#define VMX_BASIC_MEM_TYPE  (0xfull << 50)

#define VMX_MISC_TIMER_SHIFT  0x1full
#define VMX_MISC_ACTIVITY_HLT (1ull << 6)

#define EPT_CAP_EXEC_ONLY      (1ull << 0)
#define EPT_CAP_WALK_4	       (1ull << 6)
#define EPT_CAP_WB	       (1ull << 14)
#define EPT_CAP_2M	       (1ull << 16)
#define EPT_CAP_1G	       (1ull << 17)
#define EPT_CAP_INVEPT	       (1ull << 20)
#define EPT_CAP_AD	       (1ull << 21)
#define EPT_CAP_INVEPT_SINGLE  (1ull << 25)
#define EPT_CAP_INVEPT_ALL     (1ull << 26)
#define EPT_CAP_INVVPID	       (1ull << 32)
#define EPT_CAP_INVVPID_SINGLE (1ull << 41)
#define EPT_CAP_INVVPID_ALL    (1ull << 42)

/* [SDM] "Extended-Page-Table Pointer (EPTP)" */
#define EPTP_WB	    6ull
#define EPTP_WALK_4 (3ull << 3)
#define EPTP_AD	    (1ull << 6)

#endif
