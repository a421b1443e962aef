"""The real recognizer, asked in several forms: what one part adds is the difference between two of them.

A form is asked about frames in their order, with descriptors that are known already; images are decoded for geometry alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.describer import Describer
from vpr_aesvc.extraction import image_of
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.recognition.recognizer import Recognizer
from vpr_aesvc.recognition.result import Recognition
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.types import Frame

_AT_ONCE = 64  # pictures in memory while a map is written
Tell = Callable[[int, int], None]


@dataclass(frozen=True)
class AblationVariant:
    """What a match rests on. ``recognizer`` is False for similarity alone, which accepts every best match."""

    name: str
    recognizer: bool = True
    sequence: bool = False
    geometry: bool = False


SIMILARITY = AblationVariant("similarity", recognizer=False)
PROBABILITY = AblationVariant("+ probability")
SEQUENCE = AblationVariant("+ sequence", sequence=True)
GEOMETRY = AblationVariant("+ geometry", geometry=True)
ALL = AblationVariant("all", sequence=True, geometry=True)


def forms(sequence: bool, geometry: bool) -> list[AblationVariant]:
    """A single frame's similarity, its probability, and then each part that is wanted, and both together."""
    wanted = [SIMILARITY, PROBABILITY]
    if sequence:
        wanted.append(SEQUENCE)
    if geometry:
        wanted.append(GEOMETRY)
    return [*wanted, ALL] if sequence and geometry else wanted


@dataclass(frozen=True)
class Answers:
    """What a form answered to q frames, in the order in which they were asked.

    Attributes:
        rows: int64 [q], the best match, as the row of the place in the order it was added; -1 where there is none.
        similarities: float64 [q], its cosine.
        rates: float64 [q], the false-positive rate of accepting it; NaN for similarity alone, which promises none.
        probabilities: float64 [q], that it is right; NaN likewise.
        ms: float64 [q], how long recognition took, without decoding and describing the frame.
    """

    rows: NDArray[np.int64]
    similarities: NDArray[np.float64]
    rates: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    ms: NDArray[np.float64]

    @property
    def levels(self) -> NDArray[np.int64]:
        """int64 [q]: the higher, the sooner accepted. By the rate, between equal rates by the probability; similarity alone by itself."""
        if np.isnan(self.rates).any():
            return np.unique(self.similarities, return_inverse=True)[1].astype(np.int64)
        keys = np.column_stack([-self.rates, self.probabilities])
        return np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)

    def accepted(self, rate: float) -> NDArray[np.bool_]:
        """bool [q], what is accepted at a false-positive rate; everything where none is promised."""
        return np.asarray(np.isnan(self.rates) | (self.rates <= rate))


def in_order(frames: Sequence[Frame]) -> NDArray[np.int64]:
    """Rows by sequence and, within one, by stamp where all frames have one, else by index, int64 [n]; as they are where the frames
    say none of these."""
    timed = all(frame.stamp is not None for frame in frames)
    when = [(frame.stamp if timed else frame.index) or 0.0 for frame in frames]
    keys = [(frame.sequence or "", when[at], at) for at, frame in enumerate(frames)]
    return np.array([at for *_, at in sorted(keys)], np.int64)


def write_map(
    path: Path,
    describer: Describer,
    frames: Sequence[Frame],
    descriptors: NDArray[np.float32],
    pictures: bool,
    tell: Tell | None = None,
) -> None:
    """A new map of these places in this order.

    Args:
        descriptors: float32 [n, d], unit norm.
        pictures: whether to decode the images and keep a picture of each, as geometry needs.

    Raises:
        VprError: an image cannot be read, or the disk refuses.
    """
    with PlaceMap.create(path, describer) as place_map:
        for at in range(0, len(frames), _AT_ONCE):
            part = frames[at : at + _AT_ONCE]
            images = (image_of(frame) for frame in part) if pictures else None
            place_map.add(part, descriptors[at : at + _AT_ONCE], images)
            if tell:
                tell(at + len(part), len(frames))


def ask(
    place_map: PlaceMap,
    describer: Describer,
    form: AblationVariant,
    frames: Sequence[Frame],
    descriptors: NDArray[np.float32],
    settings: RecognizerSettings,
    tell: Tell | None = None,
) -> Answers:
    """Asks about frames that are in order; where the sequence changes, what was known of the way is forgotten.

    Args:
        place_map: one that :func:`write_map` made.
        descriptors: float32 [q, d], unit norm.
        settings: all but ``sequence`` and ``geometry``, which the form decides.

    Raises:
        VprError: an image that geometry needs cannot be read.
    """
    if tell:
        tell(0, len(frames))  # a large map is learned from first, for seconds
    one = _searcher(place_map, settings) if not form.recognizer else _recognizer(place_map, describer, form, settings)
    found = []
    for at, frame in enumerate(frames):
        found.append(one(frame, descriptors[at]))
        if tell:
            tell(at + 1, len(frames))
    table = np.array(found, np.float64).reshape(-1, 5).T
    return Answers(table[0].astype(np.int64), table[1], table[2], table[3], table[4])


_Ask = Callable[[Frame, NDArray[np.float32]], tuple[int, float, float, float, float]]


def _searcher(place_map: PlaceMap, settings: RecognizerSettings) -> _Ask:
    def one(_: Frame, descriptor: NDArray[np.float32]) -> tuple[int, float, float, float, float]:
        start = time.perf_counter()
        [matches] = place_map.search(descriptor, 1, settings.size)
        spent = 1000 * (time.perf_counter() - start)
        return matches[0].place.id - 1, matches[0].similarity, np.nan, np.nan, spent

    return one


def _recognizer(place_map: PlaceMap, describer: Describer, form: AblationVariant, settings: RecognizerSettings) -> _Ask:
    recognizer = Recognizer(
        place_map, describer, settings.model_copy(update={"sequence": form.sequence, "geometry": form.geometry})
    )
    recognizer.prepare()
    before: list[str | None] = []

    def one(frame: Frame, descriptor: NDArray[np.float32]) -> tuple[int, float, float, float, float]:
        if before and frame.sequence != before[0]:
            recognizer.reset()
        before[:] = [frame.sequence]
        seen = replace(frame, image=image_of(frame)) if form.geometry else frame
        start = time.perf_counter()
        found: Recognition = recognizer.recognize(seen, descriptor=descriptor)
        spent = 1000 * (time.perf_counter() - start)
        # The places of a new map are numbered from 1 in the order they were added.
        row = -1 if found.best is None else found.best.place.id - 1
        near = -1.0 if found.best is None else found.best.similarity
        return row, near, found.false_positive_rate, found.probability, spent

    return one
