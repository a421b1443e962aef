"""A run as it is recognized: what the page needs of each frame."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from tempfile import TemporaryFile
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError
from vpr_aesvc.images import encode_jpeg, image_of, thumbnail
from vpr_aesvc.recognition.map_snapshot import MapSnapshot
from vpr_aesvc.recognition.result import Candidate, Recognition
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.types import Descriptor, Frame
from vpr_aesvc.view.places import DrawnPlaces, rounded

NEWEST = 6000
"""Frames of a live run that the page keeps: some 120 MB of pictures in a temporary file."""
_PAIRS = 150  # key points drawn for a candidate
Answer = tuple[Frame, Descriptor, Recognition]


class Blobs:
    """A list of bytes, such as pictures, in an unnamed file: a long run has many."""

    def __init__(self) -> None:
        self._file = TemporaryFile()  # noqa: SIM115
        self._ends = [0]
        self._lock = Lock()

    def append(self, data: bytes) -> None:
        with self._lock:
            self._file.seek(self._ends[-1])
            self._file.write(data)
            self._ends.append(self._ends[-1] + len(data))

    def keep_newest(self, count: int) -> None:
        with self._lock:
            start = self._ends[-1 - count]
            self._file.seek(start)
            kept = self._file.read()
            self._file.seek(0)
            self._file.write(kept)
            self._file.truncate()
            self._ends = [end - start for end in self._ends[-1 - count :]]

    def __getitem__(self, at: int) -> bytes:
        with self._lock:
            start, end = self._ends[at], self._ends[at + 1]  # IndexError, as of a list
            self._file.seek(start)
            return self._file.read(end - start)


class RecognizedRun:
    """Collects the answers of a run, in constant memory but for a few numbers a frame. ``details`` (JSON) and ``pictures`` (JPEG): of each frame.

    Args:
        snapshot: the map that the run is recognized in, for ``similarities``.
        settings: of the recognition; None if another process recognizes.
        most: a live run never ends: of more frames than this, only the newest half is kept.
    """

    def __init__(
        self, name: str, snapshot: MapSnapshot, settings: RecognizerSettings | None = None, most: int | None = None
    ) -> None:
        self.name = name
        self.details, self.pictures, self._descriptors = Blobs(), Blobs(), Blobs()
        self._snapshot, self._settings, self._most = snapshot, settings, most
        self._frames: list[Frame] = []
        self._answers: list[tuple[int, bool, float]] = []  # place, accepted, probability
        self._dropped = 0  # frames that were not kept
        self._lock = Lock()  # the page reads while frames are dropped

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, frame: Frame, descriptor: Descriptor | None, result: Recognition) -> None:
        """Images that cannot be read, as of embeddings without images, are not shown."""
        best, picture = -1 if result.best is None else result.best.place.id, b""
        if self._most is not None and len(self) >= self._most:
            self._keep_newest(self._most // 2)
        self.details.append(json.dumps(_details(result, self._settings)).encode())
        with suppress(VprError):
            picture = encode_jpeg(thumbnail(image_of(frame)))
        self.pictures.append(picture)
        self._descriptors.append(b"" if descriptor is None else np.asarray(descriptor, np.float32).tobytes())
        self._answers.append((best, result.accepted, result.probability))
        self._frames.append(
            replace(frame, image=None, decode=None, depth=None, extra={})
        )  # now another thread may see it

    def _keep_newest(self, count: int) -> None:
        with self._lock:
            self._dropped += len(self) - count
            del self._frames[:-count], self._answers[:-count]
        for blobs in (self.details, self.pictures, self._descriptors):
            blobs.keep_newest(count)

    def collected(self, answers: Iterable[Answer]) -> Iterator[Answer]:
        """The answers, each added on its way."""
        for answer in answers:
            self.add(*answer)
            yield answer

    def similarities(self, at: int) -> bytes:
        """Cosines of a frame and all places, float32 [n], in the order of the map; empty without a descriptor. Raises IndexError."""
        stored = np.frombuffer(self._descriptors[at], np.float32)
        return self._snapshot.all_similarities(stored).astype("<f4").tobytes() if len(stored) else b""

    def descriptors(self, frames: Iterable[int], dim: int) -> NDArray[np.float32]:
        """Of some frames, float32 [n, dim]; NaN where it is unknown."""
        stored = (np.frombuffer(self._descriptors[at], np.float32) for at in frames)
        return np.array([one if len(one) else np.full(dim, np.nan) for one in stored], np.float32).reshape(-1, dim)

    def content(self, drawn: DrawnPlaces) -> dict[str, Any]:
        """The columns of all frames, for the page."""
        with self._lock:
            frames, dropped = list(self._frames), self._dropped
            answers = self._answers[: len(frames)]
        if not frames:
            return {"name": self.name, "truth": "", "frames": 0, "dropped": 0}
        from vpr_aesvc.view.truth import find_truth

        row_of = {place.id: row for row, place in enumerate(drawn.places)}
        best = np.array([row_of.get(place, -1) for place, *_ in answers], np.int64)
        accepted = np.array([one[1] for one in answers], np.bool_)
        truth = find_truth(drawn, frames, best, accepted)
        wrong = accepted & (truth.right == 0)
        return {
            "name": self.name,
            "frames": len(frames),
            "dropped": dropped,
            "truth": truth.words,
            "label": [frame.label for frame in frames],
            "stamp": [frame.stamp for frame in frames],
            "x": rounded(truth.xy[:, 0]),
            "y": rounded(truth.xy[:, 1]),
            "best": best.tolist(),
            "verdict": np.where(wrong, "wrong", np.where(accepted, "accepted", "refused")).tolist(),
            "right": rounded(truth.right),
            "error": rounded(truth.error),
            "probability": [round(one[2], 4) for one in answers],
        }


def _details(result: Recognition, settings: RecognizerSettings | None) -> dict[str, Any]:
    return {
        "why": result.why,
        "message": result.message,
        "probability": round(result.probability, 4),
        "rate": round(result.false_positive_rate, 6),
        "requested": settings and settings.false_positive_rate,
        "sequence": settings is not None and settings.sequence,
        "posterior": round(result.posterior, 4),
        "lost": round(result.lost, 4),
        "candidates": [_candidate(one) for one in result.candidates],
    }


def _candidate(candidate: Candidate) -> dict[str, Any]:
    place, geometry = candidate.match.place, candidate.geometry
    content: dict[str, Any] = {
        "id": place.id,
        "label": place.label,
        "traverse": place.traverse,
        "similarity": round(candidate.match.similarity, 4),
        "posterior": round(candidate.posterior, 4),
    }
    if geometry is not None:  # thousandths of the longest side of each picture
        points = np.rint(1000 * geometry.points[:_PAIRS]).astype(int).ravel().tolist()
        content |= {"inliers": geometry.inliers, "matches": geometry.matches, "why": geometry.why, "points": points}
    return content
