# SPDX-License-Identifier: Apache-2.0
# The boot disk of a node: BIOS and UEFI, two slots (docs/updates.md).

$(B)/billet.img: $(B)/billet.elf tools/build/disk tools/build/disk.cfg storage/boot_disk.h
	$(call say,DISK,$@)tools/build/disk $@ $< --version '$(VERSION)'

.PHONY: disk
disk: $(B)/billet.img
all: $(B)/billet.img
