"""How long one query takes among 1,000 to 1,000,000 places, and whether it finds what exact search finds.

    python benchmarks/search.py [--places 1000,3000,...] [--json search.json] [--figure search.svg] [--peers-up-to 1000000]
    python benchmarks/search.py --exclusion 100000

Ours (exact and funnel), FAISS Flat over raw 768-d embeddings, and FAISS HNSW, FAISS IVF and usearch over the same 256-d descriptors. The
last three use the lowest of several efforts that finds the best place for 99.5 % of the queries. One query at a time on one thread: FAISS
distributes queries over threads, not places. usearch is skipped if it is not installed (`pip install usearch`).

The places are synthetic, fitted by hand to real ones: the first 256 components of the descriptors that `vpr train` gives for 1,253 indoor
images with MobileNetV3 (ie_tower). From these come the variance of each component; the similarity of consecutive frames (.33, .11 two apart,
.07 three apart) and of other frames of a clip; floors that look alike (the best wrong place of a query: median .37 there, .31 here); and the
similarity of another visit to its place (.12, .31, .44, .55, .72 at the 5th, 25th, 50th, 75th and 95th percentile). So a quarter of the queries
resemble no place: their best place among a million is chance, but they are counted too.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import importlib.util
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from extraction import resident_mb

from vpr_aesvc.placemap.index import PlaceIndex
from vpr_aesvc.projections.artifact import unit

DIM, RAW_DIM = 256, 768
_AT = [0, 1, 3, 7, 15, 31, 63, 95, 127, 191, 255]
_VARIANCE = [2.16, 2.01, 1.90, 1.86, 1.51, 1.31, 1.17, 1.05, 0.97, 0.79, 0.65]  # of component _AT, times 256
_CLIP, _FLOORS = 20, 13  # frames of a clip; floors that look alike
_ALIKE, _SAME_CLIP, _NEXT = 0.6, 0.04, 0.3  # two fractions of the variance; correlation of consecutive frames
_VISIT = ([0, 0.05, 0.25, 0.5, 0.75, 0.95, 1], [0.05, 0.12, 0.31, 0.44, 0.55, 0.72, 0.85])  # similarity to the place
_PIECE = 50_000
_WANTED = 0.995  # fraction of queries that must get the same place as in exact search
_TIMED = 40
_WEIGHED = 30_000  # places; below, resident memory is too coarse a measure
Search = Callable[[np.ndarray, int], np.ndarray]  # queries [q, d], k -> rows [q, k]


def draw_places(count: int, seed: int = 0) -> np.ndarray:
    """float16 [count, 256], unit norm, ordered by clip."""
    random = np.random.default_rng(seed)
    spread = np.sqrt(np.interp(np.arange(DIM), _AT, _VARIANCE)).astype(np.float32)
    places = np.empty((count, DIM), np.float16)
    for at in range(0, count, 100 * _CLIP * _FLOORS):
        buildings = min(100, -(-(count - at) // (_CLIP * _FLOORS)))
        alike = _walks(random, buildings)[:, None]
        clips = random.standard_normal((buildings, _FLOORS, 1, DIM), np.float32)
        own = _walks(random, buildings * _FLOORS).reshape(buildings, _FLOORS, _CLIP, DIM)
        own_fraction = 1 - _ALIKE - _SAME_CLIP
        drawn = (
            np.float32(_ALIKE**0.5) * alike + np.float32(_SAME_CLIP**0.5) * clips + np.float32(own_fraction**0.5) * own
        )
        places[at : at + drawn.size // DIM] = unit((drawn * spread).reshape(-1, DIM))[: count - at]
    return places


def _walks(random: np.random.Generator, clips: int) -> np.ndarray:
    """float32 [clips, frames, 256]; each frame is correlated with the one before."""
    walks = random.standard_normal((clips, _CLIP, DIM), np.float32)
    for frame in range(1, _CLIP):
        walks[:, frame] = _NEXT * walks[:, frame - 1] + np.float32((1 - _NEXT**2) ** 0.5) * walks[:, frame]
    return walks


def draw_queries(places: np.ndarray, count: int, seed: int = 1) -> np.ndarray:
    """Another visit to random places, float32 [count, 256], unit norm."""
    random = np.random.default_rng(seed)
    visited = unit(places[random.integers(0, len(places), count)])
    similarity = np.interp(random.random(count), *_VISIT).astype(np.float32)[:, None]
    change = unit(random.standard_normal((count, DIM), np.float32))
    return unit(similarity * visited + np.sqrt(1 - similarity**2) * change)


def best_places(places: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Rows [q] of the most similar places, computed with numpy: the ground truth."""
    best, row = np.full(len(queries), -np.inf, np.float32), np.zeros(len(queries), np.int64)
    for at in range(0, len(places), _PIECE):
        cosines = queries @ unit(places[at : at + _PIECE]).T
        better = cosines.max(1) > best
        row[better], best[better] = cosines.argmax(1)[better] + at, cosines.max(1)[better]
    return row


def ours(places: np.ndarray, exact: bool) -> Iterator[tuple[str, Search]]:
    index = PlaceIndex(DIM)
    for at in range(0, len(places), _PIECE):
        index.add(places[at : at + _PIECE])
    index.search(places[:1], 1, exact=exact)  # makes the codes
    yield "", lambda queries, k: index.search(queries, k, exact=exact)[1]


def flat_raw(places: np.ndarray) -> Iterator[tuple[str, Search]]:
    """Raw embeddings. Their values do not change the time, so 50,000 random ones are repeated."""
    index = faiss.IndexFlatIP(RAW_DIM)
    some = unit(np.random.default_rng(2).standard_normal((min(len(places), _PIECE), RAW_DIM), np.float32))
    for at in range(0, len(places), _PIECE):
        index.add(some[: len(places) - at])
    del some
    yield "", lambda queries, k: index.search(np.tile(queries, 3), k)[1]


def hnsw(places: np.ndarray) -> Iterator[tuple[str, Search]]:
    index = faiss.IndexHNSWFlat(DIM, 32, faiss.METRIC_INNER_PRODUCT)
    _fill(index, places)
    for effort in (32, 64, 128, 256, 512, 1024, 2048, 4096, 8192):
        params = faiss.SearchParametersHNSW(efSearch=effort)
        yield f"efSearch {effort}", lambda queries, k, params=params: index.search(queries, k, params=params)[1]


def ivf(places: np.ndarray) -> Iterator[tuple[str, Search]]:
    lists = max(1, min(int(4 * len(places) ** 0.5), len(places) // 39))
    coarse = faiss.IndexFlatIP(DIM)
    index = faiss.IndexIVFFlat(coarse, DIM, lists, faiss.METRIC_INNER_PRODUCT)
    index.train(unit(places[:: max(1, len(places) // (64 * lists))]))
    _fill(index, places)
    probes = lists
    for part in (64, 32, 16, 8, 4, 3, 2, 1.5, 1):
        probes = max(1, int(lists / part))
        params = faiss.SearchParametersIVF(nprobe=probes)
        yield f"{probes} of {lists} lists", lambda queries, k, params=params: index.search(queries, k, params=params)[1]
    assert coarse.ntotal == lists  # this use keeps the quantizer alive


def usearch(places: np.ndarray) -> Iterator[tuple[str, Search]]:
    from usearch.index import Index

    index = Index(ndim=DIM, metric="ip", dtype="f16", connectivity=32)
    for at in range(0, len(places), _PIECE):
        index.add(np.arange(at, min(at + _PIECE, len(places))), places[at : at + _PIECE], threads=2)
    for effort in (64, 128, 256, 512, 1024, 2048, 4096, 8192):

        def search(queries: np.ndarray, k: int, effort: int = effort) -> np.ndarray:
            index.expansion_search = effort
            return np.asarray(index.search(queries, k, threads=1).keys).reshape(len(queries), k)

        yield f"expansion {effort}", search


def _fill(index: Any, places: np.ndarray) -> None:
    faiss.omp_set_num_threads(2)  # building may use both cores
    for at in range(0, len(places), _PIECE):
        index.add(unit(places[at : at + _PIECE]))
    faiss.omp_set_num_threads(1)


METHODS: dict[str, Callable[[np.ndarray], Iterator[tuple[str, Search]]]] = {
    "Flat fp32, raw 768-d": flat_raw,
    "exact": lambda places: ours(places, True),
    "funnel": lambda places: ours(places, False),
    "FAISS HNSW32": hnsw,
    "FAISS IVF": ivf,
    "usearch": usearch,
}
_PEERS = ("FAISS HNSW32", "FAISS IVF", "usearch")


def milliseconds(search: Search, queries: np.ndarray) -> float:
    """Median of single queries for ten places."""
    taken = []
    for at in range(_TIMED + 3):
        query = queries[at % len(queries)][None]
        start = time.perf_counter()
        search(query, 10)
        taken.append(time.perf_counter() - start)
    return float(np.median(taken[3:])) * 1000


def _held_mb() -> float:
    """Resident memory, after the C library has returned freed memory."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return resident_mb()


def measure(places: np.ndarray, queries: np.ndarray, names: Sequence[str]) -> list[dict[str, Any]]:
    """A row for each method."""
    right, rows = best_places(places, queries), []
    search = maker = None
    for name in names:
        search = maker = None  # frees the last index before memory is read
        memory, start = _held_mb(), time.perf_counter()
        build, recall, effort, search, maker = 0.0, 0.0, "", None, METHODS[name](places)
        for effort, search in maker:  # noqa: B007
            if not build:
                build, memory = time.perf_counter() - start, _held_mb() - memory
            recall = float((search(queries, 10)[:, 0] == right).mean()) if name != "Flat fp32, raw 768-d" else 1.0
            if recall >= _WANTED:
                break
        assert search is not None
        row = {"places": len(places), "method": name, "effort": effort, "top1_equal": recall, "build_s": build}
        row |= {"ms": milliseconds(search, queries)}
        row["bytes_per_place"] = memory * 2**20 / len(places) if len(places) >= _WEIGHED else None
        row["speedup"] = (rows[0]["ms"] if rows else row["ms"]) / row["ms"]
        rows.append(row)
        mark = "" if recall >= _WANTED else "  (not reached at any effort)"
        print(
            f"{len(places):>9,} {name:<21}{row['ms']:9.3f} ms {row['speedup']:7.1f}x {recall:8.4f} {build:8.1f} s "
            f"{row['bytes_per_place'] or float('nan'):7.0f} B  {effort}{mark}",
            flush=True,
        )
    return rows


def exclusion(count: int, excluded: int = 1000, query_count: int = 2000) -> dict[str, Any]:
    """Excludes the most recent places; compares with brute force over the others, with and without the filter."""
    places = draw_places(count)
    queries = draw_queries(places[-2 * excluded :], query_count)  # half of them resemble excluded places
    right = best_places(places[:-excluded], queries)
    allowed = np.ones(count, bool)
    allowed[-excluded:] = False
    index = PlaceIndex(DIM)
    index.add(places)
    report: dict[str, Any] = {"places": count, "excluded": excluded, "queries": query_count}
    for name, exact in (("exact", True), ("funnel", False)):
        rows = index.search(queries, 10, exact=exact, allowed=allowed)[1]
        ms = [
            min(
                milliseconds(lambda q, k, e=exact, a=a: index.search(q, k, exact=e, allowed=a)[1], queries)
                for _ in range(3)
            )
            for a in (None, allowed)
        ]
        equal, leaked = int((rows[:, 0] == right).sum()), int((rows >= count - excluded).sum())
        report[name] = {"equal": equal, "excluded_returned": leaked, "ms": ms[0], "ms_filtered": ms[1]}
        print(
            f"{name}: {equal} of {query_count} equal to brute force over the others, {leaked} excluded places returned; "
            f"{ms[0]:.3f} ms without, {ms[1]:.3f} ms with the filter ({100 * (ms[1] / ms[0] - 1):+.0f} %)"
        )
    return report


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.add_subplot()
    looks = dict(zip(METHODS, ("X:", "s--", "o-", "^-.", "v-.", "D-."), strict=True))
    for name, look in looks.items():
        line = [(row["places"], row["ms"]) for row in rows if row["method"] == name]
        if line:
            width = 2.4 if name == "funnel" else 1.2
            axes.plot(*zip(*line, strict=True), look, label=name, linewidth=width, markersize=5)
    axes.set(xscale="log", yscale="log", xlabel="places", ylabel="one query [ms], one thread")
    axes.set_title("Finding what exact search finds, 256-d descriptors", fontsize=10)
    axes.grid(alpha=0.2)
    axes.legend(frameon=False, fontsize=9)
    figure.savefig(path, dpi=120, metadata={"Date": None} if path.suffix == ".svg" else None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--places", default="1000,3000,10000,30000,100000,300000,1000000")
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument(
        "--peers-up-to",
        type=int,
        default=1_000_000,
        help="most places for HNSW, IVF and usearch, which take long to build",
    )
    parser.add_argument("--exclusion", type=int, help="measure exclusion instead, at this many places")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--figure", type=Path, help="a PNG or SVG file")
    args = parser.parse_args()
    faiss.omp_set_num_threads(1)
    if args.exclusion:
        report: Any = exclusion(args.exclusion)
    else:
        report = []
        known = [name for name in METHODS if name != "usearch" or importlib.util.find_spec("usearch")]
        if "usearch" not in known:
            print("usearch is not installed and is skipped: pip install usearch")
        print(f"{'places':>9} {'':<21}{'one query':>12} {'':>8} {'top-1 =':>8} {'build':>10} {'per place':>9}")
        for count in map(int, args.places.split(",")):
            places = draw_places(count)
            names = [name for name in known if count <= args.peers_up_to or name not in _PEERS]
            report += measure(places, draw_queries(places, args.queries), names)
            if args.figure:
                draw(report, args.figure)
            if args.json:
                args.json.write_text(json.dumps(report, indent=1))
    if args.json:
        args.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
