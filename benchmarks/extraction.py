"""How fast images become embeddings, and whether memory stays where it is.

    python benchmarks/extraction.py INPUT --backbone SPEC [--images 17000] [--plot memory.png]

INPUT's images are read again and again until there are as many as asked for; each is decoded and embedded anew, and kept in a
fresh embedding cache. Printed: images a second against decoding and embedding one after the other (the peer), and resident memory
after a warm-up and at the end. The plot shows it all along the way.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

from vpr_aesvc.backbones import Backbone, open_backbone
from vpr_aesvc.datasets import open_input
from vpr_aesvc.embedding_cache import EmbeddingCache
from vpr_aesvc.extraction import extract
from vpr_aesvc.images import read_image
from vpr_aesvc.types import Frame

_WARM = 0.1  # of the images: libraries have taken their working memory by then


def resident_mb() -> float:
    """Memory of this process that is its own: without the cache's file, which the system maps and may drop."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["RssAnon"].split()[0]) / 1024


def measure(backbone: Backbone, frames: list[Frame], folder: Path) -> tuple[float, list[tuple[int, float]]]:
    """Images a second, and (images done, resident MB) along the way."""
    seen: list[tuple[int, float]] = []
    start = time.perf_counter()
    with EmbeddingCache(folder, backbone.fingerprint, backbone.dim) as cache:
        extract(backbone, frames, progress=lambda done, _: seen.append((done, resident_mb())), cache=cache)
    return len(frames) / (time.perf_counter() - start), seen


def one_after_the_other(backbone: Backbone, frames: list[Frame]) -> float:
    """The peer: decode sixteen, embed sixteen. Images a second."""
    start = time.perf_counter()
    for at in range(0, len(frames), 16):
        backbone.embed([read_image(frame.path) for frame in frames[at : at + 16] if frame.path])
    return len(frames) / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", type=Path)
    parser.add_argument("--backbone", default="hog")
    parser.add_argument("--images", type=int, default=17_000)
    parser.add_argument("--plot", type=Path, help="a PNG or SVG file")
    words = parser.parse_args()
    backbone = open_backbone(words.backbone)
    again = islice(cycle(open_input(words.input).frames), words.images)
    frames = list(again)
    peer = one_after_the_other(backbone, frames[: max(16, len(frames) // 20)])
    with tempfile.TemporaryDirectory() as folder:
        speed, seen = measure(backbone, frames, Path(folder))
    warm = next(mb for done, mb in seen if done >= _WARM * len(frames))
    print(
        f"{len(frames)} images, {words.backbone}: {speed:.1f} images/s; decoding and embedding in turn {peer:.1f} images/s"
    )
    print(
        f"resident memory: {warm:.0f} MB after a tenth, {seen[-1][1]:.0f} MB at the end, {max(mb for _, mb in seen):.0f} MB at most"
    )
    if words.plot:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6.4, 3.6), layout="constrained")
        axes = figure.add_subplot()
        axes.plot(*zip(*seen, strict=True), color="black", linewidth=1)
        axes.set(xlabel="images embedded", ylabel="resident memory [MB]", xlim=(0, len(frames)), ylim=(0, None))
        axes.set_title(f"{words.backbone}, {speed:.0f} images/s", fontsize=10)
        figure.savefig(words.plot, dpi=150)


if __name__ == "__main__":
    main()
