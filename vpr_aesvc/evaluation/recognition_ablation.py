"""The recognizer with some of its parts turned off: the difference between two variants is what a part adds.

Descriptors are given; images are decoded only for geometry.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vpr_aesvc.describer import Describer
from vpr_aesvc.evaluation.metrics import precision_recall
from vpr_aesvc.evaluation.results import AcceptedMatches, PrecisionRecall, VariantResult
from vpr_aesvc.images import image_of
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.recognition.recognizer import Recognizer
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.recognition.similarity.calibration import reliability
from vpr_aesvc.types import Frame, Progress

_BATCH = 64  # images in memory while a map is written
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class AblationVariant:
    """Which parts of recognition are on. ``recognizer`` False is similarity search alone, which accepts every best match."""

    name: str
    recognizer: bool = True
    sequence: bool = False
    geometry: bool = False

    def open_recognizer(self, place_map: PlaceMap, describer: Describer, settings: RecognizerSettings) -> Recognizer:
        """A recognizer with these settings, but with the sequence and geometry of this variant."""
        parts = {"sequence": self.sequence, "geometry": self.geometry}
        return Recognizer(place_map, describer, settings.model_copy(update=parts))


SIMILARITY = AblationVariant("similarity", recognizer=False)
PROBABILITY = AblationVariant("+ probability")
SEQUENCE = AblationVariant("+ sequence", sequence=True)
GEOMETRY = AblationVariant("+ geometry", geometry=True)
ALL = AblationVariant("all", sequence=True, geometry=True)


def variants(sequence: bool, geometry: bool) -> list[AblationVariant]:
    """Similarity alone, probability, each requested part on its own, and both together."""
    parts = [SIMILARITY, PROBABILITY, *([SEQUENCE] if sequence else []), *([GEOMETRY] if geometry else [])]
    return [*parts, ALL] if sequence and geometry else parts


@dataclass(frozen=True)
class VariantAnswers:
    """Answers of one variant to q frames.

    Attributes:
        rows: int64 [q], map row of the best match, in the order the places were added; -1 without a match.
        similarities: float64 [q], its cosine.
        rates: float64 [q], the false-positive rate at which it is accepted; NaN for similarity alone.
        probabilities: float64 [q], that it is right; NaN likewise.
        ms: float64 [q], recognition time without decoding and describing the frame.
    """

    rows: NDArray[np.int64]
    similarities: NDArray[np.float64]
    rates: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    ms: NDArray[np.float64]

    @property
    def levels(self) -> NDArray[np.int64]:
        """int64 [q], the acceptance order; for similarity alone, the order of the similarities."""
        if np.isnan(self.rates).any():
            return np.unique(self.similarities, return_inverse=True)[1].astype(np.int64)
        return acceptance_levels(self.rates, self.probabilities)

    def accepted(self, rate: float) -> NDArray[np.bool_]:
        """bool [q], what is accepted at a false-positive rate; everything for similarity alone."""
        return np.asarray(np.isnan(self.rates) | (self.rates <= rate))


def acceptance_levels(rates: ArrayLike, probabilities: ArrayLike) -> NDArray[np.int64]:
    """int64 [q], highest accepted first: lower false-positive rate first, for equal rates higher probability first."""
    keys = np.column_stack([-np.asarray(rates, np.float64), probabilities])
    return np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


def recording_order(frames: Sequence[Frame]) -> NDArray[np.int64]:
    """Rows of the frames, int64 [n], by sequence and then by stamp (where all frames have one) or by index. Without these, the given order."""
    all_stamped = all(frame.stamp is not None for frame in frames)
    times = [(frame.stamp if all_stamped else frame.index) or 0.0 for frame in frames]
    keys = [(frame.sequence or "", times[row], row) for row, frame in enumerate(frames)]
    return np.array([row for *_, row in sorted(keys)], np.int64)


def write_map(
    path: Path,
    describer: Describer,
    frames: Sequence[Frame],
    descriptors: NDArray[np.float32],
    with_images: bool,
    progress: Progress | None = None,
) -> None:
    """Writes a new map of these places, in this order.

    Args:
        descriptors: float32 [n, d], unit norm.
        with_images: decode and store the images, which geometry needs.

    Raises:
        VprError: an image cannot be read, or the map cannot be written.
    """
    with PlaceMap.create(path, describer) as place_map:
        for at in range(0, len(frames), _BATCH):
            batch = frames[at : at + _BATCH]
            images = (image_of(frame) for frame in batch) if with_images else None
            place_map.add(batch, descriptors[at : at + _BATCH], images)
            if progress:
                progress(at + len(batch), len(frames))


def run_variant(
    place_map: PlaceMap,
    describer: Describer,
    variant: AblationVariant,
    frames: Sequence[Frame],
    descriptors: NDArray[np.float32],
    settings: RecognizerSettings,
    progress: Progress | None = None,
) -> VariantAnswers:
    """Recognizes frames in the given order. The recognizer is reset where the sequence changes.

    Args:
        place_map: made by ``write_map``.
        descriptors: float32 [q, d], unit norm.
        settings: the variant overrides ``sequence`` and ``geometry``.

    Raises:
        VprError: an image that geometry needs cannot be read.
    """
    if progress:
        progress(0, len(frames))  # preparing the recognizer of a large map takes seconds
    recognizer = variant.open_recognizer(place_map, describer, settings) if variant.recognizer else None
    if recognizer is not None:
        recognizer.prepare()
    answers, previous = [], None
    for at, frame in enumerate(frames):
        if recognizer is None:
            answers.append(_search(place_map, descriptors[at], settings.size))
        else:
            if previous is not None and frame.sequence != previous.sequence:
                recognizer.reset()
            with_image = replace(frame, image=image_of(frame)) if variant.geometry else frame
            answers.append(_recognize(recognizer, with_image, descriptors[at]))
        previous = frame
        if progress:
            progress(at + 1, len(frames))
    rows, similarities, rates, probabilities, ms = np.array(answers, np.float64).reshape(-1, 5).T
    return VariantAnswers(rows.astype(np.int64), similarities, rates, probabilities, ms)


Answer = tuple[int, float, float, float, float]  # a row of VariantAnswers. Places of a new map have the ids 1, 2, ...


def _search(place_map: PlaceMap, descriptor: NDArray[np.float32], size: int | None) -> Answer:
    start = time.perf_counter()
    matches = place_map.search(descriptor, 1, size)
    ms = 1000 * (time.perf_counter() - start)
    return matches[0].place.id - 1, matches[0].similarity, np.nan, np.nan, ms


def _recognize(recognizer: Recognizer, frame: Frame, descriptor: NDArray[np.float32]) -> Answer:
    start = time.perf_counter()
    result = recognizer.recognize(frame, descriptor=descriptor)
    ms = 1000 * (time.perf_counter() - start)
    row, similarity = (-1, -1.0) if result.best is None else (result.best.place.id - 1, result.best.similarity)
    return row, similarity, result.false_positive_rate, result.probability, ms


def score_variant(
    name: str, answers: VariantAnswers, hits: Flags, known: Flags, similarity_hits: Flags, rate: float
) -> VariantResult:
    """Everything that a report shows of a variant.

    Args:
        hits: bool [q], whether the best match is right.
        known: bool [q], whether the query has a right place.
        similarity_hits: bool [q], ``hits`` of similarity alone, over the same queries.
        rate: requested false-positive rate.
    """
    has_probability = not np.isnan(answers.rates).any()
    return VariantResult(
        name=name,
        recall_at_1=float(hits[known].mean()),
        gained=int((hits & ~similarity_hits).sum()),
        lost=int((similarity_hits & ~hits).sum()),
        curve=acceptance_curve(answers.levels, hits, known),
        at_rate=accepted_matches(answers.accepted(rate), hits, known),
        reliability=reliability(answers.probabilities, hits) if has_probability else None,
        ms=float(np.median(answers.ms)),
    )


def acceptance_curve(levels: NDArray[np.int64], hits: Flags, known: Flags) -> PrecisionRecall | None:
    """Precision and recall as the acceptance level falls; None where no best match is right. Recall is over the queries that have a right place,
    so that variants with different best matches can be compared. The area is the precision over that recall."""
    curve = precision_recall(levels.astype(np.float64), hits)
    if curve is None:
        return None
    most = float(hits.sum() / known.sum())
    return PrecisionRecall(
        curve.precision, most * curve.recall, most * curve.area, most * curve.recall_at_full_precision
    )


def accepted_matches(accepted: Flags, hits: Flags, known: Flags) -> AcceptedMatches:
    """Counts the accepted matches, bool [q]. The match of a query without a right place is always wrong."""
    right = int((accepted & hits).sum())
    return AcceptedMatches(
        right=right,
        wrong=int(accepted.sum()) - right,
        absent=int((accepted & ~known).sum()),
        recall=float((accepted & hits)[known].mean()),
    )
