/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtual machine: memory, vCPUs, a board of devices, and its life.
 *
 *      vm_create ──► CREATED ──start──► RUNNING ◄──pause/resume──► PAUSED
 *                       ▲                  │ power-off, stop           │
 *                       │                  ▼                           │
 *                    start again ◄──── STOPPED or CRASHED ◄────────────┘
 *      A VM that is STOPPED or CRASHED holds no memory; start takes it anew.
 *      vm_destroy from any state: memory goes back at once.
 *      A VM that starts or is reset is RUNNING while its images are being copied into its memory,
 *      piece by piece; its first instruction follows the last of them.
 *
 * Everything a running VM will ever need is taken by vm_create and vm_start. The calls below that
 * change its state come from the control queue (one at a time, on the agent's CPU) or, for
 * guest-made stops, from the run loop; they wait until no vCPU of it is in guest mode.
 */
#ifndef VMM_VM_H
#define VMM_VM_H

#include "kernel/lib/list.h"
#include "kernel/lib/lock.h"
#include "kernel/sched.h"
#include "kernel/time.h"
#include "net/port.h"
#include "vmm/boot_plan.h"
#include "vmm/control_abi.h"
#include "vmm/gmem.h"
#include "vmm/guest_tsc.h"
#include "vmm/vdev.h"
#include "vmm/virt.h"

#define VCPU_LAST_EXITS 16
#define VCPU_MSR_STORE	64

struct cpu;
struct lapic;
struct board;
struct boot_entry;
struct console;
struct cpuid_policy;
struct image;
struct ept;

enum vm_state { /* the values that the control ABI shows */
		VM_CREATED = CTL_VM_CREATED,
		VM_RUNNING = CTL_VM_RUNNING,
		VM_PAUSED = CTL_VM_PAUSED,
		VM_STOPPED = CTL_VM_STOPPED,
		VM_CRASHED = CTL_VM_CRASHED,
		VM_DESTROYED = CTL_VM_DESTROYED,
};

struct vcpu {
	uint64_t gpr[16]; /* in enum guest_reg order; which of them are live here is the backend's
			     matter */
	struct vm *vm;
	uint32_t index; /* its APIC ID too */
	void *arch;	/* the backend's */
	struct lapic *lapic;
	struct timer lapic_timer;

	struct cpu *cpu;	   /* home; fixed while the VM exists */
	struct sched_entity sched; /* this and the next four under the home CPU's queue lock */
	bool is_parked;		   /* must not run: its VM is not running */
	bool is_listed;	      /* on the home CPU's list of vCPUs with requests for the run loop */
	uint32_t cpu_request; /* bits of enum vcpu_cpu_request */
	struct list listed;

	uint32_t request;    /* atomic; bits of enum vcpu_request, for the vCPU itself */
	uint8_t sipi_vector; /* valid with VCPU_REQ_SIPI */
	bool is_halted;	     /* by HLT: waits for an interrupt */
	bool yields;	     /* waits in a loop, maybe for another vCPU of this CPU */
	bool waits_for_sipi; /* after INIT */
	bool wants_nmi;
	bool has_apicv;	    /* its CPU delivers what its LAPIC has. AVIC: goes on and off, atomic */
	uint64_t xcr0, xss; /* the guest's */
	uint64_t msr_store[VCPU_MSR_STORE]; /* values of MSRs that are kept and not more (vmm/msr.h)
					     */
	void *xsave; /* FPU state while another vCPU has the CPU; XSAVE's standard form */
	struct boot_entry *entry; /* what the first vCPU starts with */

	uint64_t run_tsc; /* ticks in guest mode, only grows */
	uint64_t exits[EXIT_KINDS];
	struct {
		uint64_t rip;
		uint32_t kind, raw;
	} last_exits[VCPU_LAST_EXITS];
	uint32_t last_exit_at;
};

enum vcpu_request {
	VCPU_REQ_RESET = 1,
	VCPU_REQ_INIT = 2,
	VCPU_REQ_SIPI = 4,
	VCPU_REQ_NMI = 8,
	VCPU_REQ_LOOK = 16
};
enum vcpu_cpu_request { VCPU_CPU_PARK = 1, VCPU_CPU_STOP_VM = 2 };

struct vm {
	uint32_t id; /* the control queue's handle, never used twice in one boot */
	bool is_agent;
	uint8_t uuid[16];
	char name[CTL_NAME_MAX];
	struct ctl_vm_config config; /* a checked copy */
	struct gmem mem;
	struct ept *ept;
	uint64_t npt_root; /* hpa for the backend */
	void *arch;
	struct board *board;
	struct console *console;
	struct image *kernel, *initrd; /* held while the VM exists; NULL for the agent */
	struct boot_plan plan;	       /* of them, into mem */
	struct vcpu *vcpus[CTL_VCPUS_MAX];
	uint32_t nr_vcpus;
	struct guest_tsc tsc;
	struct cpuid_policy *cpuid; /* its own, where its TSC has a rate of its own, or NULL */

	uint32_t life;		   /* taken with vm_life_take() for as long as the state changes */
	struct block_list *blocks; /* the pages behind mem */
	bool is_loading;	   /* vCPUs stay parked until plan is carried out; under life */
	struct timer loader;

	struct lock lock; /* board devices and what follows */
	enum vm_state state;
	bool has_work; /* the agent's: its control queue was notified (vmm/agent_vm.h) */
	bool has_stop; /* a stop was asked for; the run loop carries it out */
	enum vm_stop_reason stop_reason;
	char stop_why[96];
	bool is_dying; /* vm_destroy waits for whoever else looks at the VM */
	char reason[96];
	uint32_t boots;
	uint64_t booted_ns;    /* uptime of the last one */
	uint32_t quick_resets; /* in a row, each soon after the boot before it */
	uint64_t state_since_ns;

	/* usage, under lock; only grow */
	uint64_t alloc_ns, mem_mib_ms, accounted_ns;	 /* accounted up to this uptime */
	uint64_t created_ns, paused_ns, paused_since_ns; /* of the clock that devices see */
	uint32_t log_tokens, log_dropped;
	uint64_t log_refill_ns;
};

/* vmm/registry.c: VMs by handle and by UUID; destroyed ones stay for their counters until
 * forgotten. */

/*
 * vm_create - take all memory and devices, in state CREATED
 *
 * config   borrowed; checked: every field, against this machine
 * why      filled with a sentence when the answer is not HV_OK
 * Errors:  HV_EINVAL - a field is out of range; HV_ENOMEM - why says how much was missing.
 */
MUST_CHECK enum hv_err vm_create(const struct ctl_vm_config *config, struct vm **out, char why[96]);
/* vm_start - HV_EAGAIN: a part of its memory was cleared, call it again; HV_EBUSY: is running;
 * loader's errors */
MUST_CHECK enum hv_err vm_start(struct vm *vm, char why[96]);
/* vm_start_whole - at boot, when nobody waits for this CPU */
MUST_CHECK enum hv_err vm_start_whole(struct vm *vm, char why[96]);
MUST_CHECK enum hv_err vm_pause(struct vm *vm);
MUST_CHECK enum hv_err vm_resume(struct vm *vm);
MUST_CHECK enum hv_err vm_power_off(struct vm *vm, bool is_gentle);
MUST_CHECK enum hv_err vm_reset(struct vm *vm, char why[96]);
void vm_destroy(struct vm *vm); /* memory back; usage is copied into *last first by the registry */
void vm_usage(struct vm *vm, struct ctl_usage *out); /* all but seq and mono_ns */
void vm_info(struct vm *vm, struct ctl_vm_info *out);
struct vm_exits {
	uint64_t nr[EXIT_KINDS];
};
void vm_exits(const struct vm *vm, struct vm_exits *out); /* summed over its vCPUs */
void vm_console_input(struct vm *vm); /* the console ring has input for the UART */

/* The agent's VM: image linked into the kernel, the control device on its board. */
MUST_CHECK enum hv_err vm_start_agent(void);
/* The agent asked for something: it lives. Called by vmm/control.c for every request. */
void vm_agent_alive(void);

#endif
