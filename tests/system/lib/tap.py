# SPDX-License-Identifier: Apache-2.0
"""Runs a file's tests and prints "ok - name", "not ok - name" or "skip - name # why" for each.

A test may mean something on one engine only, as @tap.test(on="bochs", why="it is about VT-x"); on the
other it is not run, and "none - name # why" says so.
"""
import os
import re
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tools/emulator"))
from machine import MachineError  # noqa: E402

TESTS = []


class Skip(Exception):
    pass


def test(function=None, on=None, why=None):
    if function is None:
        return lambda f: test(f, on, why)
    function.on, function.why = on, why
    TESTS.append(function)
    return function


def note(*lines):
    for line in lines:
        print("".join(f"# {part}\n" for part in str(line).splitlines()), end="", flush=True)


def judge(name, function):
    """True unless it failed."""
    began = time.monotonic()
    try:
        function()
    except Skip as why:
        print(f"skip - {name} # {why}", flush=True)
    except Exception as wrong:  # a test that breaks is a test that failed
        print(f"not ok - {name}", flush=True)
        note(wrong if isinstance(wrong, (AssertionError, MachineError)) else traceback.format_exc())
        return False
    else:
        print(f"ok - {name}", flush=True)
        note(f"{time.monotonic() - began:.1f} s")
    return True


def run(prefix, function, *args):
    """True unless it failed."""
    name = f"{prefix}: {function.__name__.replace('_', ' ')}"
    if function.on not in (None, os.environ.get("BILLET_EMULATOR", "bochs")):
        print(f"none - {name} # {function.why}", flush=True)
        return True
    return judge(name, lambda: function(*args))


def chosen(name):
    return re.search(sys.argv[1] if len(sys.argv) > 1 else "", name)


def main(prefix, *args):
    """All tests that were marked, in order; a regular expression on the command line chooses some."""
    results = [run(prefix, function, *args) for function in TESTS if chosen(function.__name__.replace("_", " "))]
    return 0 if all(results) and results else 1


def cases(rows):
    """The same for tests that come in rows of (name, function): one for each of many machines, cards or ways."""
    results = [judge(name, function) for name, function in rows if chosen(name)]
    return 0 if all(results) and results else 1
