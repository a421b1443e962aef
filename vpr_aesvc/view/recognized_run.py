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

from vpr_aesvc.errors import VprError
from vpr_aesvc.images import encode_jpeg, image_of, thumbnail
from vpr_aesvc.recognition.recognizer import Recognizer
from vpr_aesvc.recognition.result import Candidate, Recognition
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.types import Descriptor, Frame
from vpr_aesvc.view.places import DrawnPlaces, rounded

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

    def __getitem__(self, at: int) -> bytes:
        with self._lock:
            start, end = self._ends[at], self._ends[at + 1]  # IndexError, as of a list
            self._file.seek(start)
            return self._file.read(end - start)


class RecognizedRun:
    """Collects the answers of a run, in constant memory but for a few numbers a frame. ``details`` (JSON) and ``pictures`` (JPEG): of each frame."""

    def __init__(self, name: str, recognizer: Recognizer) -> None:
        self.name = name
        self.details, self.pictures, self._descriptors = Blobs(), Blobs(), Blobs()
        self._recognizer = recognizer
        self._frames: list[Frame] = []
        self._answers: list[tuple[int, bool, float]] = []  # place, accepted, probability

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, frame: Frame, descriptor: Descriptor, result: Recognition) -> None:
        """Images that cannot be read, as of embeddings without images, are not shown."""
        best, picture = -1 if result.best is None else result.best.place.id, b""
        self.details.append(json.dumps(_details(result, self._recognizer.settings)).encode())
        with suppress(VprError):
            picture = encode_jpeg(thumbnail(image_of(frame)))
        self.pictures.append(picture)
        self._descriptors.append(np.asarray(descriptor, np.float32).tobytes())
        self._answers.append((best, result.accepted, result.probability))
        self._frames.append(
            replace(frame, image=None, decode=None, depth=None, extra={})
        )  # now another thread may see it

    def collected(self, answers: Iterable[Answer]) -> Iterator[Answer]:
        """The answers, each added on its way."""
        for answer in answers:
            self.add(*answer)
            yield answer

    def similarities(self, at: int) -> bytes:
        """Cosines of a frame and all places, float32 [n], in the order of the map. Raises IndexError."""
        stored = np.frombuffer(self._descriptors[at], np.float32)
        return self._recognizer.snapshot.all_similarities(stored).astype("<f4").tobytes()

    def content(self, drawn: DrawnPlaces) -> dict[str, Any]:
        """The columns of all frames, for the page."""
        frames = list(self._frames)
        if not frames:
            return {"name": self.name, "truth": "", "frames": 0}
        from vpr_aesvc.view.truth import find_truth

        answers = self._answers[: len(frames)]
        row_of = {place.id: row for row, place in enumerate(drawn.places)}
        best = np.array([row_of.get(place, -1) for place, *_ in answers], np.int64)
        accepted = np.array([one[1] for one in answers], np.bool_)
        truth = find_truth(drawn, frames, best, accepted)
        wrong = accepted & (truth.right == 0)
        return {
            "name": self.name,
            "frames": len(frames),
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


def _details(result: Recognition, settings: RecognizerSettings) -> dict[str, Any]:
    return {
        "why": result.why,
        "message": result.message,
        "probability": round(result.probability, 4),
        "rate": round(result.false_positive_rate, 6),
        "requested": settings.false_positive_rate,
        "sequence": settings.sequence,
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
