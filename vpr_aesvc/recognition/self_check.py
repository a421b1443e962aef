"""What a map can promise: measured on its own places, each left out of the map and searched in the rest."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.placemap.copies import copy_places
from vpr_aesvc.placemap.interface import OpenMap
from vpr_aesvc.recognition.learned_models import read_model
from vpr_aesvc.recognition.map_snapshot import MapSnapshot
from vpr_aesvc.recognition.match_model import MatchModel, stored_name
from vpr_aesvc.recognition.recognizer import Recognizer
from vpr_aesvc.recognition.result import Recognition
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.recognition.similarity.leave_out import leave_neighborhood_out
from vpr_aesvc.recognition.similarity.null_model import NullModel
from vpr_aesvc.types import Image, Intrinsics, Place, Progress, Rows

_MOST_ASKED = 100
RATE = RecognizerSettings().false_positive_rate
_NAME = "promise"


@dataclass(frozen=True)
class Promise:
    """What recognition can do in a map by similarity alone.

    Attributes:
        places: number of places of the map when it was measured.
        lowest: the lowest false-positive rate that can be promised.
        asked, accepted: places that were left out and searched in the rest, and those whose right place was accepted at the default rate.
    """

    places: int
    lowest: float
    asked: int
    accepted: int

    def lines(self) -> list[str]:
        """For the user: the figures, and what to do about them."""
        return [
            f"lowest false-positive rate that this map can promise: {self.lowest:.2g}, measured with {self.places} places; more drives, or "
            "more of the surroundings, lower it",
            f"at the default {RATE:g}, {self.accepted} of {self.asked} places, left out and searched in the rest, are accepted by similarity "
            "alone; the others need key points or a sequence",
        ]


def measure_promise(place_map: OpenMap, progress: Progress | None = None) -> Promise:
    """Measures a map, and stores the result in it: about four seconds for 10,000 places. ``progress`` is called with (percent done, 100).

    Raises:
        VprError: the map is damaged, or the disk refuses.
    """
    snapshot = MapSnapshot(place_map, place_map.dim)
    snapshot.update()
    say: Progress = progress or (lambda done, of: None)
    result = leave_neighborhood_out(snapshot.neighborhoods, lambda part: say(round(100 * part), 100))
    say(100, 100)
    null = NullModel.fit(snapshot.neighborhoods, result)
    accepted = result.right & (null.false_positive_rate(result.present) <= RATE)
    promise = Promise(len(snapshot), null.min_rate, len(accepted), int(accepted.sum()))
    place_map.store_learned_parameters(_NAME, asdict(promise))
    return promise


def stored_promise(place_map: OpenMap) -> list[str]:
    """The lines of the stored result. Measures nothing."""
    stored = place_map.learned_parameters(_NAME)
    if not isinstance(stored, dict):
        return [
            "lowest false-positive rate that this map can promise: not measured (an older map, or one that was changed)"
        ]
    lines = Promise(**stored).lines()
    learned = place_map.learned_parameters(stored_name(place_map.dim))
    if isinstance(learned, dict) and isinstance(learned.get("worth"), dict):
        lines.append(read_model(MatchModel, "match model", learned["worth"]).line())
    return lines


def recognize_places(
    place_map: OpenMap, source: PlaceMap, ids: Sequence[int] | Rows
) -> Iterator[tuple[Place, Recognition]]:
    """Recognizes places of another map in this one, each as a single frame, with its stored descriptor and picture.

    Args:
        source: a map of the same model. ids: of its places.

    Raises:
        VprError: a map is damaged.
    """
    recognizer = Recognizer(place_map, None, RecognizerSettings(sequence=False))
    recognizer.prepare()
    all_ids, descriptors = source.descriptors()
    for place in source.places(ids).values():
        descriptor = descriptors[np.searchsorted(all_ids, place.id)].astype(np.float32)
        similarities = recognizer.snapshot.similarities(descriptor)
        recognizer.reset()
        belief = recognizer.filter.step(similarities)
        image, intrinsics = stored_view(source, place)
        yield place, recognizer.decide_match(image, similarities, belief, intrinsics)


def stored_view(place_map: OpenMap, place: Place) -> tuple[Image | None, Intrinsics | None]:
    """The stored picture of a place, RGB uint8 [H, W, 3], and the intrinsics of its camera in pixels of the picture; None where unknown."""
    image, camera = place_map.thumbnail(place.id), place_map.camera_of(place)
    if image is None or camera is None:
        return image, None
    intrinsics, (width, height) = camera
    return image, intrinsics.resized((height, width), image.shape)


@dataclass(frozen=True)
class RecognitionLoss:
    """Of removed places, searched as single new images at the default rate: accepted in the whole map without them, and in the pruned map."""

    asked: int
    before: int
    after: int


def recognition_loss(
    whole: PlaceMap, pruned: PlaceMap, kept: Rows, folder: Path, progress: Progress | None = None
) -> RecognitionLoss:
    """What recognition loses where a map is pruned.

    Args:
        kept: ids of the places of ``whole`` that ``pruned`` has.
        folder: for a temporary copy of ``whole``.
        progress: called with (places recognized, of all).

    Raises:
        VprError: a map is damaged, or the disk refuses.
    """
    ids = whole.descriptors()[0]
    removed = np.setdiff1d(ids, kept)
    asked = removed[np.linspace(0, len(removed) - 1, min(len(removed), len(ids) // 5, _MOST_ASKED)).astype(np.int64)]
    with PlaceMap.create_like(folder / "rest.vprmap", whole.meta) as rest:
        copy_places(whole, rest, np.setdiff1d(ids, asked))
        accepted = [0, 0]
        for number, one in enumerate((rest, pruned)):
            for at, (_, result) in enumerate(recognize_places(one, whole, asked), 1 + number * len(asked)):
                accepted[number] += result.accepted
                if progress:
                    progress(at, 2 * len(asked))
    return RecognitionLoss(len(asked), *accepted)
