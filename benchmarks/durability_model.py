"""What a damaged model folder does: a clear error or the right descriptor, never a crash, a hang or a wrong one in silence.

    python benchmarks/durability_model.py MODEL [MODEL ...] --image IMAGE [--rounds 2000] [--seed 0] [--json FILE]

MODEL is a folder made by `vpr train` or `vpr export`. In each round one of its files gets one to eight bits flipped, or is cut short,
or both, anywhere at random; the model is opened and describes the image. All rounds of a model run in one process, so a crash
ends the run and a hang is seen.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from vpr_aesvc.describer import Describer
from vpr_aesvc.errors import VprError
from vpr_aesvc.images import read_image

_MOST_BITS = 8
_ALIKE = 1e-5


def damaged(data: bytes, random: np.random.Generator) -> bytes:
    """``data`` with bits flipped, or cut short, or both; never the same."""
    kind = random.integers(3)
    changed = bytearray(data)
    if kind != 1:
        for at in random.choice(8 * len(data), int(random.integers(1, _MOST_BITS + 1)), replace=False):
            changed[at // 8] ^= 1 << (at % 8)
    if kind != 0:
        del changed[int(random.integers(len(changed))) :]
    return bytes(changed)


def damage_model(model: Path, image: Path, rounds: int, seed: int = 0) -> Counter[str]:
    """Counts of what happened: ``error`` and ``right`` are as they should be; ``wrong``, ``sizes`` (a size that the model does not
    have is offered), ``slow`` (more than ten times the undamaged model's time, and a second) and ``exception NAME`` are not."""
    random = np.random.default_rng(seed)
    picture = read_image(image)
    start = time.perf_counter()
    sound = Describer.open(model)
    expected = sound.describe(picture)
    patience = max(1.0, 10 * (time.perf_counter() - start))
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "model"
        shutil.copytree(model, copy)
        files = sorted(path for path in copy.iterdir() if path.is_file())
        for path in files:
            path.chmod(0o644)
        for _ in range(rounds):
            path = files[int(random.integers(len(files)))]
            whole = path.read_bytes()
            path.write_bytes(damaged(whole, random))
            found[_outcome(copy, picture, expected, sound, patience)] += 1
            path.write_bytes(whole)
    return found


def _outcome(model: Path, picture: np.ndarray, expected: np.ndarray, sound: Describer, patience: float) -> str:
    start = time.perf_counter()
    try:
        describer = Describer.open(model)
        descriptor = describer.describe(picture)
    except VprError as error:
        outcome = "error" if str(error) and "\n" not in str(error) else "exception with no clear line"
    except Exception as error:  # what must not happen is what this looks for
        outcome = f"exception {type(error).__name__}: {str(error)[:80]}"
    else:
        same = descriptor.shape == expected.shape and np.abs(descriptor - expected).max() < _ALIKE
        described_alike = (describer.sizes, describer.family, describer.fingerprint) == (
            sound.sizes,
            sound.family,
            sound.fingerprint,
        )
        outcome = "wrong" if not same else "right" if described_alike else "sizes"
    return outcome if time.perf_counter() - start < patience else "slow"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL")
    parser.add_argument("--image", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="also write the counts here")
    words = parser.parse_args()
    counts = {}
    for model in words.models:
        start = time.perf_counter()
        found = counts[str(model)] = damage_model(model, words.image, words.rounds, words.seed)
        shown = ", ".join(f"{name} {count}" for name, count in found.most_common())
        print(f"{model}: {words.rounds} damaged copies in {time.perf_counter() - start:.0f} s: {shown}", flush=True)
    if words.json:
        words.json.write_text(json.dumps(counts, indent=1) + "\n")
    if any(set(found) - {"error", "right"} for found in counts.values()):
        sys.exit("error: a damaged model did something else than refuse or be right")


if __name__ == "__main__":
    main()
