"""``vpr pairs``: image pairs for hloc and COLMAP."""

from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from vpr_aesvc.cli import options as opt
from vpr_aesvc.cli.console import out, progress_bars, say_source
from vpr_aesvc.errors import require_installed
from vpr_aesvc.files import check_free
from vpr_aesvc.placemap import PlaceMap


def pairs_command(
    map: opt.MapPath,
    input: opt.InputPath,
    /,
    *,
    output: opt.Output,
    top: Annotated[int, opt.number("Pair each image with so many of the most similar places.", 1)] = 20,
    window: Annotated[int, opt.number("Also pair each image with so many that follow it in the input.", 0)] = 0,
    within: Annotated[float | None, opt.number("Only places at most so many meters from the image.", 0)] = None,
    beyond: Annotated[float | None, opt.number("Only places at least so many meters from the image.", 0)] = None,
    seconds: Annotated[float | None, opt.number("Only places at least so many seconds from the image.", 0)] = None,
    images: Annotated[Path | None, Parameter(help="The folder of all images; names are paths in it.")] = None,
    features: Annotated[Path | None, Parameter(help="Also write all descriptors here, as hloc's .h5 file.")] = None,
    model: opt.ModelOption = None,
    embeddings: opt.Embeddings = None,
    reading: opt.InputFlags = opt.InputFlags(),
    runtime: opt.RuntimeFlags = opt.RuntimeFlags(),
) -> None:
    """Write the pairs of images that hloc or COLMAP should match, two names a line.

    To reconstruct the images of a map, give them again: no image is paired with itself, and each pair is listed once.

    Example:  vpr pairs office.vprmap office_images/ -o pairs.txt --top 20
    """
    from vpr_aesvc.interop.hloc import find_pairs
    from vpr_aesvc.replay.recognize import described

    check_free(output, "pairs")
    if features is not None:
        check_free(features, "features")
        require_installed(f"{features}: writing HDF5", "h5py")
    source = reading.open(input, embeddings).split("query")
    with PlaceMap.open(map) as place_map, progress_bars() as progress:
        describer = runtime.describer(place_map, model, source.embeddings)
        queries = described(source, describer, None, partial(progress, "searching"))
        conditions = {"within": within, "beyond": beyond, "recent_seconds": seconds}
        pairs = find_pairs(place_map, queries, top, window, images, conditions)
    if features is not None:
        pairs.write_features(features)
    pairs.write(output)
    say_source(source)
    out.print(f"{output}: {len(pairs.names)} pairs")
