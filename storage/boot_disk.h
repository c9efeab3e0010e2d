/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The boot disk: what lies where. tools/build/disk writes it, GRUB (tools/build/disk.cfg) and the
 * kernel go by it, `billetctl node install-media` fills in a copy of build/billet.img with no other
 * tool. docs/updates.md explains it.
 *
 *   MiB 0      1           2            36         37         69         101   102
 *       ┌──────┬───────────┬────────────┬──────────┬──────────┬──────────┬─────┐
 *       │ GPT  │ BIOS boot │ EFI system │ config   │ slot A   │ slot B   │ GPT │
 *       └──────┴───────────┴────────────┴──────────┴──────────┴──────────┴─────┘
 *        part.   1           2            3          4          5
 *
 * The kernel finds the partitions by type, wherever they are; the places are those of a new image.
 * Plain numbers and byte lists only: tools/build/disk reads them out of this file.
 */
#ifndef STORAGE_BOOT_DISK_H
#define STORAGE_BOOT_DISK_H

#define BOOT_DISK_SECTOR_BYTES 512u

/* Where a new image has its partitions, bytes. */
#define BOOT_DISK_BIOS_AT      0x00100000u
#define BOOT_DISK_BIOS_BYTES   0x00100000u
#define BOOT_DISK_ESP_AT       0x00200000u
#define BOOT_DISK_ESP_BYTES    0x02200000u
#define BOOT_DISK_CONFIG_AT    0x02400000u
#define BOOT_DISK_CONFIG_BYTES 0x00100000u
#define BOOT_DISK_SLOT_A_AT    0x02500000u
#define BOOT_DISK_SLOT_B_AT    0x04500000u
#define BOOT_DISK_SLOT_BYTES                                                                       \
	0x02000000u /* a slot: billet.elf from its start; what follows is ignored */
#define BOOT_DISK_IMAGE_BYTES 0x06600000u

/* Partition types, as they lie on the disk. */
/* 9c23eaee-2159-4271-a1b9-59deda540c61 */
#define BOOT_DISK_TYPE_CONFIG                                                                      \
	{0xee, 0xea, 0x23, 0x9c, 0x59, 0x21, 0x71, 0x42,                                           \
	 0xa1, 0xb9, 0x59, 0xde, 0xda, 0x54, 0x0c, 0x61}
/* cee6acc7-bb43-4283-b969-52998bb15762 */
#define BOOT_DISK_TYPE_SLOT_A                                                                      \
	{0xc7, 0xac, 0xe6, 0xce, 0x43, 0xbb, 0x83, 0x42,                                           \
	 0xb9, 0x69, 0x52, 0x99, 0x8b, 0xb1, 0x57, 0x62}
/* 0827282e-cc97-4bf2-8840-aa0196f813c2 */
#define BOOT_DISK_TYPE_SLOT_B                                                                      \
	{0x2e, 0x28, 0x27, 0x08, 0x97, 0xcc, 0xf2, 0x4b,                                           \
	 0x88, 0x40, 0xaa, 0x01, 0x96, 0xf8, 0x13, 0xc2}

/*
 * The config partition, bytes from its start. Nothing that is written at different times shares
 * 4 KiB, which is what a disk may really write at once.
 */
#define BOOT_DISK_ENV_AT	  0x00200u /* a GRUB environment block, behind the head of a tar archive */
#define BOOT_DISK_ENV_BYTES	  1024u
#define BOOT_DISK_MANIFEST_A_AT	  0x01000u /* struct ctl_update_manifest of what the slot holds */
#define BOOT_DISK_MANIFEST_B_AT	  0x02000u
#define BOOT_DISK_NODE_CONF_AT	  0x10000u /* node.conf, then zeros */
#define BOOT_DISK_NODE_CONF_BYTES 0x10000u
#define BOOT_DISK_KEPT_AT	  0x20000u /* two copies, see storage/kept.h */
#define BOOT_DISK_KEPT_BYTES	  0x04000u /* of one copy */

/*
 * Names in the environment block. The first five have values of a fixed length and stand first, in
 * the block's first sector: a change of them is one sector's, so a power cut leaves the old or the
 * new. The kernel and GRUB change nothing else.
 */
#define BOOT_DISK_ENV_SLOT	 "slot"	   /* a or b: the one to boot */
#define BOOT_DISK_ENV_TRIAL	 "trial"   /* a or b: boot it instead, once; -: none */
#define BOOT_DISK_ENV_STATE_A	 "state_a" /* e empty or half written, w whole, t tried, g good */
#define BOOT_DISK_ENV_STATE_B	 "state_b"
#define BOOT_DISK_ENV_ATTEMPT	 "attempt" /* CTL_UPDATE_TRY's of the last trial, 16 hex digits */
#define BOOT_DISK_ATTEMPT_DIGITS 16u
#define BOOT_DISK_ENV_ID	 "id" /* of this disk: 32 hexadecimal digits, drawn for each node */
#define BOOT_DISK_ENV_CMDLINE	 "cmdline" /* the kernel's, in front of what GRUB appends */

#endif
