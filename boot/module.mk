# SPDX-License-Identifier: Apache-2.0

# the boot protocols
boot-protocols := boot/ranges.c boot/multiboot2.c boot/pvh.c boot/uefi.c boot/screen_info.c
pure-y += $(boot-protocols)
kernel-y += $(boot-protocols)

# entry and boot order
pure-y += boot/boot_info.c
kernel-y += boot/entry.S boot/boot_info.c boot/main.c boot/after_boot.c boot/nmi_shower.c boot/checks.c boot/version_note.S

$(B)/billet.iso: $(B)/billet.elf tools/build/iso
	$(call say,ISO,$@)tools/build/iso $@ $<
iso: $(B)/billet.iso

.PHONY: netboot
netboot: $(B)/billet.elf
	$(call say,NETBOOT,$(B)/netboot)$(if $(BILLET_CMDLINE),BILLET_CMDLINE='$(BILLET_CMDLINE)') tools/build/netboot $(B)/netboot $<
all: $(B)/billet.iso
