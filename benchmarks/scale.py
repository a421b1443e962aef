"""From 100,000 to a billion places: bytes, memory, milliseconds, and how often the right place is the most similar one.

    python benchmarks/scale.py [--places 100000,1000000,10000000] [--json FILE]

The places and queries are drawn as `search.py` draws them (256 numbers). Measured, for the numbers of places that are given: the search of a map in memory, one query
and one thread; resident memory; and R@1 by counting, where a place of the same clip within three frames is right, too. With a pose prior of 500 m a query is compared with the
places within it: 5,200 in a city with one every 3 m of street (`fleet.py`), however large the map is.

Beyond, by arithmetic, marked ~: time and memory grow in proportion to the largest map that was measured. R@1: the query's own building decides first (its floors look alike); the
cosines of a query with all other places are taken as normally distributed, so that none of N exceeds the right one's with the probability exp(-N p). The table has
this R@1 beside the counted one, which shows how far it holds. Disk is what `.vprmap` needs a place in `fleet.py`, without pictures.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import log_ndtr
from search import _CLIP, _FLOORS, _PIECE, DIM, _held_mb, draw_places, draw_queries, milliseconds

from vpr_aesvc.placemap.index import PlaceIndex
from vpr_aesvc.projections.artifact import unit

_QUERIES, _WINDOW, _NEAR, _DISK = 1000, 3, 5200, 587
_BUILDING = _CLIP * _FLOORS  # places
_SIZES = [10**power for power in range(5, 10)]


def similarities(places: np.ndarray, queries: np.ndarray, visited: np.ndarray) -> tuple[np.ndarray, ...]:
    """For each query, float64 [q]: the largest cosine of a right place, of a wrong place in its building, and of all other places, with their mean and deviation."""
    count = len(queries)
    right, alike, other = (np.full(count, -np.inf) for _ in range(3))
    sums, squares, seen = np.zeros(count), np.zeros(count), 0
    for at in range(0, len(places), _PIECE):
        cosines = queries @ unit(places[at : at + _PIECE]).T
        rows = np.arange(at, at + cosines.shape[1])
        for number, place in enumerate(visited):
            start = place // _BUILDING * _BUILDING
            own = np.arange(max(start, at), min(start + _BUILDING, rows[-1] + 1))
            if len(own):
                values, same = cosines[number, own - at], own // _CLIP == place // _CLIP
                is_right = same & (np.abs(own - place) <= _WINDOW)
                right[number] = max(right[number], values[is_right].max(initial=-np.inf))
                alike[number] = max(alike[number], values[~is_right].max(initial=-np.inf))
                cosines[number, own - at] = np.nan
        other = np.fmax(other, np.nanmax(cosines, axis=1))
        sums += np.nansum(cosines, 1, dtype=np.float64)
        squares += np.nansum(np.square(cosines), 1, dtype=np.float64)
        seen += len(rows)
    mean = sums / seen
    return right, alike, other, mean, np.sqrt(squares / seen - mean**2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--places", default="100000,1000000,10000000")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows: dict[int, dict[str, Any]] = {count: {} for count in _SIZES}
    known: tuple[np.ndarray, ...] = ()
    for count in sorted(map(int, options.places.split(","))):
        places = draw_places(count)
        queries = draw_queries(places, _QUERIES, seed=1)
        visited = np.random.default_rng(1).integers(0, count, _QUERIES)  # the same draw
        right, alike, other, *normal = similarities(places, queries, visited)
        known = (right, alike, *normal)
        memory, index = _held_mb(), PlaceIndex(DIM)
        for at in range(0, count, _PIECE):
            index.add(places[at : at + _PIECE])
        del places
        began = time.perf_counter()
        index.search(queries[:1], 1, exact=False)  # makes the codes
        coded = time.perf_counter() - began
        held = (_held_mb() - memory) * 2**20 + 2 * DIM * count
        near = np.arange(count) < _NEAR
        rows[count] = {
            "R@1 counted": float(np.mean(right > np.maximum(alike, other))),
            "ms": milliseconds(lambda q, k, index=index: index.search(q, k, exact=False)[1], queries),
            "ms within 500 m": milliseconds(
                lambda q, k, index=index, near=near: index.search(q, k, allowed=near)[1], queries
            ),
            "bytes of memory": held / count,
            "seconds to code": coded,
        }
        print(f"{count:>13,}", rows[count], flush=True)
        del index
    right, alike, mean, deviation = known
    largest = max(count for count, row in rows.items() if row)
    log_below = log_ndtr((right - mean) / deviation)  # log P(one other place is less similar)
    print(
        f"\n{'places':>13} {'disk':>9} {'memory':>9} {'ms':>9} {'ms, 500 m':>10} {'R@1':>7} {'counted':>8} {'R@1, 500 m':>11}"
    )
    for count, row in rows.items():
        mark, known_row = ("", row) if row else ("~", rows[largest])
        factor = 1 if row else count / largest
        recall = {n: float(np.mean((right > alike) * np.exp(n * log_below))) for n in (count, _NEAR)}
        row |= {"R@1": recall[count], "R@1 within 500 m": recall[_NEAR]}
        print(
            f"{count:>13,} {_DISK * count / 1e9:>6.1f} GB {mark + format(known_row['bytes of memory'] * count / 1e9, '.1f'):>6} GB "
            f"{mark + format(known_row['ms'] * factor, '.1f'):>9} {known_row['ms within 500 m']:>10.2f} {recall[count]:>7.3f} "
            f"{row.get('R@1 counted', float('nan')):>8.3f} {recall[_NEAR]:>11.3f}"
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
