"""A fleet's map on PostgreSQL beside a .vprmap: search with and without a pose, push, pull, bytes.

    python benchmarks/fleet.py [--places 200000] [--pull-within 2000] [--json FILE]

The places are drawn as `search.py` draws them (256 numbers, no image). They lie 3 m apart along the streets of a grid of 100 m, which makes 6,600 a
square kilometer, and each street is a traverse. As those of a recording they have a label, a stamp and a pose, and no path. The queries are other visits to random places; the pose is that of the place. `ms` is the median of
100 searches by one client on this machine, `top-1` the part of them whose first place is that of exact search in the .vprmap of the same
places (of a .vprmap with a pose: by the same search). Push and pull are those of `vpr fleet push` and `vpr fleet pull`, with reading and writing the
.vprmap. PostgreSQL has its default settings, with fsync.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from postgres import Server, missing
from search import DIM, draw_places, draw_queries

from vpr_aesvc import PlaceMap, Pose, Where
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


def timed(searches: list[Any]) -> tuple[float, list[Any]]:
    """Median milliseconds, and the results."""
    results, seconds = [], []
    for search in searches:
        began = time.perf_counter()
        results.append(search())
        seconds.append(time.perf_counter() - began)
    return 1000 * float(np.median(seconds)), results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--places", type=int, default=200_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--pull-within", type=float, default=2000.0, help="meters around the middle that are pulled")
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
            figures["vprmap_insert_per_s"] = options.places / (time.perf_counter() - began)
            with fleet_map_for(url, local) as fleet:
                began = time.perf_counter()
                added = push(local, fleet, "r1", "map").added
                figures["push_per_s"] = added / (time.perf_counter() - began)
                began = time.perf_counter()
                figures["pushed_again"] = push(local, fleet, "r1", "map").added
                figures["push_again_s"] = time.perf_counter() - began
            with open_fleet_map(url) as fleet:
                figures["bytes_a_place"] = fleet.size_bytes / len(fleet)
                with fleet.connection.transaction() as db:
                    db.execute("ANALYZE vpr.places")
                middle = frames[options.places // 2].pose
                assert middle is not None
                with PlaceMap.create_like(Path(folder) / "here.vprmap", fleet.meta) as here:
                    began = time.perf_counter()
                    pulled = pull(fleet, here, Area(middle.x, middle.y, options.pull_within)).added
                    figures |= {"pulled": pulled, "pull_per_s": pulled / (time.perf_counter() - began)}
                local.search(queries[:2], 1, exact=False)
                wheres = {
                    "50 m": [Where(pose=frames[at].pose, within=50) for at in chosen],
                    "500 m": [Where(pose=frames[at].pose, within=500) for at in chosen],
                    "no prior": [None] * options.queries,
                }
                for name, conditions in wheres.items():
                    asked = list(zip(queries, conditions, strict=True))
                    _, exact = timed([lambda q=q, w=w: local.search(q, 1, where=w, exact=True) for q, w in asked])
                    for home, one in (("vprmap", local), ("fleet", fleet)):
                        one.search(queries[0], 1, where=conditions[0])
                        ms, found = timed([lambda q=q, w=w, m=one: m.search(q, 1, where=w) for q, w in asked])
                        same = [a[0].place.label == b[0].place.label for a, b in zip(exact, found, strict=True)]
                        figures[f"{home} {name}"] = {"ms": ms, "top-1": float(np.mean(same))}
    for name, value in figures.items():
        print(f"{name:<22} {value}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
