"""Speed and memory of the extraction of embeddings.

    python benchmarks/extraction.py INPUT --backbone SPEC [--images 17000] [--plot memory.png]

The images of INPUT are repeated up to the requested number. Each is decoded, embedded and stored in a new embedding cache. Prints images per second,
compared with decoding and embedding one after the other (the peer), and resident memory after a warm-up, at the end and at most. The
plot shows memory during the run.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

from vpr_aesvc.backbones import Backbone, open_backbone
from vpr_aesvc.embedding_cache import EmbeddingCache
from vpr_aesvc.extraction import extract
from vpr_aesvc.images import read_image
from vpr_aesvc.inputs import open_input
from vpr_aesvc.types import Frame

_WARM_UP = 0.1  # fraction of the images after which libraries have allocated their memory


def resident_mb() -> float:
    """Resident memory of this process, without memory-mapped files such as the cache."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["RssAnon"].split()[0]) / 1024


def measure(backbone: Backbone, frames: list[Frame], folder: Path) -> tuple[float, list[tuple[int, float]]]:
    """Images per second, and (images done, resident MB) during the run."""
    memory: list[tuple[int, float]] = []
    start = time.perf_counter()
    with EmbeddingCache(folder, backbone.fingerprint, backbone.dim) as cache:
        extract(backbone, frames, progress=lambda done, _: memory.append((done, resident_mb())), cache=cache)
    return len(frames) / (time.perf_counter() - start), memory


def one_after_the_other(backbone: Backbone, frames: list[Frame]) -> float:
    """The peer: decodes 16 images, then embeds them. Images per second."""
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
    arguments = parser.parse_args()
    backbone = open_backbone(arguments.backbone)
    repeated = islice(cycle(open_input(arguments.input).frames), arguments.images)
    frames = list(repeated)
    peer = one_after_the_other(backbone, frames[: max(16, len(frames) // 20)])
    with tempfile.TemporaryDirectory() as folder:
        speed, memory = measure(backbone, frames, Path(folder))
    warm = next(mb for done, mb in memory if done >= _WARM_UP * len(frames))
    print(
        f"{len(frames)} images, {arguments.backbone}: {speed:.1f} images/s; decoding and embedding in turn {peer:.1f} images/s"
    )
    print(
        f"resident memory: {warm:.0f} MB after 10 % of the images, {memory[-1][1]:.0f} MB at the end, {max(mb for _, mb in memory):.0f} MB at most"
    )
    if arguments.plot:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6.4, 3.6), layout="constrained")
        axes = figure.add_subplot()
        axes.plot(*zip(*memory, strict=True), color="black", linewidth=1)
        axes.set(xlabel="images embedded", ylabel="resident memory [MB]", xlim=(0, len(frames)), ylim=(0, None))
        axes.set_title(f"{arguments.backbone}, {speed:.0f} images/s", fontsize=10)
        figure.savefig(arguments.plot, dpi=150)


if __name__ == "__main__":
    main()
