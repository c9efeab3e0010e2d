/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seam between what all hypervisors do and what one vendor's instructions look like.
 *
 * A backend (vmm/vmx, vmm/svm) is chosen once, at boot, by CPUID. It owns every vendor word and
 * hands up a neutral struct vm_exit; nothing above asks which CPU this is. All calls run on the
 * vCPU's own CPU with interrupts off, unless said otherwise.
 */
#ifndef VMM_VIRT_H
#define VMM_VIRT_H

#include "kernel/lib/err.h"
#include "kernel/lib/types.h"
#include "vmm/guest_tsc.h"

struct cpu;
struct vm;
struct vcpu;

enum guest_reg { /* general registers in the encoding order of ModRM */
		 REG_RAX,
		 REG_RCX,
		 REG_RDX,
		 REG_RBX,
		 REG_RSP,
		 REG_RBP,
		 REG_RSI,
		 REG_RDI,
		 REG_R8,
		 REG_R9,
		 REG_R10,
		 REG_R11,
		 REG_R12,
		 REG_R13,
		 REG_R14,
		 REG_R15,
		 REG_RIP,
		 REG_RFLAGS,
		 REG_CR0,
		 REG_CR2,
		 REG_CR3,
		 REG_CR4,
		 REG_CR8,
		 REG_EFER,
		 REG_FS_BASE,
		 REG_GS_BASE,
		 REG_KERNEL_GS_BASE,
		 REG_DR7,
		 GUEST_REGS
};

enum guest_seg {
	SEG_ES,
	SEG_CS,
	SEG_SS,
	SEG_DS,
	SEG_FS,
	SEG_GS,
	SEG_LDTR,
	SEG_TR,
	SEG_GDTR,
	SEG_IDTR,
	GUEST_SEGS
};

struct guest_segment {
	uint64_t base;
	uint32_t limit;
	uint16_t selector;
	uint16_t attr; /* [SDM] descriptor bits 40..55: type 3:0, S 4, DPL 6:5, P 7, AVL 12, L 13,
			  D/B 14, G 15 */
};
#define SEG_ATTR_UNUSABLE 0x0100u /* no segment; bits 8..11 of attr are free for this */

enum exit_kind {
	EXIT_NONE, /* nothing to do: run again (also after a host NMI or machine check) */
	EXIT_IRQ,  /* host interrupt; .vector was acknowledged, or 0 when it is still pending */
	EXIT_IRQ_WINDOW, /* the guest can take an interrupt now */
	EXIT_NMI_WINDOW,
	EXIT_PREEMPT, /* a backstop for guests that keep interrupts off; see backstop= */
	EXIT_CPUID,
	EXIT_HLT,
	EXIT_PAUSE,
	EXIT_IO,
	EXIT_MMIO, /* an access to a gpa with no memory behind it; the instruction is to be decoded
		    */
	EXIT_RDMSR,
	EXIT_WRMSR,
	EXIT_CR_WRITE,
	EXIT_CR_READ,
	EXIT_XSETBV,
	EXIT_WBINVD,
	EXIT_HYPERCALL,	  /* VMCALL or VMMCALL */
	EXIT_UNDEFINED,	  /* an instruction that this guest's CPU does not have: #UD */
	EXIT_NO_COUNTER,  /* RDPMC, on a CPU that shows no counters: #GP(0) */
	EXIT_APIC_WRITE,  /* trap-like: the register page was written; .apic.offset */
	EXIT_APIC_ACCESS, /* an access to the APIC page that hardware did not virtualise; like
			     EXIT_MMIO */
	EXIT_EOI,	  /* EOI of a level-triggered vector */
	EXIT_TPR,	  /* TPR fell below the threshold */
	EXIT_INIT,	  /* INIT signal reached a CPU that runs a guest */
	EXIT_TASK_SWITCH,
	EXIT_TRIPLE_FAULT,
	EXIT_ENTRY_FAILED, /* .why says which field; our bug or an impossible guest state */
	EXIT_UNKNOWN,	   /* .raw is the vendor's number */
	EXIT_KINDS
};

struct vm_exit {
	enum exit_kind kind;
	uint8_t insn_len; /* bytes, 0 when the CPU did not say */
	uint32_t raw;	  /* the vendor's reason, for dumps */
	union {
		struct {
			uint8_t vector;
		} irq;
		struct {
			uint16_t port;
			uint8_t size; /* 1, 2, 4 */
			bool is_in, is_string, is_rep;
			uint8_t addr_size; /* string forms: 2, 4, 8 */
			uint8_t seg;	   /* string forms: enum guest_seg of the memory operand */
			uint64_t gva;	   /* string forms: linear address of the memory operand */
		} io;
		struct {
			uint64_t gpa;
			uint64_t gva;
			bool is_write, is_fetch, has_gva;
		} mmio;
		struct {
			uint32_t index;
			uint64_t value;
		} msr; /* value: of WRMSR */
		struct {
			uint8_t nr;
			uint8_t reg;
			uint64_t value;
		} cr; /* reg: enum guest_reg; value for writes */
		struct {
			uint32_t index;
			uint64_t value;
		} xcr;
		struct {
			uint32_t offset;
		} apic;
		struct {
			uint8_t vector;
		} eoi;
		struct {
			const char *why;
		} failed;
	};
};

enum guest_event_kind { EVENT_IRQ, EVENT_NMI, EVENT_EXCEPTION };

struct guest_event {
	enum guest_event_kind kind;
	uint8_t vector;
	bool has_code;
	uint32_t code;
};

/* What the backend can leave to the CPU; fixed at boot. */
struct virt_caps {
	bool has_apicv;	   /* register virtualisation and interrupt delivery: EOI does not exit */
	bool has_1g;	   /* 1 GiB nested pages */
	bool has_doorbell; /* other CPUs set requests in a vCPU's register page: apicv_post */
	uint8_t gpa_bits;
	struct tsc_scaling tsc_scaling;
	uint64_t cr4_guest_owned; /* bits of CR4 that a guest may change; MCE is not among them */
	char features[160];	  /* words for the boot log and the node's report */
};

struct ept_format;

struct virt_ops {
	const char *name;		     /* "vmx" or "svm" */
	const struct ept_format *npt_format; /* of the nested page tables (vmm/ept.h) */

	/* Boot CPU, once: look at capabilities; each missing one is named in the log. HV_ENOTSUP:
	 * cannot run guests. */
	enum hv_err (*probe)(struct virt_caps *caps);
	enum hv_err (*cpu_on)(struct cpu *cpu); /* each CPU, once */

	/* vm->npt_root is the root of the nested page tables that vmm/ept.c (or npt) built. */
	enum hv_err (*vm_init)(struct vm *vm);
	void (*vm_destroy)(struct vm *vm);
	enum hv_err (*vcpu_init)(
		struct vcpu *vcpu); /* any CPU; leaves the vCPU in its reset state */
	void (*vcpu_destroy)(struct vcpu *vcpu);
	void (*vcpu_reset)(struct vcpu *vcpu); /* the state after RESET */
	void (*vcpu_load)(struct vcpu *vcpu);  /* onto this CPU: VMPTRLD and friends */
	void (*vcpu_put)(struct vcpu *vcpu);   /* off this CPU: VMCLEAR */

	/* Enter, leave, decode. The whole of a guest's run. */
	void (*run)(struct vcpu *vcpu, struct vm_exit *exit);

	uint64_t (*reg_get)(struct vcpu *vcpu, enum guest_reg reg);
	void (*reg_set)(struct vcpu *vcpu, enum guest_reg reg, uint64_t val);
	void (*seg_get)(struct vcpu *vcpu, enum guest_seg seg, struct guest_segment *out);
	void (*seg_set)(struct vcpu *vcpu, enum guest_seg seg, const struct guest_segment *in);

	/* MSRs that the CPU switches or the backend keeps (SYSENTER, PAT, …). False: not mine. */
	bool (*msr_get)(struct vcpu *vcpu, uint32_t index, uint64_t *val);
	bool (*msr_set)(struct vcpu *vcpu, uint32_t index, uint64_t val);

	/* Move RIP behind the exiting instruction; also ends an STI or MOV SS shadow. */
	void (*skip)(struct vcpu *vcpu, uint8_t insn_len);

	bool (*can_take)(struct vcpu *vcpu,
			 enum guest_event_kind kind); /* now, at the next entry */
	void (*inject)(struct vcpu *vcpu,
		       struct guest_event event); /* can_take() said yes, or an exception */
	void (*want_window)(struct vcpu *vcpu, enum guest_event_kind kind, bool want);

	/* Interrupt delivery by the CPU (vcpu->has_apicv); else unused. */
	void (*apicv_rvi)(struct vcpu *vcpu, int rvi,
			  int svi); /* highest requesting and in-service, -1: none */
	void (*apicv_eoi_exits)(struct vcpu *vcpu, const uint64_t vectors[4]);
	/* An edge-triggered interrupt from any CPU, without an exit where the vCPU runs
	 * (has_doorbell; else unused). False: post it. */
	bool (*apicv_post)(struct vcpu *vcpu, uint8_t vector);
	/* After APIC mode changed (disabled, xAPIC, x2APIC). */
	void (*apic_mode)(struct vcpu *vcpu, bool is_enabled, bool is_x2apic);
	void (*tpr_threshold)(struct vcpu *vcpu,
			      uint8_t threshold); /* no apicv: exit when TPR falls below */

	void (*dump)(struct vcpu *vcpu); /* the vendor's words to the log, for a crash */
};

extern const struct virt_ops *virt; /* chosen at boot */
extern struct virt_caps virt_caps;

extern const struct virt_ops vmx_ops, svm_ops;

#endif
