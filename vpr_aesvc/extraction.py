"""Frames -> embeddings. Images are decoded by other threads while the backbone works; a bad one is skipped and named."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.augment import view_of, view_seed
from vpr_aesvc.backbones import Backbone
from vpr_aesvc.backbones.given import GivenEmbeddings
from vpr_aesvc.embedding_cache import EmbeddingCache, InMemory, frame_key
from vpr_aesvc.errors import VprError
from vpr_aesvc.images import read_image
from vpr_aesvc.types import Frame

_BATCH = 16
_DECODERS = 2
_MOST_VIEWED = 2000
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
            waiting = deque((at, pool.submit(image_of, frame)) for at, frame in islice(numbered, ahead))
            while waiting:
                at, result = waiting.popleft()
                waiting.extend((later, pool.submit(image_of, frame)) for later, frame in islice(numbered, 1))
                try:
                    yield at, result.result()
                except VprError as error:
                    self.skipped.append(str(error))

    def batches(self) -> Iterator[tuple[list[int], list[Image]]]:
        """The same, sixteen at a time."""
        rows = iter(self)
        while batch := list(islice(rows, _BATCH)):
            yield [at for at, _ in batch], [image for _, image in batch]

    def require_one(self) -> None:
        """Raises VprError if no frame at all could be read."""
        if self.skipped and len(self.skipped) >= len(self.frames):
            raise VprError(f"none of the {len(self.frames)} images could be read; the first: {self.skipped[0]}")


@dataclass(frozen=True)
class Extraction:
    """Embeddings of the frames that could be read: ``embeddings[i]`` [D] is of ``frames[i]``; float32, or unit-norm float16 in the
    cache's file. ``views[j]`` is of a changed view of ``frames[view_rows[j]]``."""

    frames: list[Frame]
    embeddings: NDArray[np.floating]
    views: NDArray[np.floating]
    view_rows: NDArray[np.int64]
    skipped: list[str]


def extract(
    backbone: Backbone,
    frames: Sequence[Frame],
    views: int = 0,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    cache: EmbeddingCache | None = None,
) -> Extraction:
    """Embeds every frame and, for training, ``views`` changed views of it.

    Args:
        views: changed views of each image; for more than 2,000 frames, of an even choice of 2,000 of them.
        progress: called with (frames done, frames to do); what the cache holds is not to do.
        cache: where embeddings are looked for first and kept. The batches are the same whether or not a run was cut short, so
            the numbers are too.

    Raises:
        VprError: no image could be read, or the cache's disk refuses.
    """
    if isinstance(backbone, GivenEmbeddings):
        given = backbone.look_up(frames)
        return Extraction(list(frames), given, given[:0], np.empty(0, np.int64), [])
    store = InMemory(backbone.dim) if cache is None else cache
    viewed = range(len(frames)) if views else range(0)
    if len(viewed) > _MOST_VIEWED:
        viewed = np.linspace(0, len(frames) - 1, _MOST_VIEWED).astype(np.int64).tolist()
    keys = [frame_key(frame) for frame in frames]
    # A view is the same wherever its image stands in the input.
    view_keys = {
        at: [frame_key(frames[at], *view_seed(frames[at].label, seed, k)) for k in range(views)] for at in viewed
    }
    new_originals = store.rows(keys) < 0
    new_views = np.zeros(len(frames), bool)
    every_view = [key for wanted in view_keys.values() for key in wanted]
    if every_view:
        new_views[list(view_keys)] = (store.rows(every_view).reshape(-1, views) < 0).any(1)
    missing = np.flatnonzero(new_originals | new_views)
    reader = Reader([frames[int(at)] for at in missing])

    def embed(found: list[tuple[bytes, Image, str]]) -> None:
        if not found:
            return
        embeddings = backbone.embed([image for _, image, _ in found])
        whole = np.isfinite(embeddings).all(1)
        reader.skipped += [
            f"{found[at][2]}: the backbone gave numbers that are not finite" for at in np.flatnonzero(~whole)
        ]
        store.append([found[at][0] for at in np.flatnonzero(whole)], embeddings[whole])

    for batch, images in reader.batches():
        of_batch = [(int(missing[at]), image) for at, image in zip(batch, images, strict=True)]
        embed([(keys[at], image, frames[at].label) for at, image in of_batch if new_originals[at]])
        embed(
            [
                (
                    view_keys[at][k],
                    view_of(image, np.random.default_rng(view_seed(frames[at].label, seed, k))),
                    frames[at].label,
                )
                for at, image in of_batch
                if new_views[at]
                for k in range(views)
            ]
        )
        if progress:
            progress(batch[-1] + 1, len(missing))
    rows = store.rows(keys)
    kept = np.flatnonzero(rows >= 0)
    if not len(kept):
        reader.require_one()
    row_of = {int(at): row for row, at in enumerate(kept)}
    of_views = [(row_of[at], key) for at, wanted in view_keys.items() if at in row_of for key in wanted]
    here = store.rows([key for _, key in of_views]) >= 0
    of_views = [found for found, known in zip(of_views, here, strict=True) if known]
    return Extraction(
        [frames[int(at)] for at in kept],
        store.read(rows[kept]),
        store.read(store.rows([key for _, key in of_views])),
        np.array([row for row, _ in of_views], np.int64),
        reader.skipped,
    )


def image_of(frame: Frame) -> Image:
    """The frame's image, RGB uint8 [H, W, 3].

    Raises:
        VprError: it cannot be read.
    """
    if frame.image is not None:
        return frame.image
    if frame.path is None:
        raise VprError(f"{frame.label}: the frame has neither an image nor a path")
    return read_image(frame.path)
