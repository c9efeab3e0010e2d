# SPDX-License-Identifier: Apache-2.0
"""Figures 2 and 3: from the node's first instruction to the agent's first accepted report, and from
a "create" that reaches the agent to the guest's first instruction.

A real billetd runs on this machine, so Bochs' clock is kept from running ahead of the real one
(tools/emulator/machine.py, real_time). Waits for the network are in the ticks, and with them
these figures do not repeat exactly.
"""
import json
import os
import re
import shutil
import subprocess
import time

import bochs
import linux

HOST_SEEN_FROM_NODE = "10.0.2.2"
MEM_MIB = 1024
GUEST_MIB = 256
START_S = 30
REPORT_S = 400
VM_S = 600
STOPS_MAX = 400
IDLE_TICKS = 400e6  # longer than clearing all free memory takes


class Controller:
    """billetd and billetctl, with data of their own that goes with them."""

    def __init__(self):
        self.folder = bochs.FOLDER / "billetd"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        with open(self.folder / "billetd.log", "wb") as log:
            self.process = subprocess.Popen(
                [bochs.BUILD / "billetd", "--data", self.folder / "data", "--listen", "127.0.0.1:0",
                 "--name", HOST_SEEN_FROM_NODE, "--report-interval", "2000"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.port = self.wait_port()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.process.kill()
        self.process.wait()

    def wait_port(self):
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            found = re.search(r"listens at \S+ port (\d+)",
                              (self.folder / "billetd.log").read_text(errors="replace"))
            if found:
                return int(found[1])
            time.sleep(0.1)
        self.process.kill()
        raise RuntimeError(f"billetd does not start: see {self.folder / 'billetd.log'}")

    def ctl(self, *args):
        data = self.folder / "data"
        env = {**os.environ, "BILLET_SERVER": f"https://127.0.0.1:{self.port}",
               "BILLET_CA": str(data / "ca.crt"), "XDG_CONFIG_HOME": str(data),
               "BILLET_TOKEN": (data / "admin.token").read_text().strip()}
        done = subprocess.run([bochs.BUILD / "billetctl", *args], env=env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise RuntimeError(f"billetctl {' '.join(args)}: {done.stderr.strip()}")
        return done.stdout

    def node_conf(self):
        token = json.loads(self.ctl("join-token", "create", "bench", "--auto-approve", "--json"))
        conf = self.folder / "node.conf"
        conf.write_text(f"controller = https://{HOST_SEEN_FROM_NODE}:{self.port}\n"
                        f"join_token = {token['secret']}\nhostname = bench\n\n{token['ca']}")
        return conf

    def create_vm(self, name, *options):
        self.ctl("vm", "create", name, "--kernel", "linux", "--initrd", "initrd", "--memory",
                 str(GUEST_MIB), "--cmdline", linux.CMDLINE, *options)


def places():
    kernel, agent = bochs.symbols(bochs.KERNEL_SYMBOLS), bochs.AGENT_SYMBOLS
    return {"entry": kernel["multiboot2_entry"], "vm_create": kernel["vm_create"],
            "vm_start": kernel["vm_start"],
            "document": bochs.symbols(agent, "task_desired.c")["answered"],
            "accepted": bochs.symbols(agent, "task_report.c")["accepted"], "guest": linux.ENTRY_64}


def commands(at):
    lines = [f"pb {at['entry']:#x}", "c", "d 1"]
    lines += [f"lb {address:#x}" for name, address in at.items() if name != "entry"]
    return lines + ["c"] * STOPS_MAX


def last_before(machine, address, tick):
    return max(t for t, a in machine.stops() if a == address and t < tick)


def report_create(figures, machine, at, guest_tick):
    document, create, start = (last_before(machine, at[name], guest_tick)
                               for name in ("document", "vm_create", "vm_start"))
    figures.add("\"create\" reaches the agent → guest's first instruction", guest_tick - document,
                "ticks", 12.8e6, 3e6)
    figures.add("of that: the agent, to the node's creation of the VM", create - document, "ticks")
    figures.add("of that: creation (256 MiB), and the agent again", start - create, "ticks")
    figures.add("of that: start, with the copy of the images", guest_tick - start, "ticks")


def measure(figures):
    at = places()
    with Controller() as controller:
        iso = bochs.FOLDER / "node.iso"
        bochs.machines.make_iso(iso, bochs.KERNEL, node_conf=controller.node_conf())
        with bochs.Watched(iso, commands(at), mem_mib=MEM_MIB, net=[]) as machine:
            entry = machine.wait_stop(lambda _, a: a == at["entry"], START_S)
            accepted = machine.wait_stop(lambda _, a: a == at["accepted"], REPORT_S)
            figures.add("kernel entry → agent's first accepted report", accepted - entry,
                        "ticks", None, 200e6)
            controller.ctl("image", "upload", "linux", str(linux.KERNEL))
            controller.ctl("image", "upload", "initrd", str(linux.INITRD))
            controller.create_vm("absent", "--no-start")
            for _ in range(2):
                machine.wait_serial(r"images: .* verified", VM_S)
            idle_until = machine.stops()[-1][0] + IDLE_TICKS
            machine.wait_stop(lambda tick, _: tick > idle_until, VM_S)
            controller.create_vm("measured")
            guest = machine.wait_stop(lambda tick, a: a == at["guest"] and tick > idle_until, VM_S)
            report_create(figures, machine, at, guest)
