"""Frames -> embeddings. Threads decode images while the backbone works. Unreadable images are skipped and listed."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.augment import make_view, view_seed
from vpr_aesvc.backbones import Backbone
from vpr_aesvc.backbones.given import GivenEmbeddings
from vpr_aesvc.embedding_cache import EmbeddingCache, InMemory, frame_key
from vpr_aesvc.errors import VprError
from vpr_aesvc.images import image_of
from vpr_aesvc.types import Frame, Image, Progress

_BATCH = 16
_DECODER_THREADS = 2
_MAX_VIEWED = 2000  # images that get augmented views


@dataclass
class Reader:
    """Decodes frames in order, with read-ahead. ``skipped`` gets one line for each frame that could not be read."""

    frames: Sequence[Frame]
    skipped: list[str] = field(default_factory=list)

    def __iter__(self) -> Iterator[tuple[int, Image]]:
        """(position in ``frames``, RGB uint8 image) of each readable frame."""
        with ThreadPoolExecutor(_DECODER_THREADS) as pool:
            numbered = iter(enumerate(self.frames))
            waiting = deque((at, pool.submit(image_of, frame)) for at, frame in islice(numbered, 2 * _BATCH))
            while waiting:
                at, result = waiting.popleft()
                waiting.extend((later, pool.submit(image_of, frame)) for later, frame in islice(numbered, 1))
                try:
                    yield at, result.result()
                except VprError as error:
                    self.skipped.append(str(error))

    def batches(self) -> Iterator[tuple[list[int], list[Image]]]:
        """(positions, images) of 16 readable frames at a time."""
        rows = iter(self)
        while batch := list(islice(rows, _BATCH)):
            yield [at for at, _ in batch], [image for _, image in batch]

    def require_one(self) -> None:
        """Raises VprError if no frame could be read."""
        if self.skipped and len(self.skipped) >= len(self.frames):
            raise VprError(f"none of the {len(self.frames)} images could be read; the first: {self.skipped[0]}")


@dataclass(frozen=True)
class Extraction:
    """Embeddings of the readable frames.

    Attributes:
        frames: the n readable frames.
        embeddings: [n, D], float32; with a cache unit-norm float16.
        views: [m, D], embeddings of augmented views.
        view_rows: int64 [m], the row in ``frames`` of each view.
        skipped: one line for each frame that was left out.
    """

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
    progress: Progress | None = None,
    cache: EmbeddingCache | None = None,
    viewed: Sequence[int] | None = None,
) -> Extraction:
    """Embeds every frame and, for training, ``views`` augmented views of it. ``views``: augmented views of each image; with
    more than 2,000 frames, of 2,000 evenly spaced ones, or of those at ``viewed``. ``progress``: called with (frames done, frames to do), without
    frames that the cache holds. ``cache``: embeddings are looked up here and added. The batches, and so the numbers, are
    the same after an interruption. Raises VprError: no image could be read, or the cache cannot be written."""
    if isinstance(backbone, GivenEmbeddings):
        return Extraction(list(frames), *backbone.with_views(frames), [])
    store = InMemory(backbone.dim) if cache is None else cache
    keys = [b"%d" % at if cache is None else frame_key(frame) for at, frame in enumerate(frames)]
    labels = {at: frames[at].label for at in (viewed_positions(len(frames)) if viewed is None else viewed)}
    view_keys = {
        at: [keys[at] + repr(view_seed(label, seed, k)).encode() for k in range(views)] for at, label in labels.items()
    }
    all_keys = [*keys, *chain.from_iterable(view_keys.values())]
    absent = {key for key, row in zip(all_keys, store.rows(all_keys), strict=True) if row < 0}
    missing = [at for at, key in enumerate(keys) if not absent.isdisjoint((key, *view_keys.get(at, ())))]
    reader = Reader([frames[at] for at in missing])
    for positions, images in reader.batches():
        batch = [(missing[at], image) for at, image in zip(positions, images, strict=True)]
        originals = [(keys[at], image, frames[at].label) for at, image in batch if keys[at] in absent]
        reader.skipped += _embed(backbone, originals, store)
        augmented = [
            (key, make_view(image, frames[at].label, seed, k), frames[at].label)
            for at, image in batch
            for k, key in enumerate(view_keys.get(at, ()))
            if key in absent
        ]
        reader.skipped += _embed(backbone, augmented, store)
        if progress:
            progress(positions[-1] + 1, len(missing))
    if (store.rows(keys) < 0).all():
        reader.require_one()
    return _collect(store, frames, keys, view_keys, reader.skipped)


def viewed_positions(count: int) -> Sequence[int]:
    """Which of so many frames get augmented views."""
    return range(count) if count <= _MAX_VIEWED else np.linspace(0, count - 1, _MAX_VIEWED).astype(int).tolist()


def _embed(backbone: Backbone, items: list[tuple[bytes, Image, str]], store: InMemory | EmbeddingCache) -> list[str]:
    """Embeds (key, image, label) as one batch and stores the finite embeddings. Returns a line for each of the others."""
    if not items:
        return []
    embeddings = backbone.embed([image for _, image, _ in items])
    finite = np.isfinite(embeddings).all(1)
    store.append([items[at][0] for at in np.flatnonzero(finite)], embeddings[finite])
    return [f"{items[at][2]}: the backbone gave numbers that are not finite" for at in np.flatnonzero(~finite)]


def _collect(
    store: InMemory | EmbeddingCache,
    frames: Sequence[Frame],
    keys: list[bytes],
    view_keys: dict[int, list[bytes]],
    skipped: list[str],
) -> Extraction:
    """Reads back what is stored of the frames."""
    rows = store.rows(keys)
    kept = np.flatnonzero(rows >= 0)
    row_of = {int(at): row for row, at in enumerate(kept)}
    views = [(row_of[at], key) for at, own_keys in view_keys.items() if at in row_of for key in own_keys]
    stored = store.rows([key for _, key in views])
    view_rows = np.array([row for row, _ in views], np.int64)[stored >= 0]
    readable = [frames[int(at)] for at in kept]
    return Extraction(readable, store.read(rows[kept]), store.read(stored[stored >= 0]), view_rows, skipped)
