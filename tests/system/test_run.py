#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`make run ONCE=1`, whose every step is a check of its own, and how it ends: in both emulators.

Prints "ok - name" and "not ok - name".
"""
import fcntl
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

ENGINES = "bochs", "qemu"
EMULATOR = os.environ.get("BILLET_EMULATOR", "bochs")
REPO = Path(__file__).resolve().parents[2]
STEPS = ["the controller", "a node", "the node enrols itself", "a Linux guest", "the guest's network",
         "what it used", "every step held"]
LIMIT_S = 600
EXPLAIN_LINES = 60


def start(*args):
    return subprocess.Popen([REPO / "tools/run/run", *args], cwd=REPO, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def holds_every_step():
    run = start("--once", "--machine", EMULATOR)
    text = run.communicate(timeout=LIMIT_S + 60)[0]
    done = [step for i, step in enumerate(STEPS, 1) if re.search(rf"^\[{i}/7\] {step}", text, re.MULTILINE)]
    if run.returncode or len(done) != len(STEPS):
        lines = [line for line in text.splitlines() if not line.startswith("      |")]
        raise AssertionError(f"status {run.returncode} after step {len(done)}:\n" +
                             "\n".join(lines[-EXPLAIN_LINES:]))


def children_of(pid):
    done = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(pid)], stdout=subprocess.PIPE, text=True)
    return {int(line.split()[0]): line for line in done.stdout.splitlines()}


def leaves_nothing_running_when(number):
    run = start("--machine", EMULATOR)
    for line in run.stdout:
        if line.startswith("[3/7]"):
            break
    children = children_of(run.pid)
    if not any("billetd" in line for line in children.values()):
        raise AssertionError(f"no billetd among {children}")
    run.send_signal(number)
    run.send_signal(number)  # make repeats what it gets
    text = run.communicate(timeout=30)[0]
    if run.returncode != 130 or "run: stopping" not in text:
        raise AssertionError(f"status {run.returncode}: {text[-1000:]}")
    time.sleep(0.5)
    left = [line for pid, line in children.items() if Path(f"/proc/{pid}").exists()]
    if left:
        raise AssertionError(f"still there: {left}")


def leaves_nothing_running_when_interrupted():
    leaves_nothing_running_when(signal.SIGINT)


def leaves_nothing_running_when_terminated():
    leaves_nothing_running_when(signal.SIGTERM)


def main():
    failed = 0
    alone = open(REPO / "build/run.lock", "w")  # both engines' runs use build/run
    fcntl.flock(alone, fcntl.LOCK_EX)
    for test in (leaves_nothing_running_when_interrupted, leaves_nothing_running_when_terminated, holds_every_step):
        name = "run: " + test.__name__.replace("_", " ")
        try:
            test()
            print(f"ok - {name}", flush=True)
        except (AssertionError, OSError, subprocess.SubprocessError) as wrong:
            failed += 1
            print(f"not ok - {name}\n# " + str(wrong).replace("\n", "\n# "), flush=True)
    return 1 if failed else 0


sys.exit(main())
