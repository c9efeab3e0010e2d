# SPDX-License-Identifier: Apache-2.0
#
# `make bench`: figures into build/bench.tsv (docs/measuring.md). Its guests are built by
# tests/guest/module.mk, as test guests are.

bench-guests := $(patsubst tests/bench/%.c,$(B)/guest-tests/%.elf,$(wildcard tests/bench/*.c))
bench-linux  := $(B)/guest/vmlinuz $(B)/bench/initrd.img

# One file, the same bytes each time.
$(B)/bench/initrd.img: tests/bench/linux/init.S
	$(call say,INITRD,$@)mkdir -p $(@D)/tree
	$(Q)gcc -nostdlib -static -s -Wl,-z,noexecstack,--build-id=none -o $(@D)/tree/init $<
	$(Q)touch -d @0 $(@D)/tree/init
	$(Q)cd $(@D)/tree && echo init | cpio --quiet --reproducible --owner=0:0 -o -H newc >../initrd.img

# /init of Linux for the bench of disks.
$(B)/bench/disks-init: tests/bench/linux/disks.c
	$(call say,CC,$@)mkdir -p $(@D) && $(TOOL_CC) $(TOOL_FLAGS) -static -pthread -o $@ $<

bench: $(B)/kernel-tests/disk_check.elf $(B)/bench/disks-init

# The init that counts ticks for each frame; static, as it is alone there.
$(B)/bench/nics-init: tests/bench/linux/nics.c
	$(call say,CC,$@)mkdir -p $(@D) && $(TOOL_CC) $(TOOL_FLAGS) -static -o $@ $<

bench: $(B)/bench/nics-init $(B)/kernel-tests/nics.elf

bench: $(B)/billet.elf $(B)/billet.iso $(B)/billetd $(B)/billetctl $(bench-guests) $(bench-linux)
	$(Q)tests/bench/run
