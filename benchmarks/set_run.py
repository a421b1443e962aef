"""One named set, one backbone, all methods: what `pitts30k.py`, `tokyo247.py` and `paper.py` have in common."""

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

SIZES = (8, 16, 32, 64, 128, 256, 512, 768, 1024)  # those beyond an embedding are left out


def measure(name: str, data: Path, backbone: str, folder: Path, sizes: Sequence[int] = SIZES) -> BenchmarkRun:
    """Runs one set with one backbone, writes ``folder``, prints the table and what was found."""
    frames, opened = open_dataset(name, data), open_backbone(backbone)
    with EmbeddingCache(default_cache(), opened.fingerprint, opened.dim) as cache, progress_bars() as progress:
        run = bench(frames, BENCHMARKS[name].title, opened, sizes=sizes, cache=cache, progress=progress)
        found = write_benchmark(run, name, folder)
    out.print(results_table(run.evaluation.results))
    for sentence in found:
        out.print(sentence, markup=False)
    return run


def run_set(name: str, text: str) -> None:
    """The command line of one set."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help=f"where {BENCHMARKS[name].title} lies")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the folder to make")
    parser.add_argument("--backbone", default="facebook/dino-vitb16", help=BACKBONE_HELP)
    words = parser.parse_args()
    try:
        measure(name, words.data, words.backbone, words.output)
    except VprError as error:
        sys.exit(f"error: {error}")
