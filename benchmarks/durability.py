"""Can a map be lost? A writer is killed, the disk fills, bits flip; and what safety costs.

    python benchmarks/durability.py [--kills 300] [--trials 2000] [--json FILE]

Printed beside the peer in the same run: the usual way of keeping places, which writes the FAISS index and a JSON file of labels
anew after every place (``faiss.write_index``). A kill does not cut the power: that a transaction is on disk when it is
acknowledged rests on SQLite's ``synchronous = FULL``.
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
from vpr_aesvc.placemap.check import check_map
from vpr_aesvc.types import Frame, Pose

DIM = 256
META = {**damage.META, "dim": str(DIM), "sizes": json.dumps([64, DIM])}


def add_one(place_map: PlaceMap, number: int) -> None:
    """Place ``number``, whose descriptor every process knows."""
    frame = Frame(f"{number}", stamp=1e9 + number, pose=Pose(number, 0))
    place_map.add([frame], damage.descriptor_of(number, DIM)[None])


def write_forever(path: Path) -> None:
    """The writer that gets killed: adds one place after another and says so when it is on disk."""
    with PlaceMap.open(path) if path.exists() else PlaceMap.create_like(path, META) as place_map:
        for number in range(len(place_map), 1_000_000):
            add_one(place_map, number)
            print(number, flush=True)


def peer_forever(path: Path) -> None:
    """The usual way: index and labels written whole after each place."""
    import faiss

    labels = path.with_suffix(".json")
    index = faiss.read_index(str(path)) if path.exists() else faiss.IndexFlatIP(DIM)
    for number in range(index.ntotal, 1_000_000):
        index.add(damage.descriptor_of(number, DIM)[None])
        faiss.write_index(index, str(path))
        labels.write_text(json.dumps(list(range(number + 1))))
        print(number, flush=True)


def kill_while_writing(kind: str, path: Path, seconds: float) -> int:
    """Starts the writer, kills it so long after its first place; returns the last place it acknowledged, -1 for none."""
    child = subprocess.Popen(
        [sys.executable, __file__, kind, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout and child.stderr
    first = child.stdout.readline()  # imports take seconds; a kill during them would test nothing
    time.sleep(seconds)
    child.send_signal(signal.SIGKILL)
    said = (first + child.stdout.read()).split("\n")[:-1]  # a line without its end was not acknowledged
    child.wait()
    if not first:
        raise VprError(f"the writer could not go on: {child.stderr.read().strip()[-300:]}")
    return int(said[-1])


def ours_is_whole(path: Path, acknowledged: int) -> str:
    """What is wrong with a map whose writer was killed, or nothing."""
    report = check_map(path)
    if report.problems:
        return report.problems[0]
    with PlaceMap.open(path) as place_map:
        ids, stored = place_map.descriptors()
        if not acknowledged + 1 <= len(ids) <= acknowledged + 2:
            return f"{len(ids)} places, {acknowledged + 1} acknowledged"
        truth = np.stack([damage.descriptor_of(number, DIM) for number in range(len(ids))])
        if list(ids) != list(range(1, len(ids) + 1)) or np.abs(stored - truth).max() > 1e-3:
            return "a place is another"
    return ""


def peer_is_whole(path: Path, acknowledged: int) -> str:
    """The same of the peer's two files."""
    import faiss

    try:
        index, labels = faiss.read_index(str(path)), json.loads(path.with_suffix(".json").read_text())
    except (RuntimeError, ValueError, OSError) as error:
        return f"cannot be read: {str(error)[:60]}"
    if not acknowledged + 1 <= index.ntotal or index.ntotal != len(labels):
        return f"index of {index.ntotal}, {len(labels)} labels, {acknowledged + 1} acknowledged"
    return ""


def kills(kind: str, whole: Callable[[Path, int], str], count: int, folder: Path) -> tuple[int, list[str]]:
    """Kills the same map's writer so often; places at the end, and what was wrong. A lost map is begun again."""
    rng, wrong, path = np.random.default_rng(1), [], folder / f"{kind}.map"
    acknowledged = -1
    for _ in range(count):
        acknowledged = kill_while_writing(kind, path, float(rng.uniform(0, 0.05)))
        problem = whole(path, acknowledged)
        if problem:
            wrong.append(problem)
            for file in folder.glob(f"{path.stem}.*"):
                file.unlink()
    return acknowledged + 1, wrong


def full_disk(folder: Path) -> str:
    """Adds until a limit on the size of a file is hit, reads, lifts the limit, goes on. What happened, in words."""
    path = folder / "full.vprmap"
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with PlaceMap.create_like(path, META) as place_map:
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
        said, added = "", 0
        try:
            while added < 10_000:
                add_one(place_map, added)
                added += 1
        except VprError as error:
            said = str(error).replace(str(folder), "")
        with PlaceMap.open(path) as reader:
            readable = len(reader.search(damage.descriptor_of(0, DIM), 1))
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, hard))
        add_one(place_map, added)
    problem = ours_is_whole(path, added)
    assert said and readable == 1 and not problem, (said, readable, problem)
    return f"after {added} places: {said!r}; readable; went on when there was room; all {added + 1} places there"


def costs(folder: Path, places: int = 100_000) -> dict[str, float]:
    """Milliseconds of one durable place, places a second in batches, seconds to open."""
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
        place_map.search(rows[0], 1)  # the index is in memory and must keep up
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
        {"ours": write_forever, "peer": peer_forever}[sys.argv[1]](Path(sys.argv[2]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--json", type=Path)
    words = parser.parse_args()
    found: dict[str, object] = {}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for kind, whole in (("ours", ours_is_whole), ("peer", peer_is_whole)):
            places, wrong = kills(kind, whole, words.kills, folder)
            found[f"{kind}, kills"] = {
                "kills": words.kills,
                "maps lost or damaged": len(wrong),
                "places at the end": places,
            }
            print(f"{kind}: {words.kills} kills, {len(wrong)} maps lost or damaged, {places} places at the end")
            for problem in wrong[:3]:
                print(f"    {problem}")
        found["costs"] = costs(folder)
        for name, value in found["costs"].items():  # type: ignore[attr-defined]
            print(f"{name}: {value:.4g}")
        found["disk full"] = full_disk(folder)
        print(f"disk full {found['disk full']}")
    found["bit flips and truncations"] = damage.measure(words.trials)
    print(f"{words.trials} bit flips and truncations of a map: {found['bit flips and truncations']}")
    if words.json:
        words.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
