# SPDX-License-Identifier: Apache-2.0

# nested paging, guest walks, the instruction emulator, CPUID and MSR tables
kernel-y += vmm/ept.c
pure-y += vmm/ept.c

# what a guest sees: the PC's own devices
guest-pc := vmm/dev/lapic.c vmm/dev/lapic_regs.c vmm/dev/lapic_timer.c vmm/dev/ioapic.c vmm/dev/uart.c \
        vmm/dev/acpi_pm.c vmm/dev/fw_misc.c vmm/dev/pic.c vmm/dev/pit.c vmm/dev/rtc.c vmm/dev/rtc_date.c
kernel-y += $(guest-pc)
pure-y += $(guest-pc)

# ways to boot a guest, and what it finds in its memory
guest-boot := vmm/boot_plan.c vmm/boot_proto.c vmm/boot_linux.c vmm/boot_pvh.c vmm/boot_multiboot.c vmm/elf.c \
        vmm/tables.c vmm/smbios.c vmm/dsdt.S
kernel-y += $(guest-boot)
pure-y += $(guest-boot)

$(B)/vmm/dsdt.aml: vmm/dsdt.asl
	$(call say,IASL,$@)mkdir -p $(@D) && iasl -we -vs -p $(@:.aml=) $< >$(@:.aml=.log) || { cat $(@:.aml=.log); exit 1; }
$(foreach f,kernel host fuzz,$(B)/$(f)/vmm/dsdt.o): $(B)/vmm/dsdt.aml
kernel-y += vmm/walk.c
pure-y += vmm/walk.c
kernel-y += vmm/insn.c vmm/emulate.c
pure-y += vmm/insn.c vmm/emulate.c

# the guest's RAM; PCI and virtio devices
guest-pci := vmm/gmem.c vmm/dev/vring.c vmm/dev/pci.c vmm/dev/pci_host.c vmm/dev/virtio_pci.c \
        vmm/dev/virtio_pci_common.c vmm/dev/virtio_net.c vmm/dev/virtio_rng.c vmm/dev/virtio_control.c
kernel-y += $(guest-pci)
pure-y += $(guest-pci)
kernel-y += vmm/msr.c
pure-y += vmm/msr.c
kernel-y += vmm/cpuid.c vmm/cpuid_hw.c vmm/guest_tsc.c
pure-y += vmm/cpuid.c vmm/guest_tsc.c

# what a person in front of the machine sees
pure-y += vmm/status_page.c
kernel-y += vmm/status_page.c vmm/status_screen.c

# the control queue's commands, and what they are about
control-pure := vmm/control.c vmm/control_vm.c vmm/control_check.c vmm/control_image.c vmm/control_update.c vmm/registry.c \
        vmm/images.c vmm/console.c
kernel-y += $(control-pure) vmm/control_machine.c vmm/node_info.c vmm/node_devices.c
pure-y += $(control-pure)
kernel-y += vmm/vmx/vmx_check.c vmm/vmx/vmx_check_guest.c vmm/vmx/vmx_check_seg.c
pure-y += vmm/vmx/vmx_check.c vmm/vmx/vmx_check_guest.c vmm/vmx/vmx_check_seg.c

# VMs: their life, their CPUs, what their exits mean
kernel-y += vmm/vmm.c vmm/run.c vmm/vcpu.c vmm/vm.c vmm/vm_life.c vmm/vm_memory.c vmm/boot.c vmm/board.c \
        vmm/exits.c vmm/exit_msr.c vmm/guest_access.c vmm/vm_services.c vmm/module_guests.c
pure-y += vmm/vm_memory.c

# VT-x
kernel-y += vmm/vmx/vmx.c vmm/vmx/vmx_vmcs.c vmm/vmx/vmx_state.c vmm/vmx/vmx_fast.c vmm/vmx/vmx_guard.c \
        vmm/vmx/vmx_enter.S vmm/vmx/vmx_ctl.c vmm/vmx/vmx_decode.c
pure-y += vmm/vmx/vmx_ctl.c vmm/vmx/vmx_decode.c
# on the way of every exit: no frame pointer, which nobody follows there, and nothing that could overrun
FLAGS_vmm/vmx/vmx_fast := -fomit-frame-pointer -fno-stack-protector

# AMD-V
svm-pure := vmm/svm/svm_ctl.c vmm/svm/svm_asid.c vmm/svm/svm_decode.c vmm/svm/svm_insn.c vmm/svm/svm_check.c \
        vmm/svm/svm_avic.c
kernel-y += $(svm-pure) vmm/svm/svm.c vmm/svm/svm_vmcb.c vmm/svm/svm_state.c vmm/svm/svm_event.c \
        vmm/svm/svm_fast.c vmm/svm/svm_avic_hw.c vmm/svm/svm_enter.S
pure-y += $(svm-pure)
FLAGS_vmm/svm/svm_fast := -fomit-frame-pointer -fno-stack-protector

# the agent's VM, with its image
kernel-y += vmm/agent_vm.c vmm/agent_image.S
$(B)/kernel/vmm/agent_image.o: $(B)/agent/agent.elf
FLAGS_vmm/agent_image := -DAGENT_IMAGE='"$(B)/agent/agent.elf"'
