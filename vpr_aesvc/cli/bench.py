"""``vpr bench``."""

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.table import Column, Table

from vpr_aesvc.backbones import BACKBONE_HELP, Backbone, open_backbone
from vpr_aesvc.backbones.given import GivenEmbeddings, read_embeddings
from vpr_aesvc.cli.console import err, out, progress_bars, say_skipped, say_source
from vpr_aesvc.cli.options import EMBEDDINGS_HELP, Output
from vpr_aesvc.cli.train import parse_sizes
from vpr_aesvc.datasets.catalog import BENCHMARKS, open_dataset
from vpr_aesvc.embedding_cache import EmbeddingCache, default_cache
from vpr_aesvc.evaluation.methods import DEFAULT_METHODS, NAMES, check_methods
from vpr_aesvc.evaluation.results import R1, MethodResult, pareto_front
from vpr_aesvc.files import check_free
from vpr_aesvc.types import StageProgress

_BACKBONE_HELP = f"What turns an image into an embedding: {BACKBONE_HELP}; default hog. Repeat it to compare."


def bench_command(
    set: Annotated[str, Parameter(help=f"{', '.join(BENCHMARKS)}, or the folder of your own data.")],
    /,
    *,
    output: Output,
    data: Annotated[Path | None, Parameter(help="Folder of a named set, see docs/benchmark.md.")] = None,
    backbone: Annotated[list[str] | None, Parameter(negative="", help=_BACKBONE_HELP)] = None,
    embeddings: Annotated[
        list[Path] | None, Parameter(negative="", help=EMBEDDINGS_HELP + " Repeat it to compare.")
    ] = None,
    methods: Annotated[str, Parameter(help=f"Among {', '.join(NAMES)}.")] = ",".join(DEFAULT_METHODS),
    sizes: Annotated[str, Parameter(help="Descriptor sizes, e.g. 16,32,64; powers of two by default.")] = "",
    seed: Annotated[int, Parameter(help="The same images and seed give the same numbers.")] = 0,
    cache: Annotated[Path | None, Parameter(help="Where embeddings are kept; default ~/.cache/vpr_aesvc.")] = None,
) -> None:
    """Compare encoders, methods and descriptor sizes on a benchmark or on your own data, and say which to use; write numbers, figures and a report.

    The recommended one is the fastest, then the smallest, that is within one standard error of the best R@1. Every method is fitted on the
    database images alone, from the same embeddings and seed.

    Embeddings are kept: a run that was interrupted continues where it was.

    Examples:  vpr bench pitts30k --data pitts30k/ --backbone facebook/dinov2-base -o results/

               vpr bench my_building/ --backbone hog --backbone encoder/ --sizes 32,64,128 -o results/
    """
    from vpr_aesvc.evaluation.bench import bench
    from vpr_aesvc.evaluation.benchmark_files import write_benchmark
    from vpr_aesvc.evaluation.report import check_installed

    check_free(output, "results")
    check_installed()
    wanted = [name.strip() for name in methods.split(",")]
    check_methods(wanted)
    chosen = parse_sizes(sizes)
    frames = open_dataset(set, data)
    title = BENCHMARKS[set].title if set in BENCHMARKS else Path(set).resolve().name
    names = backbone or ([] if embeddings else ["hog"])
    given = {str(path): read_embeddings(path, frames.frames) for path in embeddings or ()}
    encoders: dict[str, Backbone] = {name: open_backbone(name) for name in names} | given
    short = {name: Path(name).name or name for name in encoders}
    runs = []
    with progress_bars() as progress:
        for name, opened in encoders.items():
            label = short[name] if list(short.values()).count(short[name]) == 1 else name
            with ExitStack() as stack:
                kept = None
                if not isinstance(opened, GivenEmbeddings):
                    kept = stack.enter_context(EmbeddingCache(cache or default_cache(), opened.fingerprint, opened.dim))
                shown = partial(_show, progress, "" if len(encoders) == 1 else f"{label}: ")
                runs.append(bench(frames, title, opened, wanted, chosen, seed, kept, shown, label))
        progress("writing the report", 0, 1)
        report = write_benchmark(runs, set if set in BENCHMARKS else title, output)
        progress("writing the report", 1, 1)
    say_source(frames)
    for run in runs:
        say_skipped(run.protocol["skipped"], len(frames))
        for size in run.protocol["sizes_left_out"]:
            err.print(f"warning: size {size} is more than these images can fill; left out", style="yellow")
    out.print(results_table(report.results))
    for sentence in (*report.summary, "", *report.advice):
        out.print(sentence)
    out.print(f"\nlook at {output / 'report.html'} in a browser; the numbers are in {output / 'results.json'}")


def _show(progress: StageProgress, prefix: str, stage: str, done: int, of: int) -> None:
    progress(prefix + stage, done, of)


def results_table(results: list[MethodResult]) -> Table:
    """One row for each method and size: what it recalls, bytes a place, milliseconds a search. Of several encoders only the Pareto front of recall
    and bytes, with the milliseconds to describe and search. Fits 80 columns."""
    is_front = len({one.encoder for one in results}) > 1
    rows = (
        pareto_front([one for one in results if R1.value(one) is not None], "bytes_per_place") if is_front else results
    )
    words = [Column(name, overflow="fold") for name in ("encoder", "method")[not is_front :]]
    numbers = [Column(name, no_wrap=True) for name in ("size", "R@1", "R@5", "95 % of R@1", "mAP@4", "bytes", "ms")]
    table = Table(*words, *numbers, box=None, pad_edge=False)
    last = ""
    for one in rows:
        low, high = one.interval.get(1, (float("nan"), float("nan")))
        milliseconds = one.frame_ms if is_front else one.search_ms
        table.add_row(
            *([one.encoder] if is_front else []),
            one.method if one.method != last or is_front else "",
            str(one.size),
            *(f"{one.recall[k]:.3f}" if k in one.recall else "" for k in (1, 5)),
            f"{low:.3f}-{high:.3f}",
            f"{one.map_at[4]:.3f}" if 4 in one.map_at else "",
            str(one.bytes_per_place),
            "" if milliseconds is None else f"{milliseconds:.2f}",
        )
        last = one.method
    return table
