"""Damaged inputs for all readers in worker processes: what was found, and how to see it again."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fuzz.readers import Reader

SECONDS, BYTES = 10.0, 1 << 30
"""What one input may take, at most."""
HANG = "no answer after"
_START_SECONDS = 120.0  # of a worker, on a busy machine
_FULL = 700 << 20  # a worker that holds so many bytes between inputs is replaced


@dataclass
class Tally:
    """Of one reader. ``slowest`` and ``largest``: (seconds or bytes, seed)."""

    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: tuple[float, int] = (0.0, 0)
    largest: tuple[int, int] = (0, 0)
    seconds: float = 0.0

    @property
    def inputs(self) -> int:
        return self.outcomes.total()


@dataclass(frozen=True)
class Finding:
    reader: str
    seed: int
    words: str

    def __str__(self) -> str:
        return f"{self.reader}, seed {self.seed}: {self.words}\n  again: python -m tests.fuzz --reader '{self.reader}' --seed {self.seed} --count 1"


class Worker:
    """A process that reads inputs. ``limit``: seconds for one input."""

    def __init__(self, limit: float, broken: bool = False) -> None:
        self.limit, self._broken = limit, broken
        self._process: subprocess.Popen[str] | None = None

    def run(self, reader: str, first: int, count: int) -> list[dict[str, Any]]:
        """The result of each input, in order. A crash, a hang or too much memory ends the list with a finding."""
        results: list[dict[str, Any]] = []
        if self._process is None:
            self._start()
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(json.dumps({"reader": reader, "first": first, "count": count}) + "\n")
        self._process.stdin.flush()
        seed, since, is_reading = first, time.monotonic(), False
        while True:
            try:
                line = self._lines.get(timeout=0.05)
            except queue.Empty:
                waited = time.monotonic() - since
                words = ""
                if self._bytes() > _FULL + 2 * BYTES:
                    words = f"more than {2 * BYTES / 2**30:.0f} GB of memory"
                elif waited > (self.limit if is_reading else _START_SECONDS):
                    words = f"{HANG} {waited:.0f} s"
                if words:
                    self.close()
                    results.append({"seed": seed, "outcome": "finding", "words": words, "seconds": waited, "bytes": 0})
                    return results
                continue
            since = time.monotonic()
            if line is None:
                code = self._process.wait()
                self.close()
                words = f"the process ended with code {code}"
                results.append({"seed": seed, "outcome": "finding", "words": words, "seconds": 0.0, "bytes": 0})
                return results
            result = json.loads(line)
            if "done" in result:
                if self._bytes() > _FULL:
                    self.close()
                return results
            seed, is_reading = result["seed"], "outcome" not in result
            if not is_reading:
                seed += 1
                results.append(result)

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self._folder.cleanup()

    def _start(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="fuzz_", ignore_cleanup_errors=True)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.worker", self._folder.name, *(["broken"] if self._broken else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=Path(__file__).resolve().parents[2],
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        self._lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=_forward, args=(self._process, self._lines), daemon=True).start()

    def _bytes(self) -> int:
        try:
            assert self._process is not None
            return int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError):
            return 0


def _forward(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line)
    lines.put(None)


class Campaign:
    """Rounds over all readers, each with its share of inputs, until there were enough or the time is over.

    Args:
        inputs: in all; None for as many as the time allows.
        seconds: in all; None for as long as the inputs take.
    """

    def __init__(
        self,
        readers: list[Reader],
        inputs: int | None,
        seconds: float | None,
        first: int = 0,
        workers: int = 1,
        limit: float = SECONDS,
        broken: bool = False,
    ) -> None:
        self.tallies = {reader.name: Tally() for reader in readers}
        self.findings: list[Finding] = []
        self._readers, self._inputs, self._limit, self._broken = readers, inputs, limit, broken
        self._ends = None if seconds is None else time.monotonic() + seconds
        self._next = {reader.name: first for reader in readers}
        self._given, self._turn = 0, 0
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._work) for _ in range(workers)]

    def run(self) -> None:
        for thread in self._threads:
            thread.start()
        for thread in self._threads:
            thread.join()

    def _job(self) -> tuple[str, int, int] | None:
        with self._lock:
            reader = self._readers[self._turn % len(self._readers)]
            is_over = self._ends is not None and time.monotonic() > self._ends
            count = reader.share if self._inputs is None else min(reader.share, self._inputs - self._given)
            if is_over or count <= 0:
                return None
            first = self._next[reader.name]
            self._next[reader.name] += count
            self._given += count
            self._turn += 1
            return reader.name, first, count

    def _work(self) -> None:
        worker = Worker(self._limit, self._broken)
        try:
            while (job := self._job()) is not None:
                name, first, count = job
                while count:
                    results = worker.run(name, first, count)
                    if (
                        HANG in results[-1]["words"]
                    ):  # a busy machine may have been slow: once more, alone in a new process
                        results[-1:] = worker.run(name, results[-1]["seed"], 1)
                    for result in results:
                        self._note(name, result)
                    count -= len(results)
                    first += len(results)
        finally:
            worker.close()

    def _note(self, name: str, result: dict[str, Any]) -> None:
        seed = result["seed"]
        if result["outcome"] != "finding" and result["bytes"] > BYTES:
            result |= {"outcome": "finding", "words": f"{result['bytes'] / 2**30:.2f} GB of memory"}
        with self._lock:
            tally = self.tallies[name]
            tally.outcomes[result["outcome"]] += 1
            tally.seconds += result["seconds"]
            tally.slowest = max(tally.slowest, (result["seconds"], seed))
            tally.largest = max(tally.largest, (result["bytes"], seed))
            if result["outcome"] == "finding":
                self.findings.append(Finding(name, seed, result["words"]))

    def table(self) -> str:
        lines = [
            f"{'reader':18} {'inputs':>7} {'right':>7} {'refused':>7} {'found':>6} {'slowest s':>10} {'largest MB':>11} {'ms each':>8}"
        ]
        for name, tally in self.tallies.items():
            each = 1000 * tally.seconds / max(1, tally.inputs)
            lines.append(
                f"{name:18} {tally.inputs:7} {tally.outcomes['right']:7} {tally.outcomes['refused']:7} {tally.outcomes['finding']:6} "
                f"{tally.slowest[0]:10.2f} {tally.largest[0] / 1e6:11.0f} {each:8.1f}"
            )
        lines.append(f"{'all':18} {sum(tally.inputs for tally in self.tallies.values()):7}")
        return "\n".join(lines)
