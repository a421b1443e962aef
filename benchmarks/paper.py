"""The paper's experiments: its own methods beside ours, four panels in one figure, and which of its claims hold.

    python benchmarks/paper.py -o OUT --pitts30k DIR --tokyo247 DIR --sop DIR --inshop DIR [--backbones ...] [--specific FOLDER]
    python benchmarks/paper.py -o OUT --stand-ins

Omama, Li, Chinchali, ICLR 2025, arXiv 2410.07022. Sets that are not given are skipped. The weights come from the local Hugging Face cache;
a dataset-specific encoder such as CosPlace is an ONNX folder. OUT gets paper.png and paper.svg, claims.txt, and a folder SET-BACKBONE with the
report of each run. --stand-ins makes small sets and encoders of random weights: it shows that everything runs, not what the paper is worth.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.paper_claims import claims
from benchmarks.paper_figure import paper_drawing
from benchmarks.paper_runs import GFLOP_PER_NUMBER, PaperRun, run_set
from vpr_aesvc.cli.console import progress_bars
from vpr_aesvc.errors import VprError
from vpr_aesvc.projections import paper

SETS = ("pitts30k", "tokyo247", "sop", "inshop")
BACKBONES = (
    "facebook/dino-vitb16",
    "google/vit-base-patch16-224-in21k",
    "facebook/dinov2-large",
    "openai/clip-vit-base-patch16",
)
STAND_IN_SIZES, STAND_IN_STEPS = (8, 16, 32, 64), (1500, 200)  # steps of AE-SVC, of the students
ASSUMPTIONS = {
    **paper.ASSUMED,
    "mAP@4": "mean over queries of the sum of the precision at each right place among the first 4, divided by the smaller of 4 and the number of right places; "
    "an image is never an answer for itself",
    "right": "within 25 m (Pitts30k, Tokyo 24/7), the same product (SOP, In-Shop)",
    "fitted on": "the database images; for SOP these are the test images",
    "GFLOPs": f"{GFLOP_PER_NUMBER:g} for each number of the descriptor, read off the axis; comparing 1,000 queries with 16,816 images costs as much",
}
Backbone = tuple[str, str, bool]  # name, spec, dataset-specific


def main() -> None:
    text = "\n".join(f"  {part}: {value}" for part, value in ASSUMPTIONS.items())
    parser = argparse.ArgumentParser(
        description=f"{__doc__}\nAssumed, because the paper does not say it:\n{text}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="output folder, created if missing")
    for name in SETS:
        parser.add_argument(f"--{name}", type=Path, help=f"folder of {name}")
    parser.add_argument("--backbones", nargs="+", default=list(BACKBONES), help="foundation models")
    parser.add_argument(
        "--specific", nargs="+", default=[], help="encoders trained on such sets, such as an ONNX folder of CosPlace"
    )
    parser.add_argument("--stand-ins", action="store_true", help="small made sets and encoders instead")
    parser.add_argument("--jobs", type=int, default=2, help="processes; a stand-in run is small (default: 2)")
    arguments = parser.parse_args()
    start = time.perf_counter()
    arguments.output.mkdir(parents=True, exist_ok=True)
    try:
        runs = list(_stand_ins(arguments.output, arguments.jobs) if arguments.stand_ins else _given(arguments, parser))
    except VprError as error:
        sys.exit(f"error: {error}")
    stand_ins = "{} steps of AE-SVC and {} of the students, sets of about 120 images and {}"
    note = {"stand-ins": stand_ins.format(*STAND_IN_STEPS, "encoders of random weights where so named")}
    report(runs, arguments.output, {**(note if arguments.stand_ins else {}), **ASSUMPTIONS})
    print(f"\n{len(runs)} runs, {time.perf_counter() - start:.0f} s; the figure is {arguments.output / 'paper.png'}")


def _given(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> Iterator[PaperRun]:
    given = [(name, getattr(arguments, name)) for name in SETS if getattr(arguments, name)]
    if not given:
        parser.error("give at least one set, such as --pitts30k DIR, or --stand-ins")
    backbones = [(Path(spec).name, spec, False) for spec in arguments.backbones]
    backbones += [(Path(spec).name, spec, True) for spec in arguments.specific]
    for name, data in given:
        for backbone in backbones:
            with progress_bars() as progress:
                yield run_set(name, data, backbone, arguments.output / f"{name}-{backbone[0]}", progress=progress)


def _stand_ins(output: Path, jobs: int) -> list[PaperRun]:
    from benchmarks import paper_stand_ins
    from tests.conftest import DATA

    with tempfile.TemporaryDirectory() as made:
        sets = paper_stand_ins.make_sets(Path(made) / "sets", DATA / "ie_tower")
        specs = paper_stand_ins.make_backbones(Path(made) / "encoders")
        backbones = [(name, spec, name == paper_stand_ins.SPECIFIC) for name, spec in specs.items()]
        # One process has all sets of a backbone: they share embeddings. The slowest backbones are last in the list and start first.
        work = partial(_all_sets, sets, output, Path(made) / "cache")
        with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
            done = [job.result() for job in as_completed([pool.submit(work, one) for one in reversed(backbones)])]
    order = {(name, backbone[0]): at for at, (name, backbone) in enumerate((n, b) for n in sets for b in backbones)}
    return sorted((run for runs in done for run in runs), key=lambda run: order[run.dataset, run.backbone])


def _all_sets(sets: dict[str, Path], output: Path, cache: Path, backbone: Backbone) -> list[PaperRun]:
    runs = []
    paper.STEPS, paper.STUDENT_STEPS = STAND_IN_STEPS
    for name, data in sets.items():
        start = time.perf_counter()
        runs.append(run_set(name, data, backbone, output / f"{name}-{backbone[0]}", cache, STAND_IN_SIZES))
        print(f"{name} with {backbone[0]}: {time.perf_counter() - start:.0f} s", flush=True)
    return runs


def report(runs: list[PaperRun], output: Path, assumptions: dict[str, str]) -> None:
    """Writes the figure and the claims, and prints them with the assumptions and the authors' figures."""
    paper_drawing(runs).save(output)
    lines = ["The paper's claims on these runs", *claims(runs), "", "Assumed, because the paper does not say it"]
    lines += [f"   {part}: {value}" for part, value in assumptions.items()]
    lines += ["", "The authors' figures (read off their plots) and ours"]
    compared = [(run, one) for run in runs for one in run.published]
    lines += [
        f"   {run.dataset:<9} {run.backbone:<28} {one.what:<34} theirs {one.theirs:.2f}  ours {one.ours:.3f}  {one.ours - one.theirs:+.3f}"
        for run, one in compared
    ]
    if not compared:
        lines.append("   none: no run has one of their sets with all of its images and one of their encoders")
    text = "\n".join(lines)
    (output / "claims.txt").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
