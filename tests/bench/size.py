# SPDX-License-Identifier: Apache-2.0
"""Figure 5: what it takes of a machine, and of a reader."""
import re
import subprocess

import bochs
import exits

LAYERS = ["boot", "kernel", "kernel/lib", "drivers", "storage", "net", "vmm", "vmm/dev", "vmm/vmx",
          "vmm/svm", "agent", "agent/port", "agent/protocol", "tests", "tools", "tools/controller",
          "tools/cli"]
HASH_COMMENTS = (".py", ".mk", "Makefile")
C_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
IGNORED = ("tests/fuzz/corpus/", "docs/", ".")


def code_lines(path):
    try:
        text = (bochs.REPO / path).read_text()
    except (UnicodeDecodeError, FileNotFoundError):
        return 0
    if path.endswith((".c", ".h", ".S", ".lds", ".asl")):
        text, hashes = C_COMMENT.sub("", text), False
    else:
        hashes = path.endswith(HASH_COMMENTS) or text.startswith("#!")
    return sum(1 for line in text.splitlines()
               if line.strip() and not (hashes and line.lstrip().startswith("#")))


def measure_lines(figures):
    files = subprocess.run(["git", "-c", "safe.directory=*", "ls-files"], cwd=bochs.REPO,
                           check=True, stdout=subprocess.PIPE, text=True)
    lines = dict.fromkeys(LAYERS, 0)
    for path in files.stdout.splitlines():
        if path.startswith(IGNORED):
            continue
        layers = [layer for layer in LAYERS if path.startswith(layer + "/")]
        if layers:
            lines[max(layers, key=len)] += code_lines(path)
    for layer, nr in lines.items():
        if nr:
            figures.add(f"lines of code: {layer}/", nr, "lines")


def measure_vm_memory(figures):
    text = exits.run([exits.guest("memory", "guest memory pvh mem=8 -- mib=8")])
    found = re.search(r"guest: debug: \"memory\": (\d+) KiB beyond its memory", text)
    figures.add("memory per VM beyond its RAM, 1 vCPU", int(found[1]) if found else None, "KiB",
                None, 512)


def measure(figures):
    for name, file in (("billet.elf with the agent in it", bochs.KERNEL),
                       ("billet.iso, with GRUB", bochs.BUILD / "billet.iso")):
        figures.add(name, file.stat().st_size // 1024, "KiB", None, 4096)
    measure_vm_memory(figures)
    measure_lines(figures)
