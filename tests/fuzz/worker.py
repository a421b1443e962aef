"""Reads damaged inputs, one after another, and says what came of each.

    python -m tests.fuzz.worker FOLDER

Jobs come as JSON lines on standard input, results go as JSON lines to standard output. Whoever started the worker restarts it after a
crash or a hang.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz import seeds
from tests.fuzz.checks import Wrong
from tests.fuzz.damage import damaged, damaged_name
from tests.fuzz.readers import READERS, Reader
from vpr_aesvc.errors import VprError

Files = dict[str, bytes]
_SUFFIXES = (".jpg", ".png", ".bmp", ".tif", ".webp", ".ppm")
_TEXTS = (
    seeds.trajectory().encode(),
    seeds.KITTI_TEXT.encode(),
    b"path,split\na.png,database\n",
    b"{}",
    b"[]",
    b"null",
)
_OTHERS = (*(seeds.coded(9, suffix) for suffix in _SUFFIXES), *_TEXTS, b"\0" * 4096, b"", b"\n")


class Inputs:
    """Writes the input of a reader and a seed into ``folder``, which is emptied before."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._valid: dict[str, dict[str, Files]] = {}  # by reader and variant

    def write(self, reader: Reader, seed: int) -> str:
        """Returns the variant of the valid input that was damaged."""
        if reader.name not in self._valid:
            self._valid[reader.name] = {variant: self._files(write) for variant, write in reader.valid.items()}
        seeds.empty(self.folder)
        valid = self._valid[reader.name]
        random = Random(f"{reader.name} {seed}")
        variant = random.choice(sorted(valid))
        if reader.damage is not None:
            _write(valid[variant], self.folder)
            reader.damage(self.folder, random, variant)
            return variant
        others = [*_OTHERS, *(content for files in valid.values() for content in files.values())]
        files = dict(valid[variant])
        for _ in range(random.choice((1, 1, 1, 2))):
            names = [name for name in files if name.split("/")[0] != reader.intact]
            if names:
                self._damage(files, _choice(names, random), random, others)
        _write(files, self.folder)
        return variant

    def _damage(self, files: Files, name: str, random: Random, others: list[bytes]) -> None:
        what = random.random()
        if what < 0.05:
            above, _, last = name.rpartition("/")
            files[f"{above}/{damaged_name(last, random)}".lstrip("/")] = files.pop(name)
        elif what < 0.08:
            _replace(self.folder / name, random)
            del files[name]
        else:
            files[name] = damaged(files[name], random, others)

    def _files(self, write: seeds.Write) -> Files:
        seeds.empty(self.folder)
        write(self.folder)
        paths = [path for path in sorted(self.folder.rglob("*")) if path.is_file()]
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in paths}


def _choice(names: list[str], random: Random) -> str:
    """What describes an input is damaged as often as what it describes."""
    described = [name for name in names if re.search(r"\.(txt|csv|json|yaml)$", name)]
    return random.choice(described if described and random.random() < 0.5 else names)


def _replace(path: Path, random: Random) -> None:
    """Something else in the place of a file: nothing, a folder, a link to nothing or a circle."""
    path.parent.mkdir(parents=True, exist_ok=True)
    what = random.randrange(4)
    if what == 1:
        path.mkdir()
    elif what == 2:
        path.symlink_to("nothing")
    elif what == 3:
        path.symlink_to(path.name)


def _write(files: Files, folder: Path) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_dir():
            path.write_bytes(content)


def outcome_of(reader: Reader, folder: Path) -> tuple[str, str]:
    """``right`` or ``refused``, or ``finding``; and the message or the traceback."""
    try:
        reader.read(folder)
    except VprError as error:
        message = str(error)
        if not message.strip() or "\n" in message:
            return "finding", f"not one line: {message!r}"
        return "refused", message
    except Wrong as error:
        return "finding", f"wrong result: {error}"
    except Exception as error:
        return "finding", _in_one_line(error)
    return "right", ""


def _in_one_line(error: Exception) -> str:
    """Type, message and the last calls, the innermost first."""
    calls = traceback.extract_tb(error.__traceback__)[:-8:-1]
    where = ", ".join(f"{Path(call.filename).name}:{call.lineno} {call.name}" for call in calls)
    return f"{type(error).__name__}: {str(error)[:200]!r} at {where}"


def _memory(name: str) -> int:
    """Bytes of this process now (``VmRSS``) or at most since ``_forget_peak`` (``VmHWM``)."""
    with open("/proc/self/status") as file:  # noqa: PTH123
        return next(int(line.split()[1]) for line in file if line.startswith(name)) * 1024


def _forget_peak() -> None:
    with suppress(OSError), open("/proc/self/clear_refs", "w") as file:  # noqa: PTH123
        file.write("5")


def result_of(reader: Reader, seed: int, inputs: Inputs) -> Iterator[dict[str, Any]]:
    """The start of an input, and its result."""
    result = {"seed": seed, "outcome": "finding", "words": "", "seconds": 0.0, "bytes": 0}
    try:
        inputs.write(reader, seed)
    except Exception as error:
        yield {**result, "words": f"the fuzzer itself: {_in_one_line(error)}"}
        return
    _forget_peak()
    before, start = _memory("VmRSS"), time.perf_counter()
    yield {"seed": seed}
    outcome, words = outcome_of(reader, inputs.folder)
    seconds, grown = time.perf_counter() - start, _memory("VmHWM") - before
    yield {**result, "outcome": outcome, "words": words, "seconds": seconds, "bytes": grown}


def main() -> None:
    readers = {reader.name: reader for reader in READERS}
    if len(sys.argv) > 2:
        from tests.fuzz.broken import BROKEN

        readers |= {name: reader for name, (_, reader) in BROKEN.items()}
    warnings.simplefilter("ignore")
    results, sys.stdout = os.fdopen(os.dup(1), "w", buffering=1), sys.stderr
    os.dup2(2, 1)  # what a library prints is no result
    inputs = Inputs(Path(sys.argv[1]))
    for line in sys.stdin:
        job = json.loads(line)
        for seed in range(job["first"], job["first"] + job["count"]):
            for result in result_of(readers[job["reader"]], seed, inputs):
                results.write(json.dumps(result) + "\n")
        results.write('{"done": true}\n')


if __name__ == "__main__":
    main()
