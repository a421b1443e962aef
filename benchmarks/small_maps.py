"""Projections on small maps, cut at random from larger sets by whole sequences.

    python benchmarks/small_maps.py default INPUT --backbone SPEC   # R@1 of the `vpr train` default minus raw, at each size
    python benchmarks/small_maps.py sizes INPUT --backbone SPEC     # R@1 lost by the size that `vpr train` recommends, and by that of other rules
    python benchmarks/small_maps.py grid INPUT ... --backbone SPEC  # R@1 of whitening minus raw, at each (isotropic, view)

`default` draws five maps of 40, 80, 160 and 320 places each; `sizes` these and the whole input, once as it is and once without the frames'
sequences, so that augmented views must find their original. `grid` averages over these maps, over the whole input if it is no larger, and over
all sizes; the (isotropic, view) that is best there on average is the prior of `vpr_aesvc.projections.stages`. Queries that no place of a map shows are
left out. The raw embedding is rotated to its principal axes and cut to the same size.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vpr_aesvc.backbones import open_backbone
from vpr_aesvc.datasets.positives import positives
from vpr_aesvc.extraction import extract
from vpr_aesvc.inputs import open_input
from vpr_aesvc.projections import linear
from vpr_aesvc.projections.artifact import Projection, prefix
from vpr_aesvc.projections.data import TrainingData
from vpr_aesvc.projections.fit import default_sizes, fit
from vpr_aesvc.projections.selection import smallest_size
from vpr_aesvc.projections.stages import Stages
from vpr_aesvc.types import Frame

PLACES, DRAWS, VIEWS = (40, 80, 160, 320), 5, 2
ISOTROPIC = (0.1, 0.3, 1.0, 2.0, 4.0, 10.0, 30.0)
VIEW = (0.0, 0.3, 1.0, 3.0, 10.0, 30.0)
SIZES = (8, 16, 32, 64, 128)


class Map(NamedTuple):
    """A map and its queries. ``relevant``: bool [queries, places]."""

    places: int
    data: TrainingData
    frames: list[Frame]
    queries: np.ndarray
    relevant: np.ndarray

    def recall(self, projection: Projection, sizes: tuple[int, ...]) -> np.ndarray:
        """R@1 at each size."""
        queries, places = projection(self.queries), projection(self.data.embeddings)
        best = [(prefix(queries, size) @ prefix(places, size).T).argmax(1) for size in sizes]
        return np.array([self.relevant[np.arange(len(queries)), one].mean() for one in best])


def maps(source: Path, backbone_spec: str, whole: bool = False) -> Iterator[Map]:
    """The maps of an input: cut ones, and with ``whole`` all of it; only that if it has fewer than 320 places."""
    inputs, backbone = open_input(source), open_backbone(backbone_spec)
    database = extract(backbone, inputs.split("database").frames, VIEWS)
    queries = extract(backbone, inputs.split("query").frames)
    found = positives(queries.frames, database.frames, inputs.tolerance)
    if found is None:
        sys.exit(f"{source}: the frames have no poses and no sequences, so neighbors are unknown")
    relevant = found.table(len(database.frames))
    data = TrainingData.of(database.embeddings, database.views, database.view_rows)

    def cut(rows: np.ndarray) -> Map:
        near = relevant[:, rows]
        asked = near.any(1)
        frames = [database.frames[int(row)] for row in rows]
        return Map(len(rows), data.subset(rows), frames, queries.embeddings[asked], near[asked])

    count = len(database.frames)
    if whole or count < max(PLACES):
        yield cut(np.arange(count))
    if count < max(PLACES):
        return
    sequences = np.array([str(frame.sequence) for frame in database.frames])
    for places in PLACES:
        for draw in range(DRAWS):
            order = np.random.default_rng(100 * places + draw).permutation(np.unique(sequences))
            rows = np.concatenate([np.flatnonzero(sequences == one) for one in order])[:places]
            yield cut(np.sort(rows))


def print_default(source: Path, backbone_spec: str) -> None:
    gains: dict[int, list[np.ndarray]] = {}
    for one in maps(source, backbone_spec):
        fitted = fit(one.data, one.frames).projection
        sizes = (*(size for size in SIZES if size < fitted.dim_out), fitted.dim_out)
        gain = one.recall(fitted, sizes) - one.recall(linear.rotated_identity(one.data), sizes)
        gains.setdefault(one.places, []).append(gain)
    print(f"R@1 of the default minus raw, {source.name}, {backbone_spec}: mean of {DRAWS} maps")
    for places, found in gains.items():
        shortest = min(map(len, found)) - 1
        mean = np.mean([[*gain[:shortest], gain[-1]] for gain in found], 0)
        print(f"{places:>6} places" + "".join(f"{value:+8.3f}" for value in mean) + "   (sizes 8, 16, ..., full)")


def one_error_below(ranks: np.ndarray) -> int:
    """Column of the smallest size within one standard error of the best: the rule of `vpr bench`."""
    mean = ranks.mean(0)
    return int((mean >= mean.max() - ranks[:, mean.argmax()].std(ddof=1) / len(ranks) ** 0.5).argmax())


def not_clearly_behind(ranks: np.ndarray) -> int:
    """Column of the smallest size whose loss against the best is within one standard error of that loss."""
    losses = ranks[:, [ranks.mean(0).argmax()]] - ranks
    return int((losses.mean(0) <= losses.std(0, ddof=1) / len(losses) ** 0.5).argmax())


def print_sizes(source: Path, backbone_spec: str) -> None:
    """Of the AE-SVC latent. The rules choose by reciprocal ranks of held-out frames; the loss is of the queries, against the full size."""
    rules = {"one error below": one_error_below, "not clearly behind": not_clearly_behind, "vpr train": smallest_size}
    found: dict[tuple[int, bool, str], list[tuple[int, float]]] = {}
    for one in maps(source, backbone_spec, whole=True):
        for known in (True, False):
            frames = one.frames if known else [replace(frame, sequence=None, index=None) for frame in one.frames]
            stages = Stages(one.data, frames, default_sizes(one.data.embeddings.shape[1]))
            if stages.held_out is None:
                continue
            ranks = stages.held_out.reciprocal_ranks(stages.trial, stages.trial_sizes)
            measured = (*stages.trial_sizes[:-1], stages.sizes[-1])
            recall = one.recall(stages.lift(stages.teacher, stages.outside), measured)
            for name, rule in rules.items():
                column = rule(ranks)
                if column is None or (name == "vpr train" and not known):
                    column = len(measured) - 1
                key = round(one.places, -1), known, name
                found.setdefault(key, []).append((measured[column], float(recall[-1] - recall[column])))
    print(f"R@1 lost against the full size, {source.name}, {backbone_spec}")
    for (places, known, name), each in found.items():
        losses, sizes = [loss for _, loss in each], sorted(size for size, _ in each)
        told = "neighbors" if known else "views"
        print(
            f"{places:>6} places, {told:<9} {name:<18} mean {np.mean(losses):+.3f} worst {max(losses):+.3f} sizes {sizes}"
        )


def print_grid(sources: list[Path], backbone_specs: list[str]) -> None:
    total, count = np.zeros((len(VIEW), len(ISOTROPIC))), 0
    for source in sources:
        for spec in backbone_specs:
            for one in maps(source, spec):
                sizes = (*(size for size in SIZES if size < one.data.rank), one.data.rank)
                raw = one.recall(linear.rotated_identity(one.data), sizes)
                for row, view in enumerate(VIEW):
                    for column, isotropic in enumerate(ISOTROPIC):
                        total[row, column] += (
                            one.recall(linear.whitening(one.data, isotropic, view), sizes) - raw
                        ).mean()
                count += 1
    print(f"R@1 of whitening minus raw, mean over sizes and {count} maps; view down, isotropic across")
    print(f"{'':>8}" + "".join(f"{isotropic:8g}" for isotropic in ISOTROPIC))
    for view, row in zip(VIEW, total / count, strict=True):
        print(f"{view:8g}" + "".join(f"{value:+8.4f}" for value in row))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["default", "sizes", "grid"])
    parser.add_argument("inputs", type=Path, nargs="+")
    parser.add_argument("--backbone", action="append", default=[], help="may be given several times")
    arguments = parser.parse_args()
    specs = arguments.backbone or ["hog"]
    if arguments.what == "grid":
        print_grid(arguments.inputs, specs)
        return
    for source in arguments.inputs:
        for spec in specs:
            (print_sizes if arguments.what == "sizes" else print_default)(source, spec)


if __name__ == "__main__":
    main()
