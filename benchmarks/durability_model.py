"""A damaged model folder must give a clear error or the right descriptor: no crash, no hang, no wrong descriptor.

    python benchmarks/durability_model.py MODEL [MODEL ...] --image IMAGE [--rounds 2000] [--seed 0] [--json FILE]

MODEL is a folder made by `vpr train` or `vpr export`. Each round flips one to eight random bits of one file, or truncates it, or both; then
the model is opened and describes the image. All rounds of a model run in one process: a crash or a hang ends the run.
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
_TOLERANCE = 1e-5


def damaged(data: bytes, random: np.random.Generator) -> bytes:
    """``data`` with flipped bits, truncated, or both."""
    kind = random.integers(3)
    changed = bytearray(data)
    if kind != 1:
        for at in random.choice(8 * len(data), int(random.integers(1, _MOST_BITS + 1)), replace=False):
            changed[at // 8] ^= 1 << (at % 8)
    if kind != 0:
        del changed[int(random.integers(len(changed))) :]
    return bytes(changed)


def damage_model(model: Path, image: Path, rounds: int, seed: int = 0) -> Counter[str]:
    """Number of rounds by outcome. Valid: ``error`` and ``right``. Faults: ``wrong``, ``sizes`` (the model offers other sizes or another
    identity), ``slow`` (more than 1 s and ten times the intact model's time) and ``exception NAME``."""
    random = np.random.default_rng(seed)
    image_pixels = read_image(image)
    start = time.perf_counter()
    intact = Describer.open(model)
    expected = intact.describe(image_pixels)
    timeout = max(1.0, 10 * (time.perf_counter() - start))
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "model"
        shutil.copytree(model, copy)
        files = sorted(path for path in copy.iterdir() if path.is_file())
        for path in files:
            path.chmod(0o644)
        for _ in range(rounds):
            path = files[int(random.integers(len(files)))]
            content = path.read_bytes()
            path.write_bytes(damaged(content, random))
            outcomes[_outcome(copy, image_pixels, expected, intact, timeout)] += 1
            path.write_bytes(content)
    return outcomes


def _outcome(model: Path, image_pixels: np.ndarray, expected: np.ndarray, intact: Describer, timeout: float) -> str:
    start = time.perf_counter()
    try:
        describer = Describer.open(model)
        descriptor = describer.describe(image_pixels)
    except VprError as error:
        outcome = "error" if str(error) and "\n" not in str(error) else "exception with no clear line"
    except Exception as error:  # a fault that this benchmark looks for
        outcome = f"exception {type(error).__name__}: {str(error)[:80]}"
    else:
        same = descriptor.shape == expected.shape and np.abs(descriptor - expected).max() < _TOLERANCE
        same_identity = (describer.sizes, describer.family, describer.fingerprint) == (
            intact.sizes,
            intact.family,
            intact.fingerprint,
        )
        outcome = "wrong" if not same else "right" if same_identity else "sizes"
    return outcome if time.perf_counter() - start < timeout else "slow"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL")
    parser.add_argument("--image", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="also write the counts here")
    args = parser.parse_args()
    counts = {}
    for model in args.models:
        start = time.perf_counter()
        outcomes = counts[str(model)] = damage_model(model, args.image, args.rounds, args.seed)
        shown = ", ".join(f"{name} {count}" for name, count in outcomes.most_common())
        print(f"{model}: {args.rounds} damaged copies in {time.perf_counter() - start:.0f} s: {shown}", flush=True)
    if args.json:
        args.json.write_text(json.dumps(counts, indent=1) + "\n")
    if any(set(outcomes) - {"error", "right"} for outcomes in counts.values()):
        sys.exit("error: a damaged model gave neither an error nor the right descriptor")


if __name__ == "__main__":
    main()
