"""A map with flipped bits or truncated must give a clear error or the right answer: no crash, no hang, no wrong answer.

    python benchmarks/damage.py [--trials 2000] [--json FILE]

Each trial copies a small map with thumbnails, poses and traverses, damages the copy, and makes every call a robot makes, in another
process, which detects crashes and hangs. ``benchmarks/durability.py`` runs this too.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.placemap.info import map_info
from vpr_aesvc.placemap.repair import check_map
from vpr_aesvc.types import Frame, Pose

DIM, PLACES = 32, 60
SECONDS = 20  # a longer trial is a hang
META = {
    "dim": str(DIM),
    "sizes": json.dumps([8, 16, DIM]),
    "model_fingerprint": "0123456789abcdef",
    "model_family": "0123456789abcdef",
    "model_precision": "fp32",
    "model_path": "/a/model",
}


def descriptor_of(place: int, dim: int = DIM) -> np.ndarray:
    """float32 [dim], unit norm: the descriptor of place number ``place``, the same in every process."""
    vector = np.random.default_rng(place).standard_normal(dim).astype(np.float32)
    return vector / np.linalg.norm(vector)


def make_map(path: Path) -> None:
    """Sixty places in three traverses, half of them with a thumbnail."""
    images = np.random.default_rng(0).integers(0, 256, (PLACES, 12, 16, 3), np.uint8)
    with PlaceMap.create_like(path, META) as place_map:
        place_map.start_traverse("drive-0", 1.7e9, "robot", "sunny, with a comma")
        for at in range(0, PLACES, 5):
            part = range(at, at + 5)
            place_map.add(
                [
                    Frame(f"{i}.jpg", Path(f"/a/{i}.jpg"), None, 1e9 + i, Pose(i, 2, 3), f"drive-{i // 20}", index=i)
                    for i in part
                ],
                np.stack([descriptor_of(i) for i in part]),
                [images[i] if i % 2 else None for i in part],
            )


def answers(path: Path) -> dict[str, object]:
    """The result of every call that a robot makes, or its VprError, by name."""
    results: dict[str, object] = {}

    def call(name: str, function) -> None:  # type: ignore[no-untyped-def]
        try:
            results[name] = function()
        except VprError as error:
            results[name] = error

    try:
        with PlaceMap.open(path) as place_map:
            call("places", lambda: repr(place_map.places()))
            call("some", lambda: repr(place_map.places([3, 44])))
            call("descriptors", lambda: [array.tobytes() for array in place_map.descriptors()])
            call("traverses", lambda: repr(place_map.traverses()))
            call("length", lambda: len(place_map))
            call("meta", lambda: place_map.meta)
            call("info", lambda: repr(map_info(place_map).traverses))
            queries = np.stack([descriptor_of(i) for i in range(0, PLACES, 7)])
            for size in (16, DIM):
                call(
                    f"search {size}",
                    lambda size=size: [
                        [(match.place, round(match.similarity, 4)) for match in matches]
                        for matches in place_map.search(queries, 3, size)
                    ],
                )
            call("thumbnails", lambda: [place_map.thumbnail_jpeg(i + 1) for i in range(PLACES)])
    except VprError as error:
        results["open"] = error
    return results


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """One to eight flipped bits, or, in one of five cases, a truncation."""
    if rng.random() < 0.2:
        return content[: int(rng.integers(len(content)))]
    changed = bytearray(content)
    for _ in range(int(rng.integers(1, 9)) if rng.random() < 0.3 else 1):
        changed[int(rng.integers(len(changed)))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def verdict(expected: dict[str, object], results: dict[str, object]) -> str:
    """``right``, ``error``, or ``WRONG`` with the calls that gave a wrong answer without an error."""
    wrong = [name for name, answer in results.items() if not isinstance(answer, VprError) and answer != expected[name]]
    if wrong:
        return f"WRONG: {', '.join(wrong)}"
    return "error" if any(isinstance(answer, VprError) for answer in results.values()) else "right"


def _trials(original: Path, seeds: list[int], pipe) -> None:  # type: ignore[no-untyped-def]
    expected, content = answers(original), original.read_bytes()
    copy = original.with_name(f"copy-{seeds[0]}.vprmap")
    for seed in seeds:
        for suffix in ("", "-wal", "-shm"):
            copy.with_name(copy.name + suffix).unlink(missing_ok=True)
        copy.write_bytes(damaged(content, np.random.default_rng(seed)))
        pipe.send((seed, None))
        outcome = verdict(expected, answers(copy))
        if outcome == "right":  # the damage was in unused bytes, or the check must find it
            try:
                problems = check_map(copy).problems
            except VprError as error:
                problems = [str(error)]
            outcome = "right, check finds it" if problems else "right, check clean"
        pipe.send((seed, outcome))
    pipe.send((-1, None))


def run_trials(original: Path, seeds: list[int]) -> Iterator[tuple[int, str]]:
    """(seed, verdict) of each trial. A process that crashes or hangs is a verdict too; a new process continues after it."""
    context = multiprocessing.get_context("spawn")
    remaining = list(seeds)
    while remaining:
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_trials, args=(original, remaining, sender), daemon=True)
        process.start()
        sender.close()
        current, failure = remaining[0], None
        try:
            while True:
                if not receiver.poll(SECONDS + (10 if current == remaining[0] else 0)):
                    failure = "HANG"
                    break
                seed, outcome = receiver.recv()
                if seed == -1:
                    return
                current = seed
                if outcome is not None:
                    yield seed, outcome
        except EOFError:
            failure = "CRASH"
        process.kill()
        process.join()
        yield current, str(failure)
        remaining = remaining[remaining.index(current) + 1 :]


def measure(trials: int, first_seed: int = 0) -> dict[str, int]:
    """Number of trials by verdict."""
    with tempfile.TemporaryDirectory() as folder:
        original = Path(folder) / "original.vprmap"
        make_map(original)
        return dict(
            Counter(outcome for _, outcome in run_trials(original, list(range(first_seed, first_seed + trials))))
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    counts = measure(args.trials)
    for name, count in sorted(counts.items(), key=lambda item: -item[1]):
        print(f"{count:6d}  {name}")
    if args.json:
        args.json.write_text(json.dumps(counts, indent=1) + "\n")


if __name__ == "__main__":
    main()
