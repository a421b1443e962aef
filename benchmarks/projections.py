"""Recall of the default projection, and cost of training.

    python benchmarks/projections.py recall INPUT --backbone SPEC   # effect of augmented views and of the automatic choice
    python benchmarks/projections.py cost                           # time and memory of training, n and 2 n images

`recall` prints R@1 of the `vpr train` default, of the raw embedding, and of whitening with and without augmented views. All use the same embeddings and
are fitted on the database images alone. `vpr bench` compares the methods. `cost` runs each size in a separate process.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from vpr_aesvc.backbones import open_backbone
from vpr_aesvc.datasets.positives import image_codes, positives
from vpr_aesvc.evaluation.evaluate import RetrievalTask, evaluate
from vpr_aesvc.evaluation.methods import Method
from vpr_aesvc.extraction import extract
from vpr_aesvc.inputs import open_input
from vpr_aesvc.projections.data import TrainingData
from vpr_aesvc.projections.fit import fit
from vpr_aesvc.types import Frame

VIEWS = 2


def measure_recall(source: Path, backbone_spec: str) -> None:
    inputs, backbone = open_input(source), open_backbone(backbone_spec)
    database = extract(backbone, inputs.split("database").frames, VIEWS)
    queries = extract(backbone, inputs.split("query").frames)
    data = TrainingData.of(database.embeddings, database.views, database.view_rows)
    without_views = TrainingData.of(database.embeddings)
    relevant = positives(queries.frames, database.frames, inputs.tolerance)
    if relevant is None:
        sys.exit(f"{source}: the frames have no poses and no sequences, so neighbors are unknown")
    chosen = fit(data, database.frames)
    fitted = {
        "raw": fit(data, database.frames, method="raw"),
        "whitening, without views": fit(without_views, database.frames, method="aesvc"),
        "whitening, with views": fit(data, database.frames, method="aesvc"),
        f"default: {chosen.method}": chosen,
    }
    methods = [
        Method(name, name, dict.fromkeys(one.sizes if name != "raw" else one.sizes[-1:], one.projection), 0.0)
        for name, one in fitted.items()
    ]
    task = RetrievalTask(
        database.embeddings, queries.embeddings, relevant, image_codes([*queries.frames, *database.frames])
    )
    results = evaluate(task, methods).results
    sizes = sorted({one.size for one in results})
    print(f"R@1, {len(database.frames)} database and {len(queries.frames)} query images, backbone {backbone_spec}")
    print(f"{'':<24}" + "".join(f"{size:>8}" for size in sizes))
    for name in fitted:
        at = {one.size: one.recall[1] for one in results if one.method == name}
        print(f"{name:<24}" + "".join(f"{at[size]:8.3f}" if size in at else f"{'':>8}" for size in sizes))
    print(f"default {chosen.method}: {chosen.why}")


def synthetic_embeddings(rows: int, dim: int) -> TrainingData:
    """Embeddings with the spectrum of a vision transformer, and one view of each of 2,000 rows."""
    random = np.random.default_rng(0)
    spread = (1 + np.arange(dim)) ** -0.5
    embeddings = (random.standard_normal((rows, dim), np.float32) * spread + 0.2).astype(np.float32)
    chosen = np.arange(0, rows, max(1, rows // 2000))
    change = np.where(np.arange(dim) < 20, 1.0, 0.1) * spread  # another visit changes a few directions most
    views = embeddings[chosen] + random.standard_normal((len(chosen), dim), np.float32) * change
    return TrainingData.of(embeddings, views, chosen)


def measure_cost(rows: int, dim: int) -> None:
    data = synthetic_embeddings(rows, dim)
    frames = [Frame(str(row)) for row in range(rows)]
    start = time.perf_counter()
    result = fit(data, frames)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"images": rows, "dim": dim, "seconds": seconds, "peak_mb": peak, "method": result.method}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    recall = commands.add_parser("recall")
    recall.add_argument("input", type=Path)
    recall.add_argument("--backbone", default="hog")
    cost = commands.add_parser("cost")
    cost.add_argument("--images", type=int, default=10_000)
    cost.add_argument("--dim", type=int, default=768)
    cost.add_argument("--once", action="store_true", help="only this size, in this process")
    arguments = parser.parse_args()
    if arguments.command == "recall":
        measure_recall(arguments.input, arguments.backbone)
    elif arguments.once:
        measure_cost(arguments.images, arguments.dim)
    else:
        for rows in (arguments.images, 2 * arguments.images):
            command = [sys.executable, __file__, "cost", "--once", "--images", str(rows), "--dim", str(arguments.dim)]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
