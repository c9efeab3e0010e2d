# SPDX-License-Identifier: Apache-2.0
"""What every kind of test ends with: one summary line, and the same counts in a file.

build/results/KIND.txt holds "passed failed skipped"; `make test` sums those files.
"""
import os
from pathlib import Path


class Counts:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def add(self, passed, failed, skipped=0):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped

    def finish(self, kind):
        """Print and write the counts; returns the exit status."""
        folder = Path(os.environ.get("BILLET_RESULTS", "build/results"))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{kind}.txt").write_text(f"{self.passed} {self.failed} {self.skipped}\n")
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped", flush=True)
        return 1 if self.failed or self.passed == 0 else 0
