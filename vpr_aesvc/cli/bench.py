"""``vpr bench``."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.table import Table

from vpr_aesvc.backbones import BACKBONE_HELP, open_backbone
from vpr_aesvc.backbones.given import GivenEmbeddings, read_embeddings
from vpr_aesvc.cli.console import err, out, progress_bars, say_skipped, say_source
from vpr_aesvc.cli.options import Embeddings, Output
from vpr_aesvc.cli.train import parse_sizes
from vpr_aesvc.datasets.catalog import BENCHMARKS, open_dataset
from vpr_aesvc.embedding_cache import EmbeddingCache, default_cache
from vpr_aesvc.evaluation.methods import DEFAULT_METHODS, NAMES, check_methods
from vpr_aesvc.evaluation.results import MethodResult
from vpr_aesvc.files import check_free


def bench_command(
    set: Annotated[str, Parameter(help=f"{', '.join(BENCHMARKS)}, or the folder of your own data.")],
    /,
    *,
    output: Output,
    data: Annotated[Path | None, Parameter(help="Folder of a named set, see docs/benchmark.md.")] = None,
    backbone: Annotated[str, Parameter(help=f"What turns an image into an embedding: {BACKBONE_HELP}.")] = "hog",
    embeddings: Embeddings = None,
    methods: Annotated[str, Parameter(help=f"Among {', '.join(NAMES)}.")] = ",".join(DEFAULT_METHODS),
    sizes: Annotated[str, Parameter(help="Descriptor sizes, e.g. 16,32,64; powers of two by default.")] = "",
    seed: Annotated[int, Parameter(help="The same images and seed give the same numbers.")] = 0,
    cache: Annotated[Path | None, Parameter(help="Where embeddings are kept; default ~/.cache/vpr_aesvc.")] = None,
) -> None:
    """Compare descriptors by size on a benchmark or on your own data; write numbers, figures and a report.

    Every method is fitted on the database images alone, from the same embeddings and seed.

    Embeddings are kept: a run that was interrupted continues where it was.

    Examples:  vpr bench pitts30k --data pitts30k/ --backbone facebook/dinov2-base -o results/

               vpr bench my_building/ --backbone facebook/dinov2-small --sizes 32,64,128 -o results/
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
    opened = open_backbone(backbone) if embeddings is None else read_embeddings(embeddings, frames.frames)
    with ExitStack() as stack:
        kept = None
        if not isinstance(opened, GivenEmbeddings):
            kept = stack.enter_context(EmbeddingCache(cache or default_cache(), opened.fingerprint, opened.dim))
        progress = stack.enter_context(progress_bars())
        run = bench(frames, title, opened, wanted, chosen, seed, kept, progress)
        progress("writing the report", 0, 1)
        sentences = write_benchmark(run, set if set in BENCHMARKS else title, output)
        progress("writing the report", 1, 1)
    say_source(frames)
    say_skipped(run.protocol["skipped"], len(frames))
    for size in run.protocol["sizes_left_out"]:
        err.print(f"warning: size {size} is more than these images can fill; left out", style="yellow")
    out.print(results_table(run.evaluation.results))
    for sentence in sentences:
        out.print(sentence)
    out.print(f"\nlook at {output / 'report.html'} in a browser; the numbers are in {output / 'results.json'}")


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
