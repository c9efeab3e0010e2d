# SPDX-License-Identifier: Apache-2.0
#
# Test guests: each tests/guest/*.c becomes build/guest-tests/NAME.elf, an ELF that the hypervisor boots
# by PVH. tests/guest/run puts them into ISOs and runs those; its table says who runs with whom.

GUEST_FLAGS := -std=gnu11 -O2 -g -I. -ffreestanding -nostdinc -isystem $(shell gcc -print-file-name=include) \
        -m64 -mgeneral-regs-only -mno-red-zone -mcmodel=small -fno-pic -fno-pie -fno-stack-protector \
        -fno-asynchronous-unwind-tables -fcf-protection=none $(WARN)
$(eval $(call flavour,guest-tests,KERNEL_CC,GUEST_FLAGS))

guest-lib := $(call objects,guest-tests,tests/guest/lib/start.S tests/guest/lib/guest.c tests/guest/lib/virtio.c)
guest-bin := $(patsubst tests/guest/%.c,$(B)/guest-tests/%.elf,$(wildcard tests/guest/*.c) $(wildcard tests/bench/*.c))
guest-bin := $(patsubst tests/bench/%.c,$(B)/guest-tests/%.elf,$(guest-bin))

$(B)/guest-tests/%.elf: $(B)/guest-tests/tests/guest/%.o $(guest-lib) tests/guest/lib/guest.lds
	$(call say,LD,$@)ld -nostdlib -static -z noexecstack --no-warn-rwx-segments -T tests/guest/lib/guest.lds -o $@ $(filter %.o,$^)
$(B)/guest-tests/%.elf: $(B)/guest-tests/tests/bench/%.o $(guest-lib) tests/guest/lib/guest.lds
	$(call say,LD,$@)ld -nostdlib -static -z noexecstack --no-warn-rwx-segments -T tests/guest/lib/guest.lds -o $@ $(filter %.o,$^)
.PRECIOUS: $(B)/guest-tests/tests/guest/%.o $(B)/guest-tests/tests/bench/%.o

guest: $(B)/billet.elf $(patsubst tests/guest/%.c,$(B)/guest-tests/%.elf,$(wildcard tests/guest/*.c))
	tests/guest/run $(if $(MACHINE),--machine $(MACHINE)) $(BOOTS)
