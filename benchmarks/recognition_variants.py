"""The recognizer with some of its parts turned off: the difference between two variants is what a part adds.

Descriptors are given; images are decoded only for geometry. Not a program: `recognition.py` and `match_prior.py` use it.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.describer import Describer
from vpr_aesvc.evaluation.calibration import Reliability, reliability
from vpr_aesvc.evaluation.drive import Variant
from vpr_aesvc.evaluation.drive_measures import acceptance_levels
from vpr_aesvc.evaluation.metrics import precision_recall
from vpr_aesvc.evaluation.results import PrecisionRecall
from vpr_aesvc.images import image_of
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.recognition.recognizer import Recognizer
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.types import Frame, Progress

_BATCH = 64  # images in memory while a map is written
Flags = NDArray[np.bool_]


SIMILARITY = Variant("similarity")  # similarity search alone, without a recognizer: it accepts every best match
_PARTS = (Variant("+ probability"), Variant("+ sequence", sequence=True), Variant("+ geometry", geometry=True))
VARIANTS = (SIMILARITY, *_PARTS, Variant("all", sequence=True, geometry=True))


@dataclass(frozen=True)
class AcceptedMatches:
    """Counts of accepted matches. ``wrong`` includes ``absent``, the matches of queries without a right place. ``recall`` is the fraction of the
    queries with a right place whose accepted match is right."""

    right: int
    wrong: int
    absent: int
    recall: float


@dataclass(frozen=True)
class VariantResult:
    """Scores of one variant.

    Attributes:
        recall_at_1: of the best match, accepted or not.
        gained, lost: queries whose best match is right only with this variant, or only by similarity alone.
        curve: as the acceptance threshold falls; its recall is over the queries that have a right place. None where no match is right.
        reliability: of the probability of the best match; None for similarity alone.
        ms: median time to recognize one frame, without describing it.
    """

    recall_at_1: float
    gained: int
    lost: int
    curve: PrecisionRecall | None
    reliability: Reliability | None
    ms: float


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
    variant: Variant,
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
    recognizer = None if variant is SIMILARITY else variant.open_recognizer(place_map, describer, settings)
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


def score_variant(answers: VariantAnswers, hits: Flags, known: Flags, similarity_hits: Flags) -> VariantResult:
    """
    Args:
        hits: bool [q], whether the best match is right.
        known: bool [q], whether the query has a right place.
        similarity_hits: bool [q], ``hits`` of similarity alone, over the same queries.
    """
    has_probability = not np.isnan(answers.rates).any()
    return VariantResult(
        recall_at_1=float(hits[known].mean()),
        gained=int((hits & ~similarity_hits).sum()),
        lost=int((similarity_hits & ~hits).sum()),
        curve=acceptance_curve(answers.levels, hits, known),
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
