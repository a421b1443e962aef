"""Is a map lost when its writer is killed, the disk is full or bits flip? And how long does a durable write take?

    python benchmarks/durability.py [--kills 300] [--trials 2000] [--json FILE]

The same run measures the usual baseline: the FAISS index (``faiss.write_index``) and a JSON file of labels, both written again after
every place. A kill is not a power cut: that an acknowledged transaction is on disk relies on SQLite's ``synchronous = FULL``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import damage
from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.placemap.repair import check_map
from vpr_aesvc.types import Frame, Pose

DIM = 256
META = {**damage.META, "dim": str(DIM), "sizes": json.dumps([64, DIM])}


def add_one(place_map: PlaceMap, number: int) -> None:
    """Adds place ``number``; every process computes the same descriptor for it."""
    frame = Frame(f"{number}", stamp=1e9 + number, pose=Pose(number, 0))
    place_map.add([frame], damage.descriptor_of(number, DIM)[None])


def write_forever(path: Path) -> None:
    """The writer that is killed: adds one place after another and prints the number of each that is on disk."""
    with PlaceMap.open(path) if path.exists() else PlaceMap.create_like(path, META) as place_map:
        for number in range(len(place_map), 1_000_000):
            add_one(place_map, number)
            print(number, flush=True)


def baseline_forever(path: Path) -> None:
    """The baseline: writes the whole index and all labels after each place."""
    import faiss

    labels = path.with_suffix(".json")
    index = faiss.read_index(str(path)) if path.exists() else faiss.IndexFlatIP(DIM)
    for number in range(index.ntotal, 1_000_000):
        index.add(damage.descriptor_of(number, DIM)[None])
        faiss.write_index(index, str(path))
        labels.write_text(json.dumps(list(range(number + 1))))
        print(number, flush=True)


def kill_while_writing(kind: str, path: Path, seconds: float) -> int:
    """Starts the writer and kills it ``seconds`` after its first place. Returns the last acknowledged place, -1 for none."""
    child = subprocess.Popen(
        [sys.executable, __file__, kind, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout and child.stderr
    first = child.stdout.readline()  # waits for the imports, which take seconds
    time.sleep(seconds)
    child.send_signal(signal.SIGKILL)
    lines = (first + child.stdout.read()).split("\n")[:-1]  # an incomplete line acknowledges nothing
    child.wait()
    if not first:
        raise VprError(f"the writer failed: {child.stderr.read().strip()[-300:]}")
    return int(lines[-1])


def ours_is_intact(path: Path, acknowledged: int) -> str:
    """What is wrong with a map whose writer was killed; empty if nothing."""
    report = check_map(path)
    if report.problems:
        return report.problems[0]
    with PlaceMap.open(path) as place_map:
        ids, stored = place_map.descriptors()
        if not acknowledged + 1 <= len(ids) <= acknowledged + 2:
            return f"{len(ids)} places, {acknowledged + 1} acknowledged"
        expected = np.stack([damage.descriptor_of(number, DIM) for number in range(len(ids))])
        if list(ids) != list(range(1, len(ids) + 1)) or np.abs(stored - expected).max() > 1e-3:
            return "a place has another id or descriptor"
    return ""


def baseline_is_intact(path: Path, acknowledged: int) -> str:
    """The same for the two files of the baseline."""
    import faiss

    try:
        index, labels = faiss.read_index(str(path)), json.loads(path.with_suffix(".json").read_text())
    except (RuntimeError, ValueError, OSError) as error:
        return f"cannot be read: {str(error)[:60]}"
    if not acknowledged + 1 <= index.ntotal or index.ntotal != len(labels):
        return f"index of {index.ntotal}, {len(labels)} labels, {acknowledged + 1} acknowledged"
    return ""


def kills(kind: str, problem_of: Callable[[Path, int], str], count: int, folder: Path) -> tuple[int, list[str]]:
    """Kills the writer of one map ``count`` times. Returns the places at the end and the problems; a damaged map is started again."""
    rng, problems, path = np.random.default_rng(1), [], folder / f"{kind}.map"
    acknowledged = -1
    for _ in range(count):
        acknowledged = kill_while_writing(kind, path, float(rng.uniform(0, 0.05)))
        problem = problem_of(path, acknowledged)
        if problem:
            problems.append(problem)
            for file in folder.glob(f"{path.stem}.*"):
                file.unlink()
    return acknowledged + 1, problems


def full_disk(folder: Path) -> str:
    """Adds places until a file size limit is reached, reads, removes the limit and adds one more. Returns a line of text."""
    path = folder / "full.vprmap"
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with PlaceMap.create_like(path, META) as place_map:
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
        message, added = "", 0
        try:
            while added < 10_000:
                add_one(place_map, added)
                added += 1
        except VprError as error:
            message = str(error).replace(str(folder), "")
        with PlaceMap.open(path) as reader:
            readable = len(reader.search(damage.descriptor_of(0, DIM), 1))
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, hard))
        add_one(place_map, added)
    problem = ours_is_intact(path, added)
    assert message and readable == 1 and not problem, (message, readable, problem)
    return f"after {added} places: {message!r}; still readable; continued with free space; all {added + 1} places are stored"


def costs(folder: Path, places: int = 100_000) -> dict[str, float]:
    """Milliseconds to add one place, places per second in batches, seconds to open."""
    path = folder / "costs.vprmap"
    rows = np.random.default_rng(0).standard_normal((places, DIM)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    frames = [Frame(f"images/{i:06d}.jpg", stamp=1e9 + i / 10, pose=Pose(i / 2, 0), index=i) for i in range(places)]
    with PlaceMap.create_like(path, META) as place_map:
        start = time.perf_counter()
        for at in range(0, places, 1000):
            place_map.add(frames[at : at + 1000], rows[at : at + 1000])
        batch = places / (time.perf_counter() - start)
    opened = []
    for _ in range(5):
        start = time.perf_counter()
        with PlaceMap.open(path) as place_map:
            place_map.search(rows[0], 1)
            opened.append(time.perf_counter() - start)
    one = []
    with PlaceMap.open(path) as place_map:
        place_map.search(rows[0], 1)  # loads the index, which each addition then updates
        for number in range(1000):
            start = time.perf_counter()
            place_map.add([Frame(str(number), stamp=2e9 + number)], rows[number : number + 1])
            one.append((time.perf_counter() - start) * 1e3)
    return {
        "add one, median ms": float(np.median(one)),
        "add one, 99th percentile ms": float(np.percentile(one, 99)),
        "add in batches of 1000, places/s": batch,
        f"open {places:,} places and answer, median s": float(np.median(opened)),
    }


def main() -> None:
    if len(sys.argv) == 3 and sys.argv[1] in ("ours", "peer"):
        {"ours": write_forever, "peer": baseline_forever}[sys.argv[1]](Path(sys.argv[2]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    results: dict[str, object] = {}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for kind, problem_of in (("ours", ours_is_intact), ("peer", baseline_is_intact)):
            places, problems = kills(kind, problem_of, args.kills, folder)
            results[f"{kind}, kills"] = {
                "kills": args.kills,
                "maps lost or damaged": len(problems),
                "places at the end": places,
            }
            print(f"{kind}: {args.kills} kills, {len(problems)} maps lost or damaged, {places} places at the end")
            for problem in problems[:3]:
                print(f"    {problem}")
        results["costs"] = costs(folder)
        for name, value in results["costs"].items():  # type: ignore[attr-defined]
            print(f"{name}: {value:.4g}")
        results["disk full"] = full_disk(folder)
        print(f"disk full {results['disk full']}")
    results["bit flips and truncations"] = damage.measure(args.trials)
    print(f"{args.trials} bit flips and truncations of a map: {results['bit flips and truncations']}")
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
