"""Reads damaged inputs, one after another, and says what came of each. Whoever started it restarts it after a crash or a hang.

python -m tests.fuzz.worker FOLDER   # jobs as JSON lines on standard input, results as JSON lines on standard output
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import time
import traceback
import warnings
from pathlib import Path
from random import Random

from tests.fuzz import seeds
from tests.fuzz.checks import Wrong
from tests.fuzz.damage import damaged, damaged_name
from tests.fuzz.readers import READERS, Reader
from vpr_aesvc.errors import VprError

Files = dict[str, bytes]
OTHERS = (
    *(seeds.coded(9, suffix) for suffix in (".jpg", ".png", ".bmp", ".tif", ".webp", ".ppm")),
    *(
        seeds.trajectory().encode(),
        seeds.KITTI_TEXT.encode(),
        b"path,split\na.png,database\n",
        b"{}",
        b"[]",
        b"null",
        b"\0" * 4096,
        b"",
        b"\n",
    ),
)


def prepare(reader: Reader, seed: int, folder: Path, kept: dict[str, dict[str, Files]]) -> str:
    """Writes the input of a seed into an empty folder; returns the variant."""
    contents = kept.setdefault(reader.name, {}) or kept[reader.name]
    if not contents:
        contents.update({name: _contents(write, folder) for name, write in reader.valid.items()})
    random = Random(f"{reader.name} {seed}")
    variant = random.choice(sorted(contents))
    files = dict(contents[variant])
    if reader.damage is not None:
        if reader.name != "bag messages":
            _write(files, folder)
        reader.damage(folder, random, variant)
        return variant
    others = [*OTHERS, *(content for one in contents.values() for content in one.values())]
    for _ in range(random.choice((1, 1, 1, 2))):
        name = _choice([name for name in files if name.split("/")[0] != reader.intact], random)
        what = random.random()
        if what < 0.05:
            files[damaged_name_of(name, random)] = files.pop(name)
        elif what < 0.08:
            _replace(folder / name, random)
            del files[name]
        else:
            files[name] = damaged(files[name], random, others)
        if all(name.split("/")[0] == reader.intact for name in files):
            break
    _write(files, folder)
    return variant


def damaged_name_of(name: str, random: Random) -> str:
    above, _, last = name.rpartition("/")
    return f"{above}/{damaged_name(last, random)}".lstrip("/")


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


def _contents(write, folder: Path) -> Files:  # type: ignore[no-untyped-def]
    write(folder)
    files = {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    empty(folder)
    return files


def _write(files: Files, folder: Path) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_dir():
            path.write_bytes(content)


def empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


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
    with open("/proc/self/clear_refs", "w") as file:  # noqa: PTH123
        file.write("5")


def main() -> None:
    folder = Path(sys.argv[1])
    names = {reader.name: reader for reader in READERS}
    if len(sys.argv) > 2:
        from tests.fuzz.broken import BROKEN

        names |= {name: reader for name, (_, reader) in BROKEN.items()}
    warnings.simplefilter("ignore")
    results, sys.stdout = os.fdopen(os.dup(1), "w", buffering=1), sys.stderr
    os.dup2(2, 1)
    kept: dict[str, dict[str, Files]] = {}
    for line in sys.stdin:
        job = json.loads(line)
        reader = names[job["reader"]]
        for seed in range(job["first"], job["first"] + job["count"]):
            empty(folder)
            try:
                prepare(reader, seed, folder, kept)
            except Exception as error:
                results.write(
                    json.dumps(
                        {
                            "seed": seed,
                            "outcome": "finding",
                            "words": f"the fuzzer itself: {_in_one_line(error)}",
                            "seconds": 0.0,
                            "bytes": 0,
                        }
                    )
                    + "\n"
                )
                continue
            _forget_peak()
            before, start = _memory("VmRSS"), time.perf_counter()
            results.write(f'{{"seed": {seed}}}\n')
            outcome, words = outcome_of(reader, folder)
            seconds, grown = time.perf_counter() - start, _memory("VmHWM") - before
            result = {"seed": seed, "outcome": outcome, "words": words, "seconds": seconds, "bytes": grown}
            results.write(json.dumps(result) + "\n")
        results.write('{"done": true}\n')


if __name__ == "__main__":
    main()
