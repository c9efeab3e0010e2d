/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which side channels this CPU has, which measures close them, and those measures that are a call.
 * The list is only of channels that cross from a guest to us or to another guest. A guest's own
 * kernel against its own programs is the guest's matter, and so is Meltdown: nothing of ours is
 * mapped where a guest runs.
 *
 * Decisions:
 *
 * Spectre v2: the kernel runs with IBRS, for good where the CPU has enhanced IBRS, else written
 * anew after each exit and taken away before each entry. So indirect calls in C are plain calls on
 * every CPU, without retpolines; a CPU without IBRS (microcode from before 2018) is reported as
 * open. An NMI between an exit and that write is handled without IBRS. IBPB when a CPU goes over to
 * another VM, the agent's among them.
 *
 * AMD: kernel/mitigations_amd.c has the decisions. Where predictions cannot be told apart
 * otherwise, IBPB after every exit: dear, and without a variant of every RET in the kernel.
 *
 * SPEC_CTRL in a guest: guests are not shown it (vmm/cpuid.h), so they run with the host's value.
 * Enhanced IBRS and BHI_DIS_S protect a guest's kernel too; legacy IBRS, which is slow, is off.
 *
 * L1TF: the L1 data cache is flushed before an entry when something of others may have come into it
 * since the last: after every pick of the run loop, so after a change of vCPU, a halt, a request;
 * and after exits that reach beyond their own VM (vmm/vmx/vmx_guard.c has the list). It is KVM's
 * policy "cond". What stays in the cache is the kernel's code, this VM's own state, and a line or
 * two of tables that all share: timers' deadlines, the agent's ring of console events.
 *
 * Buffers: VERW as the last instruction before each entry, where microcode made it clear them.
 *
 * BHI: BHI_DIS_S where there is one, else a sequence of branches after each exit. It is as long as
 * the history of CPUs up to Rocket Lake; a later one that hides BHI_DIS_S is reported as open.
 *
 * SMT: with L1TF, MDS or TAA, two guests on one core could read each other whatever we do at entry,
 * so one thread of each core is started, unless the command line says smt=on. Stale MMIO data needs
 * a guest that reaches device registers, which none does: it leaves SMT alone.
 *
 * Source: [SDM] "IA32_ARCH_CAPABILITIES", [INTELSEC] "Affected Processors", [APM] "Speculation
 * Control".
 */
#ifndef KERNEL_MITIGATIONS_H
#define KERNEL_MITIGATIONS_H

#include "kernel/lib/types.h"

enum side_channel {
	SIDE_SPECTRE_V2, /* branch predictions of another VM */
	SIDE_L1TF,
	SIDE_MDS,
	SIDE_TAA,
	SIDE_MMIO_STALE_DATA,
	SIDE_RFDS,
	SIDE_BHI,
	SIDE_GDS,
	SIDE_ITS,
	SIDE_CROSS_THREAD, /* between the threads of a core: L1TF, MDS, TAA; AMD: predictions */
	SIDE_BTC,	   /* branch type confusion, of which "Retbleed" is a case */
	SIDE_SRSO,	   /* speculative return stack overflow, "Inception" */
	SIDE_TSA,	   /* transient scheduler attacks */
	SIDE_DIV0,	   /* the quotient that a division by zero leaves */
	SIDE_ZENBLEED,	   /* upper halves of vector registers */
	SIDE_CHANNELS
};

enum measure {
	MEASURE_EIBRS,	   /* SPEC_CTRL.IBRS for good */
	MEASURE_IBRS,	   /* SPEC_CTRL.IBRS from exit to entry */
	MEASURE_IBPB,	   /* between two VMs */
	MEASURE_RSB_FILL,  /* after an exit */
	MEASURE_L1D_FLUSH, /* before an entry, by MSR */
	MEASURE_L1D_FILL,  /* the same by reading */
	MEASURE_VERW,	   /* before an entry */
	MEASURE_BHI_DIS_S, /* SPEC_CTRL.BHI_DIS_S for good */
	MEASURE_BHB_CLEAR, /* after an exit, by branches */
	MEASURE_GDS_CTRL,  /* microcode's, left on */
	MEASURE_AUTO_IBRS, /* EFER.AIBRSE for good, in guests too */
	MEASURE_STIBP,	   /* SPEC_CTRL.STIBP for good */
	MEASURE_IBPB_ON_EXIT,
	MEASURE_BP_SPEC_REDUCE, /* BP_CFG.BpSpecReduce for good */
	MEASURE_DIV_CLEAR,	/* a division before an entry */
	MEASURE_FP_BACKUP_FIX,	/* DE_CFG[9] for good */
	MEASURE_SMT_OFF,	/* one thread of each core */
	MEASURES
};

/* Those that the code between VM entry and exit carries out. */
#define MEASURES_AT_ENTRY                                                                          \
	(BIT(MEASURE_IBRS) | BIT(MEASURE_RSB_FILL) | BIT(MEASURE_VERW) | BIT(MEASURE_BHB_CLEAR) |  \
	 BIT(MEASURE_IBPB_ON_EXIT) | BIT(MEASURE_DIV_CLEAR) | MEASURES_L1D)
#define MEASURES_L1D (BIT(MEASURE_L1D_FLUSH) | BIT(MEASURE_L1D_FILL))

/* What CPUID and an MSR say, word by word; 0 for a leaf or an MSR that is not there. */
struct cpu_facts {
	bool is_intel, is_amd;
	bool has_smt; /* more than one thread in a core */
	uint32_t leaf1_eax;
	uint32_t leaf7_ebx, leaf7_edx;
	uint32_t leaf7_2_edx; /* leaf 7, subleaf 2 */
	uint32_t ext8_ebx;    /* leaf 80000008h */
	uint32_t ext21_eax, ext21_ecx;
	uint64_t arch_caps;
	bool takes_sbpb;     /* AMD: PRED_CMD takes that bit, whatever CPUID says */
	bool takes_pred_cmd; /* with MITIGATIONS_FORCE: PRED_CMD takes IBPB, */
	bool has_spec_ctrl;  /* and SPEC_CTRL is there */
};

/* The command line's mitigations= */
enum mitigations_mode {
	MITIGATIONS_AUTO,
	MITIGATIONS_OFF,
	MITIGATIONS_FORCE, /* for tests: also what is not needed, as far as the CPU can */
	MITIGATIONS_MODES
};

/* Its smt= */
enum smt_mode { SMT_AUTO, SMT_ON, SMT_OFF, SMT_MODES };

struct mitigations {
	uint32_t needed;     /* a bit (1 << enum side_channel) for each that this CPU may have */
	uint32_t closed;     /* those of them that the measures close */
	uint32_t measures;   /* a bit (1 << enum measure) for each in force */
	uint32_t rsb_rounds; /* RSB_FILL: of two calls each */
	uint32_t spec_ctrl;  /* the kernel's; a guest has the same, but without the bit of
				MEASURE_IBRS */
};

/* mitigations_choose - what to do on a CPU with these facts. Pure. */
void mitigations_choose(const struct cpu_facts *facts, enum mitigations_mode mode,
			enum smt_mode smt, struct mitigations *out);

/* mitigations_describe - words: the measures, then missing:NAME for each channel that is open */
void mitigations_describe(const struct mitigations *chosen, char *dst, size_t cap);

#define MITIGATIONS_TEXT_MAX 256

/* This machine's; fixed once mitigations_text() was called on the boot CPU. */
extern struct mitigations mitigations;

/* Choose, the first time, and describe; the text lives for ever. Boot CPU first, any CPU later. */
const char *mitigations_text(void);

/* On each CPU, before it runs a guest. */
void mitigations_cpu_on(void);

/* On the CPU that goes over to another VM. */
void mitigations_change_vm(void);

/*
 * The L1 data cache of this CPU, for MEASURES_L1D: touch says that something may have come into it
 * that the next guest must not see; flush, before an entry, does so when that was said.
 */
void mitigations_touch_l1d(void);
void mitigations_flush_l1d(void);

/* Before this CPU halts: what its buffers hold must not come to the core's other thread. */
void mitigations_idle(void);

#endif
