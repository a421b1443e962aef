"""Evaluates all methods on one published set with one backbone; used by `pitts30k.py`, `tokyo247.py` and `paper.py`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from vpr_aesvc.backbones import BACKBONE_HELP, open_backbone
from vpr_aesvc.cli.bench import results_table
from vpr_aesvc.cli.console import out, progress_bars
from vpr_aesvc.datasets.catalog import BENCHMARKS, open_dataset
from vpr_aesvc.embedding_cache import EmbeddingCache, default_cache
from vpr_aesvc.errors import VprError
from vpr_aesvc.evaluation.bench import BenchmarkRun, bench
from vpr_aesvc.evaluation.benchmark_files import write_benchmark

SIZES = (8, 16, 32, 64, 128, 256, 512, 768, 1024)  # sizes above that of the embedding are left out


def measure(name: str, data: Path, backbone: str, folder: Path, sizes: Sequence[int] = SIZES) -> BenchmarkRun:
    """Evaluates one set with one backbone, writes ``folder``, and prints the table and the findings."""
    frames, opened = open_dataset(name, data), open_backbone(backbone)
    with EmbeddingCache(default_cache(), opened.fingerprint, opened.dim) as cache, progress_bars() as progress:
        run = bench(frames, BENCHMARKS[name].title, opened, sizes=sizes, cache=cache, progress=progress)
        report = write_benchmark([run], name, folder)
    out.print(results_table(run.evaluation.results))
    for sentence in (*report.summary, *report.advice):
        out.print(sentence, markup=False)
    return run


def run_set(name: str, description: str) -> None:
    """The command line of one set."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help=f"folder of {BENCHMARKS[name].title}")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the folder to make")
    parser.add_argument("--backbone", default="facebook/dino-vitb16", help=BACKBONE_HELP)
    args = parser.parse_args()
    try:
        measure(name, args.data, args.backbone, args.output)
    except VprError as error:
        sys.exit(f"error: {error}")
