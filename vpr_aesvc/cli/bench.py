"""``vpr bench``."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.table import Table

from vpr_aesvc.backbones import BACKBONE_HELP, Backbone, open_backbone
from vpr_aesvc.backbones.given import GivenEmbeddings, read_embeddings
from vpr_aesvc.cli.console import err, out, progress_bars, say_skipped, say_source
from vpr_aesvc.cli.options import EMBEDDINGS_HELP, Output
from vpr_aesvc.cli.train import parse_sizes
from vpr_aesvc.datasets.catalog import BENCHMARKS, open_dataset
from vpr_aesvc.embedding_cache import EmbeddingCache, default_cache
from vpr_aesvc.evaluation.methods import DEFAULT_METHODS, NAMES, check_methods
from vpr_aesvc.evaluation.results import R1, MethodResult, Report, pareto_front
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
                shown = progress if len(encoders) == 1 else _named(progress, label)
                runs.append(bench(frames, title, opened, wanted, chosen, seed, kept, shown, label))
        progress("writing the report", 0, 1)
        report = write_benchmark(runs, set if set in BENCHMARKS else title, output)
        progress("writing the report", 1, 1)
    say_source(frames)
    for run in runs:
        say_skipped(run.protocol["skipped"], len(frames))
        for size in run.protocol["sizes_left_out"]:
            err.print(f"warning: size {size} is more than these images can fill; left out", style="yellow")
    out.print(results_table(report.results) if len(runs) == 1 else front_table(report))
    for sentence in (*report.summary, "", *report.advice):
        out.print(sentence)
    out.print(f"\nlook at {output / 'report.html'} in a browser; the numbers are in {output / 'results.json'}")


def _named(progress: StageProgress, encoder: str) -> StageProgress:
    """Stages with the name of the encoder."""
    return lambda stage, done, of: progress(f"{encoder}: {stage}", done, of)


def front_table(report: Report) -> Table:
    """The Pareto front of recall at 1 and bytes a place, over all encoders. Fits 80 columns."""
    table = Table(
        "encoder",
        "method",
        "size",
        "R@1",
        "95 % of R@1",
        "bytes",
        "ms",
        title="No other has a higher R@1 with as few bytes",
    )
    rows = pareto_front([one for one in report.results if R1.value(one) is not None], "bytes_per_place")
    if report.use is not None and report.use not in rows:
        rows.append(report.use)
    for one in rows:
        low, high = one.interval[1]
        ms = "" if one.frame_ms is None else f"{one.frame_ms:.1f}"
        numbers = (f"{one.recall[1]:.3f}", f"{low:.3f}-{high:.3f}", str(one.bytes_per_place), ms)
        table.add_row(one.encoder, one.method, str(one.size), *numbers, style="bold" if one is report.use else None)
    return table


def results_table(results: list[MethodResult]) -> Table:
    """One row for each method and size: what it recalls, bytes a place, milliseconds a search. Fits 80 columns."""
    table = Table("method", "size", "R@1", "R@5", "95 % of R@1", "mAP@4", "bytes", "ms")
    table.columns[0].no_wrap = True
    last = ""
    for one in results:
        low, high = one.interval.get(1, (float("nan"), float("nan")))
        table.add_row(
            one.method if one.method != last else "",
            str(one.size),
            *(f"{one.recall[k]:.3f}" if k in one.recall else "" for k in (1, 5)),
            f"{low:.3f}-{high:.3f}",
            f"{one.map_at[4]:.3f}" if 4 in one.map_at else "",
            str(one.bytes_per_place),
            "" if one.search_ms is None else f"{one.search_ms:.2f}",
        )
        last = one.method
    return table
