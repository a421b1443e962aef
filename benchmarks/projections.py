"""What each projection is worth, and what training costs.

    python benchmarks/projections.py recall INPUT --backbone SPEC   # what changed views and the choice are worth
    python benchmarks/projections.py cost                           # time and memory of training, n and 2 n images

`recall` prints R@1 of what `vpr train` does beside its peers (raw, and whitening with the covariance shrunk toward a sphere only) from
the same embeddings in one run, fitted on the database images alone; `vpr bench` compares the methods themselves. `cost` runs each size in a process of its own.
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
from vpr_aesvc.datasets import open_input
from vpr_aesvc.datasets.positives import image_codes, positives
from vpr_aesvc.evaluation.evaluate import Task, evaluate
from vpr_aesvc.evaluation.methods import Method
from vpr_aesvc.extraction import extract
from vpr_aesvc.projections.data import TrainingData
from vpr_aesvc.projections.fit import fit
from vpr_aesvc.types import Frame

VIEWS = 2


def measure_recall(source: Path, backbone_spec: str) -> None:
    inputs, backbone = open_input(source), open_backbone(backbone_spec)
    seen = extract(backbone, inputs.split("database").frames, VIEWS)
    asked = extract(backbone, inputs.split("query").frames)
    data = TrainingData.of(seen.embeddings, seen.views, seen.view_rows)
    plain = TrainingData.of(seen.embeddings)  # without views: what the closed form is without that knowledge
    right = positives(asked.frames, seen.frames, inputs.tolerance)
    if right is None:
        sys.exit(f"{source}: the frames do not say who is near whom")
    chosen = fit(data, seen.frames)
    fitted = {
        "raw": fit(data, seen.frames, method="raw"),
        "whitening, sphere only": fit(plain, seen.frames, method="whitening"),
        "whitening, with views": fit(data, seen.frames, method="whitening"),
        f"default: {chosen.method}": chosen,
    }
    methods = [
        Method(name, name, dict.fromkeys(one.sizes if name != "raw" else one.sizes[-1:], one.projection), 0.0)
        for name, one in fitted.items()
    ]
    task = Task(seen.embeddings, asked.embeddings, right, image_codes([*asked.frames, *seen.frames]))
    results = evaluate(task, methods).results
    sizes = sorted({one.size for one in results})
    print(f"R@1, {len(seen.frames)} database and {len(asked.frames)} query images, backbone {backbone_spec}")
    print(f"{'':<24}" + "".join(f"{size:>8}" for size in sizes))
    for name in fitted:
        at = {one.size: one.recall[1] for one in results if one.method == name}
        print(f"{name:<24}" + "".join(f"{at[size]:8.3f}" if size in at else f"{'':>8}" for size in sizes))
    print(f"default {chosen.method}: {chosen.why}")


def drawn_embeddings(rows: int, dim: int) -> TrainingData:
    """Embeddings with a spectrum that falls as a vision transformer's does, and one view of 2,000 of them."""
    random = np.random.default_rng(0)
    spread = (1 + np.arange(dim)) ** -0.5
    embeddings = (random.standard_normal((rows, dim), np.float32) * spread + 0.2).astype(np.float32)
    chosen = np.arange(0, rows, max(1, rows // 2000))
    change = np.where(np.arange(dim) < 20, 1.0, 0.1) * spread  # another visit moves a few directions most
    views = embeddings[chosen] + random.standard_normal((len(chosen), dim), np.float32) * change
    return TrainingData.of(embeddings, views, chosen)


def measure_cost(rows: int, dim: int) -> None:
    data = drawn_embeddings(rows, dim)
    frames = [Frame(str(row)) for row in range(rows)]
    start = time.perf_counter()
    found = fit(data, frames)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"images": rows, "dim": dim, "seconds": seconds, "peak_mb": peak, "method": found.method}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    recall = commands.add_parser("recall")
    recall.add_argument("input", type=Path)
    recall.add_argument("--backbone", default="hog")
    cost = commands.add_parser("cost")
    cost.add_argument("--images", type=int, default=10_000)
    cost.add_argument("--dim", type=int, default=768)
    cost.add_argument("--once", action="store_true", help="this size only, in this process")
    words = parser.parse_args()
    if words.command == "recall":
        measure_recall(words.input, words.backbone)
    elif words.once:
        measure_cost(words.images, words.dim)
    else:
        for rows in (words.images, 2 * words.images):
            again = [sys.executable, __file__, "cost", "--once", "--images", str(rows), "--dim", str(words.dim)]
            subprocess.run(again, check=True)


if __name__ == "__main__":
    main()
