# SPDX-License-Identifier: Apache-2.0

kernel-y += drivers/drivers.c drivers/hotplug_hw.c drivers/nic.c drivers/dev_open.c drivers/dev_irqs.c
pure-y   += drivers/dev_irqs.c
kernel-y += drivers/block.c drivers/block_check.c drivers/block_list.c
pure-y   += drivers/block.c drivers/block_check.c drivers/block_list.c

# the screen, with a font from a package of the distribution
screen-pure := drivers/screen_grid.c drivers/screen_fb.c drivers/psf.c
kernel-y += $(screen-pure) drivers/screen.c drivers/screen_font.S
pure-y   += $(screen-pure)
$(B)/fonts/%.psf: /usr/share/consolefonts/%.psfu.gz
	$(call say,FONT,$@)mkdir -p $(@D) && gzip -dc $< >$@
$(B)/kernel/drivers/screen_font.o: $(B)/fonts/spleen-8x16.psf $(B)/fonts/spleen-16x32.psf
FLAGS_drivers/screen_font := -DFONT_SMALL='"$(B)/fonts/spleen-8x16.psf"' -DFONT_LARGE='"$(B)/fonts/spleen-16x32.psf"'

kernel-y += drivers/offload.c
pure-y   += drivers/offload.c
kernel-y += drivers/intel_rx.c drivers/intel_tx.c drivers/intel_nic_hw.c drivers/intel_reset_hw.c
kernel-y += drivers/e1000_hw.c drivers/e1000e_hw.c drivers/igb_hw.c
kernel-y += drivers/e1000e_pch.c drivers/e1000e_pch_phy_hw.c drivers/e1000e_pch_hw.c
pure-y   += drivers/intel_rx.c drivers/intel_tx.c drivers/e1000e_pch.c
kernel-y += drivers/ata_identify.c drivers/ata_cmd.c
pure-y   += drivers/ata_identify.c drivers/ata_cmd.c
kernel-y += drivers/ahci_cmd.c drivers/ahci_port.c drivers/ahci_hw.c
pure-y   += drivers/ahci_cmd.c drivers/ahci_port.c
kernel-y += drivers/ata_channel.c drivers/ata_hw.c
pure-y   += drivers/ata_channel.c
kernel-y += drivers/virtio_queue.c drivers/virtio_caps.c drivers/virtio_pci_hw.c
kernel-y += drivers/virtio_blk.c drivers/virtio_blk_hw.c drivers/virtio_net_rings.c \
            drivers/virtio_net_hw.c drivers/virtio_net_open_hw.c
pure-y   += drivers/virtio_queue.c drivers/virtio_caps.c drivers/virtio_blk.c drivers/virtio_net_rings.c
kernel-y += drivers/nvme_queue.c drivers/nvme_identify.c drivers/nvme_io_hw.c drivers/nvme_hw.c drivers/nvme_probe_hw.c
pure-y   += drivers/nvme_queue.c drivers/nvme_identify.c
usb-pure := drivers/scsi.c drivers/usb_bot.c drivers/usb_desc.c drivers/usb_disk.c drivers/usb_enum.c \
            drivers/usb_stick.c drivers/xhci_caps.c drivers/xhci_context.c drivers/xhci_ring.c
kernel-y += $(usb-pure) drivers/xhci_block_hw.c drivers/xhci_hw.c drivers/xhci_port_hw.c drivers/xhci_step_hw.c
pure-y   += $(usb-pure)
kernel-y += drivers/wdat.c drivers/tco.c drivers/watchdogs_hw.c
pure-y   += drivers/wdat.c drivers/tco.c
