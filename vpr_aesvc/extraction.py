"""Frames -> embeddings. Images are decoded by other threads while the backbone works; a bad one is skipped and named."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.augment import view_of
from vpr_aesvc.backbones import Backbone
from vpr_aesvc.errors import VprError
from vpr_aesvc.images import read_image
from vpr_aesvc.types import Frame

_BATCH = 16
_DECODERS = 2
Image = NDArray[np.uint8]


@dataclass
class Reader:
    """Decodes frames in order, a few ahead of the one asked for; remembers what it had to skip.

    ``skipped`` holds one clear line for each frame that could not be read.
    """

    frames: Sequence[Frame]
    skipped: list[str] = field(default_factory=list)

    def __iter__(self) -> Iterator[tuple[int, Image]]:
        """(position in ``frames``, RGB uint8 image), without the frames that could not be read."""
        ahead = 2 * _BATCH
        with ThreadPoolExecutor(_DECODERS) as pool:
            numbered = iter(enumerate(self.frames))
            waiting = deque((at, pool.submit(_decode, frame)) for at, frame in islice(numbered, ahead))
            while waiting:
                at, result = waiting.popleft()
                waiting.extend((later, pool.submit(_decode, frame)) for later, frame in islice(numbered, 1))
                try:
                    yield at, result.result()
                except VprError as error:
                    self.skipped.append(str(error))

    def batches(self) -> Iterator[tuple[list[int], list[Image]]]:
        """The same, sixteen at a time."""
        rows = iter(self)
        while batch := list(islice(rows, _BATCH)):
            yield [at for at, _ in batch], [image for _, image in batch]
        if len(self.skipped) == len(self.frames):
            raise VprError(f"none of the {len(self.frames)} images could be read; the first: {self.skipped[0]}")


@dataclass(frozen=True)
class Extraction:
    """Embeddings of the frames that could be read: ``embeddings[i]`` float32 [D] is of ``frames[i]``."""

    frames: list[Frame]
    embeddings: NDArray[np.float32]
    views: NDArray[np.float32]
    view_rows: NDArray[np.int64]
    skipped: list[str]


def extract(
    backbone: Backbone,
    frames: Sequence[Frame],
    views: int = 0,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Extraction:
    """Embeds every frame and, for training, ``views`` changed views of it.

    Args:
        views: changed views of each image; for more than 2,000 frames, of an even choice of 2,000 of them.
        progress: called with (frames done, frames).

    Raises:
        VprError: no image could be read.
    """
    reader = Reader(frames)
    every = max(1, -(-len(frames) // 2000))
    kept: list[Frame] = []
    parts, view_parts, view_rows = [], [], []
    for positions, images in reader.batches():
        parts.append(backbone.embed(images))
        changed = [
            (len(kept) + i, view_of(image, np.random.default_rng((seed, at, k))))
            for i, (at, image) in enumerate(zip(positions, images, strict=True))
            for k in range(views)
            if at % every == 0
        ]
        if changed:
            view_parts.append(backbone.embed([image for _, image in changed]))
            view_rows += [row for row, _ in changed]
        kept += [frames[at] for at in positions]
        if progress:
            progress(positions[-1] + 1, len(frames))
    empty = np.empty((0, backbone.dim), np.float32)
    return Extraction(
        kept,
        np.concatenate(parts),
        np.concatenate(view_parts) if view_parts else empty,
        np.asarray(view_rows, np.int64),
        reader.skipped,
    )


def _decode(frame: Frame) -> Image:
    if frame.image is not None:
        return frame.image
    if frame.path is None:
        raise VprError(f"{frame.label}: the frame has neither an image nor a path")
    return read_image(frame.path)
