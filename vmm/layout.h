/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest-physical map: what lies where in every guest. The board, the boot protocols and the
 * tables for the guest take their addresses from here and nowhere else.
 *
 *    0x00001000  page tables for 64-bit entry         0x000e0000  ACPI tables   } reserved
 *    0x00007000  Linux zero page                      0x000f0000  SMBIOS        } in the map
 *    0x00008000  PVH / multiboot hand-over            0x00100000  kernel, initrd, RAM
 *    0x00010000  entry stack (downwards)              0xd0000000  PCI BARs
 *    0x00020000  command line                         0xe0000000  PCI ECAM, bus 0
 *    0x0009fc00  reserved, to 1 MiB                   0xfec00000  IOAPIC;  0xfee00000  LAPIC
 */
#ifndef VMM_LAYOUT_H
#define VMM_LAYOUT_H

#include "vmm/gmem.h"

/* Hand-over structures in low RAM; the guest may reuse them once it has read them. */
#define LAYOUT_GDT	    0x00000800ull
#define LAYOUT_PML4	    0x00001000ull
#define LAYOUT_PDPT	    0x00002000ull
#define LAYOUT_PD	    0x00003000ull /* four pages: 4 GiB in 2 MiB pages */
#define LAYOUT_ZERO_PAGE    0x00007000ull
#define LAYOUT_START_INFO   0x00008000ull /* PVH start info, multiboot info: one page */
#define LAYOUT_START_TABLES 0x00009000ull /* their memory map and module list: one page */
#define LAYOUT_STACK_TOP    0x00010000ull
#define LAYOUT_CMDLINE	    0x00020000ull
#define LAYOUT_CMDLINE_MAX  0x00001000ull /* bytes, with the closing zero */

#define LAYOUT_LOW_RAM_END 0x0009fc00ull /* where a PC's EBDA begins */
#define LAYOUT_BIOS	   0x000e0000ull /* tables for the guest, to 1 MiB */
#define LAYOUT_ACPI	   0x000e0000ull
#define LAYOUT_ACPI_END	   0x000f0000ull
#define LAYOUT_SMBIOS	   0x000f0000ull
#define LAYOUT_SMBIOS_END  0x00100000ull
#define LAYOUT_KERNEL_MIN  0x00100000ull /* images are loaded from here up */

#define LAYOUT_PCI_BARS	      0xd0000000ull
#define LAYOUT_PCI_BARS_BYTES 0x10000000ull
#define LAYOUT_ECAM	      0xe0000000ull
#define LAYOUT_ECAM_BYTES     0x00100000ull /* bus 0 only */
#define LAYOUT_IOAPIC	      0xfec00000ull
#define LAYOUT_IOAPIC_BYTES   0x1000ull
#define LAYOUT_LAPIC	      0xfee00000ull
#define LAYOUT_LAPIC_BYTES    0x1000ull
static_assert(LAYOUT_PCI_BARS >= GMEM_LOW_MAX, "devices lie in the hole");
static_assert(LAYOUT_PCI_BARS + LAYOUT_PCI_BARS_BYTES == LAYOUT_ECAM,
	      "the BAR window ends at ECAM");

/* Ports. */
#define LAYOUT_PIC_MASTER    0x0020u
#define LAYOUT_PIT	     0x0040u
#define LAYOUT_I8042_DATA    0x0060u
#define LAYOUT_PORT_B	     0x0061u /* counter 2's gate and output, speaker */
#define LAYOUT_I8042_STATUS  0x0064u
#define LAYOUT_RTC	     0x0070u
#define LAYOUT_POST_CODE     0x0080u
#define LAYOUT_FAST_A20	     0x0092u
#define LAYOUT_PIC_SLAVE     0x00a0u
#define LAYOUT_COM1	     0x03f8u
#define LAYOUT_ELCR	     0x04d0u
#define LAYOUT_PM	     0x0600u /* PM1a event 4, PM1a control 2, gap 2, PM timer 4 */
#define LAYOUT_PM_BYTES	     0x0010u
#define LAYOUT_RESET_CONTROL 0x0cf9u
#define LAYOUT_PCI_IO	     0xc000u /* I/O BARs */
#define LAYOUT_PCI_IO_BYTES  0x1000u

/* Interrupts: GSIs of the IOAPIC. */
#define LAYOUT_GSI_PIT	2u /* ISA IRQ 0, by the override in the MADT */
#define LAYOUT_IRQ_COM1 4u
#define LAYOUT_IRQ_RTC	8u
#define LAYOUT_IRQ_SCI	9u

#endif
