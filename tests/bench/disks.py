# SPDX-License-Identifier: Apache-2.0
"""What a read of 4 KiB costs, beside Linux from a program's system call to its return.

In QEMU, with one tick for each instruction: the disks are QEMU's, of zeros, and their work takes
none. How many reads end with one interrupt depends on the host, so figures differ by some percent.
"""
import re
import subprocess
import tempfile
from pathlib import Path

import bochs
from machine import Machine

KERNEL = bochs.BUILD / "kernel-tests/disk_check.elf"
LINUX, LINUX_INIT = bochs.BUILD / "guest/vmlinuz", bochs.FOLDER / "disks-init"
LINUX_CMDLINE = "console=ttyS0 quiet panic=-1 mitigations=off cryptomgr.notests=1 initcall_blacklist=jent_mod_init"
CACHE = Path.home() / ".cache/billet/guest"
TIMEOUT_S = 300
# name: QEMU's devices, and the modules that Linux needs; none: its cloud kernel has no driver
KINDS = {
    "nvme": (["-device", "nvme,serial=1,drive=disk"], ["nvme"]),
    "ahci": (["-device", "ide-hd,drive=disk,bus=ide.0"], None),
    "virtio-blk": (["-device", "virtio-blk-pci,drive=disk"], ["virtio_pci", "virtio_blk"]),
}
DISK = ["-blockdev", "driver=null-co,size=16777216,read-zeroes=on,node-name=disk"]


def run(extra, **options):
    """Ticks for a read alone, and for one of 32 at a time."""
    with Machine("qemu", cpus=1, icount=True, board="q35", nic=False, reboots=False, extra=[*DISK, *extra],
                 **options) as machine:
        return [int(machine.wait_serial(rf"reads, {depth} at a time: (\d+) ticks each", TIMEOUT_S)[1])
                for depth in (1, 32)]


def initrd(folder, modules):
    """disks-init, and the modules in the order in which each finds what it needs."""
    deb, tree = max(CACHE.glob("linux-image-*.deb")), folder / "tree"
    subprocess.run(["dpkg-deb", "-x", deb, folder / "deb"], check=True)
    release = next((folder / "deb/lib/modules").iterdir()).name
    subprocess.run(["depmod", "-b", folder / "deb", release], check=True)
    tree.mkdir()
    names = []
    for module in modules:
        done = subprocess.run(["modprobe", "-d", folder / "deb", "-S", release, "--show-depends", module],
                              check=True, stdout=subprocess.PIPE, text=True)
        for path in re.findall(r"^insmod (\S+)", done.stdout, re.MULTILINE):
            name = Path(path).name.removesuffix(".xz")
            content = subprocess.run(["xz", "-dc", path], check=True, stdout=subprocess.PIPE).stdout \
                if path.endswith(".xz") else Path(path).read_bytes()
            (tree / name).write_bytes(content)
            names += [f"/{name}"] if f"/{name}" not in names else []
    (tree / "modules").write_text("".join(f"{name}\n" for name in names))
    (tree / "init").write_bytes(LINUX_INIT.read_bytes())
    (tree / "init").chmod(0o755)
    out = folder / "initrd"
    with open(out, "wb") as archive:
        files = "\n".join(path.name for path in tree.iterdir()).encode()
        subprocess.run(["cpio", "--quiet", "-o", "-H", "newc"], cwd=tree, input=files, stdout=archive, check=True)
    return out


def linux(extra, modules):
    if modules is None:
        return None, None
    with tempfile.TemporaryDirectory(prefix="disks-", dir=bochs.FOLDER) as folder:
        return run(extra, kernel=LINUX, node_conf=initrd(Path(folder), modules), cmdline=LINUX_CMDLINE, mem_mib=512)


def measure(figures):
    for kind, (extra, modules) in KINDS.items():
        ours = run(extra, kernel=KERNEL, cmdline="panic=poweroff disk-check=reads mitigations=off")
        for name, here, there in zip(("alone", "32 at a time"), ours, linux(extra, modules)):
            figures.add(f"{kind}: read of 4 KiB, {name}", here, "ticks", there)
