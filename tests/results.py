# SPDX-License-Identifier: Apache-2.0
"""What every kind of test ends with: one summary line, and the same counts in a file.

build/results/KIND.txt holds "passed failed skipped"; `make test` sums those files. What failed, and
why, is in build/results/KIND.failed, which `results.py failed` prints: of a log of thousands of lines
people see the end. What was run on a node is also kept by engine, in build/results/engines-KIND.tsv;
`results.py engines` makes one table of those files, prints it, and leaves it in
build/results/engines.tsv.
"""
import os
import sys
from pathlib import Path

ENGINES = {"bochs": "VT-x (Bochs)", "qemu": "AMD-V (QEMU)", "bochs-amd": "AMD-V (Bochs)"}
WHOLE_NODES = "bochs", "qemu"  # those that can do what whole nodes with Linux guests want
NONE = "\N{EN DASH}"  # the test means nothing on this engine
WHY_HEAD, WHY_TAIL = 8, 16  # lines of an explanation that are kept: what was expected, and the end of a log


def folder():
    path = Path(os.environ.get("BILLET_RESULTS", "build/results"))
    path.mkdir(parents=True, exist_ok=True)
    return path


class Counts:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.failures = []  # (test, lines that say why)

    def add(self, passed, failed, skipped=0):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped

    def explain(self, test, why):
        """Why a test, counted by add(), has failed: lines, without their marks."""
        lines = [line for line in why if line.strip()]
        left_out = len(lines) - WHY_HEAD - WHY_TAIL
        if left_out > 1:
            lines[WHY_HEAD:-WHY_TAIL] = [f"[{left_out} lines left out]"]
        self.failures.append((test, lines))

    def write(self, kind):
        (folder() / f"{kind}.txt").write_text(f"{self.passed} {self.failed} {self.skipped}\n")
        (folder() / f"{kind}.failed").write_text("".join(
            f"not ok - {kind}: {test}\n" + "".join(f"    {line}\n" for line in lines)
            for test, lines in self.failures))

    def finish(self, kind):
        """Print and write the counts; returns the exit status."""
        self.write(kind)
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped", flush=True)
        return 1 if self.failed or self.passed == 0 else 0


class Engines:
    """What each test came to on each engine."""

    def __init__(self):
        self.rows = {}  # test: {engine: (verdict, why)}

    def put(self, test, engine, verdict, why=""):
        self.rows.setdefault(test, {})[engine] = verdict, why

    def write(self, kind):
        lines = ["\t".join(["test", *ENGINES, "why"])]
        for test, by in self.rows.items():
            whys = dict.fromkeys(why for _, why in by.values() if why)
            lines.append("\t".join([test, *(by.get(e, (NONE, ""))[0] for e in ENGINES), "; ".join(whys)]))
        (folder() / f"{kind}.tsv").write_text("".join(line + "\n" for line in lines))

    def read(self, path):
        for line in path.read_text().splitlines()[1:]:
            test, *verdicts, why = line.split("\t")
            for engine, verdict in zip(ENGINES, verdicts):
                self.put(test, engine, verdict, why)

    def print(self):
        """The table; below it, once each, why something was left out."""
        width = max(len(test) for test in self.rows)
        cells = max(len(verdict) for by in self.rows.values() for verdict, _ in by.values())
        cells = max(cells, *map(len, ENGINES.values())) + 2
        print(f"{'':{width}}  " + "".join(f"{name:{cells}}" for name in ENGINES.values()).rstrip())
        reasons = {}
        for test, by in self.rows.items():
            line = "".join(f"{by.get(e, (NONE, ''))[0]:{cells}}" for e in ENGINES)
            why = next((why for _, why in by.values() if why), "")
            mark = f"[{reasons.setdefault(why, len(reasons) + 1)}]" if why else ""
            print(f"{test:{width}}  {line}{mark}".rstrip())
        for why, number in reasons.items():
            print(f"[{number}] {why}")


def print_engines():
    table = Engines()
    for path in sorted(folder().glob("engines-*.tsv")):
        table.read(path)
    if table.rows:
        table.write("engines")
        table.print()


def print_failed():
    for path in sorted(folder().glob("*.failed")):
        print(path.read_text(), end="")


if __name__ == "__main__":
    what = {"engines": print_engines, "failed": print_failed}.get(" ".join(sys.argv[1:]))
    if not what:
        sys.exit("usage: results.py engines|failed")
    what()
