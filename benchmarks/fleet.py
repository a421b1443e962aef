"""A fleet's map on PostgreSQL beside a .vprmap: search with and without a pose, push, pull, bytes; and Milvus for search without a pose.

    python benchmarks/fleet.py [--places 200000] [--pull-within 2000] [--milvus] [--json FILE]

The places are drawn as `search.py` draws them (256 numbers, no image). They lie 3 m apart along the streets of a grid of 100 m, which makes 6,600 a
square kilometer, and each street is a traverse. As those of a recording they have a label, a stamp and a pose, and no path. The queries are other
visits to random places, and the pose is that of the place. Server and client are on this machine, with one client; PostgreSQL has its default
settings, with fsync, and the places were analyzed.

`ms` is the median of 100 searches. `cpu` is the processor time of a search, of this process and of its process in the server, which other work on the machine
hardly changes. `top-1` is the part of the searches whose first place is that of exact search with the same conditions in a .vprmap of the same places.
Push and pull are those of `vpr fleet push` and `vpr fleet pull`, with reading and writing the .vprmap; their `cpu` is that of both processes, too.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from milvus_server import MilvusServer
from postgres import Server, missing
from search import DIM, draw_places, draw_queries

from vpr_aesvc import PlaceMap, Pose, Where
from vpr_aesvc.errors import VprError
from vpr_aesvc.fleet import open_fleet_map
from vpr_aesvc.fleet.pull import Area, pull
from vpr_aesvc.fleet.push import fleet_map_for, push
from vpr_aesvc.types import Frame

_STEP, _BLOCK, _BATCH = 3.0, 100.0, 10_000  # meters, meters, places
_META = {
    "dim": str(DIM),
    "sizes": json.dumps([DIM]),
    "model_fingerprint": "0123456789abcdef",
    "model_family": "0123456789abcdef",
    "model_precision": "fp32",
    "model_path": "/a/model",
}


def street_frames(count: int) -> list[Frame]:
    """Places along the streets of a square city."""
    side = np.sqrt(count * _STEP * _BLOCK / 2)  # meters
    per_street = int(side / _STEP)
    frames = []
    for at in range(count):
        street, along = divmod(at, per_street)
        across, x = street // 2 * _BLOCK, along * _STEP
        pose = Pose(x, across) if street % 2 == 0 else Pose(across, x)
        frames.append(Frame(f"street-{street}/{along:06d}.jpg", None, None, 1.7e9 + at, pose, f"street-{street}"))
    return frames


def processor_seconds(pid: int | None) -> float:
    """Of this process, and of a process of the server."""
    seconds = time.process_time()
    if pid is not None:
        words = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        seconds += (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
    return seconds


def pid_of(fleet: Any) -> int:
    """The process of the server that answers a fleet's map."""
    with fleet.connection.statements() as db:
        return int(db.execute("SELECT pg_backend_pid()").fetchone()[0])


def timed(searches: list[Any], pid: int | None = None) -> tuple[dict[str, float], list[Any]]:
    """Median milliseconds, mean milliseconds of the processor, and the results."""
    results, seconds, before = [], [], processor_seconds(pid)
    for search in searches:
        began = time.perf_counter()
        results.append(search())
        seconds.append(time.perf_counter() - began)
    cpu = (processor_seconds(pid) - before) / len(searches)
    return {"ms": round(1000 * float(np.median(seconds)), 3), "cpu": round(1000 * cpu, 3)}, results


def rate(count: int, began: float, before: float, pid: int) -> dict[str, int]:
    """Places a second, and places a second of the processor."""
    cpu = processor_seconds(pid) - before
    return {"a second": round(count / (time.perf_counter() - began)), "a second of cpu": round(count / cpu)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--places", type=int, default=200_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--pull-within", type=float, default=2000.0, help="meters around the middle that are pulled")
    parser.add_argument("--milvus", action="store_true", help="also feed Milvus and search through it")
    parser.add_argument(
        "--merging", type=float, default=300.0, help="seconds in which Milvus merges its parts, before `later`"
    )
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if missing():
        raise SystemExit(missing())
    frames, places = street_frames(options.places), draw_places(options.places)
    queries = draw_queries(places, options.queries, seed=1)
    chosen = np.random.default_rng(1).integers(0, options.places, options.queries)  # the places that they visit
    figures: dict[str, Any] = {"places": options.places}
    with tempfile.TemporaryDirectory() as folder, Server() as server:
        url = f"{server.url}?map=city"
        with PlaceMap.create_like(Path(folder) / "robot.vprmap", _META) as local:
            began = time.perf_counter()
            for start in range(0, options.places, _BATCH):
                part = slice(start, start + _BATCH)
                local.add_stored(frames[part], places[part], [None] * len(frames[part]))
            figures["vprmap, added a second"] = round(options.places / (time.perf_counter() - began))
            with fleet_map_for(url, local) as fleet:
                pid = pid_of(fleet)
                began, before = time.perf_counter(), processor_seconds(pid)
                figures["push"] = rate(push(local, fleet, "r1", "map").added, began, before, pid)
                began, before = time.perf_counter(), processor_seconds(pid)
                figures["pushed again"] = push(local, fleet, "r1", "map").added
                figures["push again"] = rate(options.places, began, before, pid)
            with open_fleet_map(url) as fleet:
                figures["bytes a place"] = fleet.size_bytes / len(fleet)
                with fleet.connection.transaction() as db:
                    db.execute("ANALYZE vpr.places")
                middle = frames[options.places // 2].pose
                assert middle is not None
                with PlaceMap.create_like(Path(folder) / "here.vprmap", fleet.meta) as here:
                    pid = pid_of(fleet)
                    began, before = time.perf_counter(), processor_seconds(pid)
                    pulled = pull(fleet, here, Area(middle.x, middle.y, options.pull_within)).added
                    figures |= {"pulled": pulled, "pull": rate(pulled, began, before, pid)}
                local.search(queries[:2], 1, exact=False)
                wheres = {
                    "50 m": [Where(pose=frames[at].pose, within=50) for at in chosen],
                    "500 m": [Where(pose=frames[at].pose, within=500) for at in chosen],
                    "no prior": [None] * options.queries,
                }
                for name, conditions in wheres.items():
                    asked = list(zip(queries, conditions, strict=True))
                    _, exact = timed([lambda q=q, w=w: local.search(q, 1, where=w, exact=True) for q, w in asked])
                    for home, one, pid in (("vprmap", local, None), ("fleet", fleet, pid_of(fleet))):
                        one.search(queries[0], 1, where=conditions[0])
                        times, found = timed([lambda q=q, w=w, m=one: m.search(q, 1, where=w) for q, w in asked], pid)
                        same = [a[0].place.label == b[0].place.label for a, b in zip(exact, found, strict=True)]
                        figures[f"{home} {name}"] = {**times, "top-1": float(np.mean(same))}
            if options.milvus:
                with MilvusServer() as milvus, open_fleet_map(f"{url}&index={milvus.address}") as fleet:
                    began = time.perf_counter()
                    sent = fleet.index().update()
                    figures["milvus, sent a second"] = round(sent / (time.perf_counter() - began))
                    began = time.perf_counter()
                    for query in queries:  # Milvus reads its parts at first use, for longer than a search waits
                        with suppress(VprError):
                            fleet.index().candidates(query, 1, ())
                            break
                    figures["milvus, s to the first answer"] = round(time.perf_counter() - began, 1)
                    for name in ("milvus no prior, at once", "milvus no prior, later"):
                        with warnings.catch_warnings():
                            warnings.simplefilter("error")  # it would say that PostgreSQL searches alone
                            times, found = timed([lambda q=q, m=fleet: m.search(q, 1) for q in queries], pid_of(fleet))
                        same = [a[0].place.label == b[0].place.label for a, b in zip(exact, found, strict=True)]
                        figures[name] = {**times, "top-1": float(np.mean(same))}
                        if name.endswith("at once"):
                            time.sleep(options.merging)
                    size = sum(file.stat().st_size for file in milvus.folder.rglob("data/**/*") if file.is_file())
                    figures["milvus bytes a place"] = round(size / options.places)
    for name, value in figures.items():
        print(f"{name:<22} {value}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
