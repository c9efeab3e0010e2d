# SPDX-License-Identifier: Apache-2.0
"""The Linux beside which disks and network cards are measured: the same kernel for every device,
Debian's generic one, with that device's modules alone and one static program (linux/make-peer)."""
import bochs

FOLDER = bochs.FOLDER / "peer"
KERNEL = FOLDER / "vmlinuz"
CMDLINE = "console=ttyS0 quiet panic=-1 mitigations=off cryptomgr.notests=1"
TIMEOUT_S = 300  # for its boot and a figure: ten to forty seconds


def archive(name, data):
    """One file, as an archive that the kernel unpacks over those before it."""
    def entry(path, mode, content):
        fields = (0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path) + 1, 0)
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + path + b"\0"
        return head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4)
    return entry(name, 0o100755, data) + entry(b"TRAILER!!!", 0, b"")


def initrd(device, init, out):
    """The device's modules, and init; each archive begins at a multiple of 512 bytes."""
    modules = (FOLDER / f"{device}.cpio").read_bytes()
    out.write_bytes(modules + bytes(-len(modules) % 512) + archive(b"init", init.read_bytes()))
    return out
