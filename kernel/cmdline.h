/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's command line: words parted by spaces, most of them key=value. The last one wins when
 * a key is there twice. What is not in this table is left to whoever knows it, and ignored here.
 *
 *   log=err|warn|info|debug        which lines reach the log; default info
 *   serial=deferred|sync           the log goes to the serial port without holding up who logs; or
 *                                  each line at once, which takes milliseconds in which no guest
 *                                  of its CPU runs; default deferred, once the machine is up
 *   panic=reboot|halt|poweroff     what follows a panic; default reboot, after 5 s
 *   after-boot=check|poweroff|reboot|panic|assert|fault|write-text|run-data|overflow
 *                                  for tests: once the machine is up, end it in this way
 *   apicv=on|registers|off         VT-x: how much of a guest's local APIC is left to the CPU, at
 *                                  most; default on. Bochs wants registers: docs/hardware.md
 *   avic=on|off                    AMD-V: leave a guest's local APIC to the CPU; default off, as no
 *                                  emulator has AVIC, so that its code has never run
 *   backstop=MS                    for emulators: a guest's run ends after this long at most, in 1
 *                                  to 1000 ms; default 0, never. Bochs wants 2: docs/hardware.md
 *   guests=only                    no agent: run the guests among the boot modules, then power off
 *                                  (vmm/module_guests.h)
 *   mitigations=auto|off|force     measures against side channels: those that this CPU needs; none;
 *                                  for tests, all that it can (kernel/mitigations.h); default auto
 *   smt=auto|on|off                start only one thread of each core: where L1TF, MDS or TAA would
 *                                  let guests on one core read each other; never; always
 *   irqs=msix|msi|intx             the best way in which devices of this machine may interrupt,
 *                                  for those whose messages do not arrive; default msix
 *   pciehp=auto|on|off             PCI Express slots whose cards may be changed while the machine
 *                                  runs: all that firmware does not serve itself; all; none
 *   mtu=BYTES                      the largest packet on the node's networks, 1500 to 9000; default
 *                                  1500. NICs that take less are used with what they take
 *   nmi-every=MS                   for tests: two hundred NMIs to the other CPUs, so far apart
 *   update_key=HEX                 the public key that releases must be signed with: P-256, 65
 *                                  bytes uncompressed (docs/updates.md); without it none is taken
 *   disk=ID slot=a|b trial=1       written by GRUB on the boot disk: its ID, the slot that was
 *                                  booted, and whether it is on trial
 *   trial-limit=SECONDS            a slot on trial that is not found healthy for so long makes
 *                                  room for the other one; default 600
 *   screen=on|off                  a status page on the screen; default on
 *   watchdog=auto|off|SECONDS      the hardware's watchdog resets a machine that stands still for
 *                                  60 s, or 300 s in one step of its boot; not at all; for 5 to
 *                                  3600 s in both cases; default auto (kernel/watchdog.h)
 *   test=1                         for tests: let the agent ask for faults (CTL_TEST_FAULT)
 */
#ifndef KERNEL_CMDLINE_H
#define KERNEL_CMDLINE_H

#include "kernel/lib/types.h"

/*
 * cmdline_find - the value of a key on a command line. Pure.
 *
 * buf      gets the value, cut to cap bytes with its zero; cap is not 0
 * returns  buf, or NULL when there is no such key; a word without = has the value ""
 */
const char *cmdline_find(const char *cmdline, const char *key, char *buf, size_t cap);

/* cmdline_find_number - its decimal value; otherwise when there is no such key, or no number. Pure.
 */
uint32_t cmdline_find_number(const char *cmdline, const char *key, uint32_t otherwise);

/* The same on the command line that this machine was booted with. */
const char *cmdline_get(const char *key, char *buf, size_t cap);
uint32_t cmdline_number(const char *key, uint32_t otherwise);

/* cmdline_choose - index of the key's value among count words; none when absent or not among them
 */
unsigned cmdline_choose(const char *key, const char *const *words, unsigned count, unsigned none);

#endif
