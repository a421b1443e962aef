"""How far training takes AE-SVC's four terms from a random start, by steps and number of layers.

    python benchmarks/paper_convergence.py INPUT --backbone SPEC -o OUT [--layers 1 2 3] [--steps 1000 5000]

INPUT is a folder with database and query images. Prints each term after 100 steps, after 1,000 and at the end, of the four terms that the loss weighs with
25, 1, 15 and 1, then R@1 and mAP@4 at full size. The learning rate falls to 0 over the steps, so each number of steps is a training of its own.
Beside them: the raw embedding, the closed form that meets the constraints (whitening), and the shrunk one from which this project starts.
OUT gets convergence.png, convergence.svg and convergence.txt.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vpr_aesvc.backbones import BACKBONE_HELP, open_backbone
from vpr_aesvc.datasets.positives import image_codes, positives
from vpr_aesvc.embedding_cache import EmbeddingCache, default_cache
from vpr_aesvc.evaluation.evaluate import RetrievalTask, evaluate
from vpr_aesvc.evaluation.figures.style import Drawing, LineStyle, figure_style, legend_above
from vpr_aesvc.evaluation.methods import Method
from vpr_aesvc.extraction import extract
from vpr_aesvc.inputs import open_input
from vpr_aesvc.projections import linear
from vpr_aesvc.projections.aesvc import WEIGHTS, constraint_terms
from vpr_aesvc.projections.artifact import Projection, unit
from vpr_aesvc.projections.data import TrainingData
from vpr_aesvc.projections.paper import standardized, train_autoencoder

FLOOR = 1e-7  # smaller terms are drawn as this
STYLES = (
    LineStyle("#2a86c8", "s", "-", 1.8),
    LineStyle("#b07d00", "^", (0, (5, 1.6)), 1.8),
    LineStyle("#d0679d", "D", (0, (1, 1.4)), 1.8),
)
Describe = Callable[[np.ndarray], np.ndarray]


class Training(NamedTuple):
    """``terms``: name -> one value a step."""

    layers: int
    steps: int
    terms: dict[str, list[float]]
    describe: Describe
    seconds: float


def train(data: TrainingData, layers: int, steps: int, seed: int = 0) -> Training:
    import torch

    scaled, start = standardized(data), time.perf_counter()
    terms: dict[str, list[float]] = {name: [] for name in WEIGHTS}

    def watch(step: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            terms[name].append(value)

    encoder = train_autoencoder(scaled, data.rank, seed, layers, steps, watch=watch)
    norm, mean = np.linalg.norm(scaled.embeddings[0]), scaled.embeddings.mean(0)

    def describe(embeddings: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return unit(encoder(torch.from_numpy(unit(embeddings) * np.float32(norm) - mean)).numpy())

    return Training(layers, steps, terms, describe, time.perf_counter() - start)


@figure_style()
def convergence_drawing(trainings: Sequence[Training], closed: dict[str, float]) -> Drawing:
    """One panel a term, one line for each number of layers; ``closed``: the terms of the whitening."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 7), layout="constrained")
    panels = figure.subplots(2, 2, sharex=True).reshape(-1)
    for axes, name in zip(panels, WEIGHTS, strict=True):
        for training in trainings:
            values = np.array(training.terms[name])
            at = np.unique(np.geomspace(1, len(values), 120).astype(int))
            smooth = [max(values[max(0, step - max(1, step // 10)) : step].mean(), FLOOR) for step in at]
            label = f"{training.layers} layer{'s' * (training.layers > 1)}, {training.steps} steps"
            axes.plot(at, smooth, label=label, **STYLES[(training.layers - 1) % len(STYLES)].line)
        axes.axhline(
            max(closed[name], FLOOR),
            color="#808080",
            linewidth=1.2,
            linestyle=(0, (2, 2)),
            label=f"whitening, {FLOOR:g} or less",
        )
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_ylim(bottom=FLOOR / 2)
        axes.set_title(f"{name} (weight {WEIGHTS[name]:g})", loc="left", fontweight="bold")
    for axes in panels[2:]:
        axes.set_xlabel("step")
    legend_above(figure, *panels[0].get_legend_handles_labels())
    return Drawing(
        "convergence", "Convergence of AE-SVC from a random start", "Mean of a tenth of the steps before.", figure
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--backbone", default="hog", help=BACKBONE_HELP)
    parser.add_argument("--layers", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--steps", type=int, nargs="+", default=[1000, 5000])
    arguments = parser.parse_args()
    inputs, backbone = open_input(arguments.input), open_backbone(arguments.backbone)
    with EmbeddingCache(default_cache(), backbone.fingerprint, backbone.dim) as cache:
        database, queries = (
            extract(backbone, inputs.split(split).frames, cache=cache) for split in ("database", "query")
        )
    right = positives(queries.frames, database.frames, inputs.tolerance)
    if right is None:
        sys.exit(f"{arguments.input}: the frames have no poses and no sequences, so right places are unknown")
    task = RetrievalTask(
        database.embeddings, queries.embeddings, right, image_codes([*queries.frames, *database.frames])
    )
    data = TrainingData.of(database.embeddings)
    lines = [
        f"{len(data.embeddings)} database and {len(queries.frames)} query images, {arguments.backbone}, {data.rank} numbers"
    ]
    lines.append(
        f"{'':<26}{'step':>8}" + "".join(f"{name:>16}" for name in WEIGHTS) + f"{'R@1':>8}{'mAP@4':>8}{'s':>7}"
    )

    def add(
        name: str, step: int | str, terms: dict[str, float], describe: Describe | None = None, seconds: float = 0
    ) -> None:
        line = f"{name:<26}{step:>8}" + "".join(f"{terms[one]:16.5f}" for one in WEIGHTS)
        if describe is not None:
            [found] = evaluate(task, [Method(name, name, {data.rank: describe}, seconds)]).results
            line += f"{found.recall[1]:8.3f}{found.map_at[4]:8.3f}{seconds:7.0f}"
        lines.append(line)
        print(line, flush=True)

    print("\n".join(lines))
    exact, shrunk = (linear.whitening(data, isotropic).first(data.rank) for isotropic in (0.0, 0.25))
    closed: dict[str, Projection] = {"PCA": linear.pca(data), "whitening": exact, "whitening, shrunk by 0.2": shrunk}
    for name, projection in closed.items():
        add(name, "", constraint_terms(data, projection), projection)
    trainings = []
    for steps in arguments.steps:
        for layers in arguments.layers:
            training = train(data, layers, steps)
            trainings.append(training)
            for step in (100, 1000, steps):
                if step < steps:
                    add(
                        f"{layers} layers, {steps} steps",
                        step,
                        {name: float(np.mean(values[step - 20 : step])) for name, values in training.terms.items()},
                    )
            last = {name: float(np.mean(values[-20:])) for name, values in training.terms.items()}
            add(f"{layers} layers, {steps} steps", steps, last, training.describe, training.seconds)
    arguments.output.mkdir(parents=True, exist_ok=True)
    longest = [one for one in trainings if one.steps == max(arguments.steps)]
    convergence_drawing(longest, constraint_terms(data, exact)).save(arguments.output)
    (arguments.output / "convergence.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
