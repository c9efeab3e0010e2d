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

# The Linux beside which disks and network cards are measured, and its /init for each.
$(B)/bench/peer/vmlinuz: tests/bench/linux/make-peer $(B)/guest/vmlinuz
	$(call say,PEER,$(@D))tests/bench/linux/make-peer "$$(cat $(B)/guest/release)" $(@D)

$(B)/bench/disks-init: tests/bench/linux/disks.c
	$(call say,CC,$@)mkdir -p $(@D) && $(TOOL_CC) $(TOOL_FLAGS) -static -pthread -o $@ $<

$(B)/bench/nics-init: tests/bench/linux/nics.c
	$(call say,CC,$@)mkdir -p $(@D) && $(TOOL_CC) $(TOOL_FLAGS) -static -o $@ $<

# What each part needs, for all of them and for one of them: tests/bench/run PART.
.PHONY: bench-needs
bench-needs: $(B)/billet.elf $(B)/billet.iso $(B)/billetd $(B)/billetctl $(bench-guests) $(bench-linux)
bench-needs: $(B)/bench/peer/vmlinuz $(B)/bench/disks-init $(B)/bench/nics-init
bench-needs: $(B)/kernel-tests/disk_check.elf $(B)/kernel-tests/nics.elf

bench: bench-needs
	$(Q)tests/bench/run
