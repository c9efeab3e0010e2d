# SPDX-License-Identifier: Apache-2.0
"""Figure 4: Linux to its init on Billet, beside the same boot on the machine itself.

Both ends of both boots are found by the debugger, in ticks: the kernel's first instruction (GRUB
enters it at its 32-bit entry, Billet at its 64-bit one) and that of init.
"""
import re
import shutil
import subprocess

import bochs
import exits

MEM_MIB = 128
HOST_MIB = 512
TIMEOUT_S = 600
LOADED_AT = 0x1000000  # the kernel's preferred address
ENTRY_64 = LOADED_AT + 0x200
CMDLINE = ("console=ttyS0 quiet panic=-1 tsc_early_khz=50000 mitigations=off cryptomgr.notests=1 "
           "initcall_blacklist=jent_mod_init")
BEST_PEER, BEST_PEER_EXITS = 1.067, 6593  # QEMU microvm
KERNEL = bochs.BUILD / "guest/vmlinuz"
INITRD = bochs.FOLDER / "initrd.img"

GRUB = f"""set timeout=0
menuentry Linux {{
	linux /boot/vmlinuz {CMDLINE}
	initrd /boot/initrd.img
}}
"""


def bare_iso():
    tree, iso = bochs.FOLDER / "bare", bochs.FOLDER / "bare.iso"
    shutil.rmtree(tree, ignore_errors=True)
    (tree / "boot/grub").mkdir(parents=True)
    shutil.copy(KERNEL, tree / "boot/vmlinuz")
    shutil.copy(INITRD, tree / "boot/initrd.img")
    (tree / "boot/grub/grub.cfg").write_text(GRUB)
    with open(bochs.FOLDER / "bare.log", "wb") as log:
        subprocess.run(["grub-mkrescue", "-o", iso, "--install-modules=linux normal iso9660",
                        "--locales=", "--fonts=", "--themes=", tree],
                       check=True, stdout=log, stderr=log)
    return iso


def billet_iso(cmdline):
    iso = bochs.FOLDER / "linux.iso"
    modules = [(KERNEL, f"guest linux linux mem={MEM_MIB} -- {CMDLINE}"), (INITRD, "initrd")]
    bochs.make_iso(iso, modules, f"{cmdline} log=debug")
    return iso


def boot(iso, mem_mib, entry_break, entry, until=None):
    """Ticks from the kernel's entry to init's, and the serial output until that line."""
    commands = [f"{entry_break} {entry:#x}", "c", "d 1", "c", "c"]
    with bochs.Watched(iso, commands, mem_mib=mem_mib) as machine:
        start = machine.wait_stop(lambda _, at: at == entry, TIMEOUT_S)
        end = machine.wait_stop(lambda tick, at: at == bochs.INIT and tick > start, TIMEOUT_S)
        if until:
            machine.wait_serial(until, TIMEOUT_S)
        return end - start, machine.serial_text()


def measure(figures):
    bare, _ = boot(bare_iso(), MEM_MIB, "pb", LOADED_AT)
    figures.add("Linux 6.1 to init on the bare machine", bare, "ticks")
    for cmdline, suffix in ((exits.OFF, ""), (exits.AUTO, "; mitigations on")):
        here, text = boot(billet_iso(cmdline), HOST_MIB, "lb", ENTRY_64, exits.RAN)
        figures.add(f"Linux 6.1 to init on Billet{suffix}", here, "ticks")
        figures.add(f"Linux 6.1 to init: Billet ÷ bare{suffix}", round(here / bare, 4), "ratio",
                    BEST_PEER, 1.02)
        ran_us, of_us = re.search(exits.RAN, text, re.MULTILINE).groups()
        figures.add(f"Linux 6.1 to power-off: exits that leave the entry loop{suffix}",
                    (int(of_us) - int(ran_us)) * bochs.TICKS_PER_US, "ticks")
    by_kind = exits.guest_exits(text, "linux")
    figures.add("Linux 6.1 to power-off: exits", sum(by_kind.values()), "exits", BEST_PEER_EXITS)
    for kind, nr in sorted(by_kind.items(), key=lambda item: -item[1]):
        figures.add(f"Linux 6.1 to power-off: exits, {kind}", nr, "exits")
