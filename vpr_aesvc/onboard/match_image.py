"""A frame and the place it was matched with, side by side, for whoever watches the robot. OpenCV only: the robot draws it too."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.images import resize
from vpr_aesvc.recognition.result import Recognition

Image = NDArray[np.uint8]

_HEIGHT = 240  # pixels of both pictures: as many as the longest side of a stored one
_WIDEST = 480  # of either, for panoramas
_BORDER, _GAP = 4, 4
_LINE = 20  # pixels of a line of words
_FONT, _SIZE = cv2.FONT_HERSHEY_SIMPLEX, 0.45
_GREEN, _RED, _GRAY = (34, 150, 74), (198, 40, 40), (120, 120, 120)  # RGB
_PAPER, _INK = (16, 20, 26), (232, 236, 241)


def match_image(query: Image, place: Image | None, found: Recognition) -> Image:
    """The frame on the left, the best place's picture on the right; a green border where the match was accepted, red where not.
    Below: what is thought of it, and why.

    Args:
        query: RGB uint8 [H, W, 3].
        place: RGB uint8 [h, w, 3], the stored picture; None where there is no match or none was stored.

    Returns:
        RGB uint8 [H', W', 3]; H' and W' depend on the shapes of the two pictures alone, so that a viewer need not change its size.
    """
    left = _fitted(query)
    right = _fitted(place) if place is not None else np.full_like(left, 40)
    if place is None:
        _write(right, "no place" if found.best is None else "no picture stored", 8, _HEIGHT // 2)
    color = _GREEN if found.accepted else _RED if found.best is not None else _GRAY
    pictures = np.hstack([left, np.full((_HEIGHT, _GAP, 3), color, np.uint8), right])
    pictures = cv2.copyMakeBorder(pictures, *(_BORDER,) * 4, cv2.BORDER_CONSTANT, value=color)
    words = np.full((3 * _LINE + 6, pictures.shape[1], 3), _PAPER, np.uint8)
    for at, line in enumerate(_fit([*_said(found)], pictures.shape[1] - 12)):
        _write(words, line, 6, _LINE * (at + 1) - 4)
    return np.vstack([pictures, words])


def _said(found: Recognition) -> list[str]:
    if found.best is None:
        return [found.why]
    place = found.best.place
    key_points = "" if found.inliers is None else f"   inliers {found.inliers}"
    return [
        f"{'accepted' if found.accepted else 'not accepted'}   probability {found.probability:.2f}   "
        f"similarity {found.best.similarity:.2f}{key_points}",
        f"place {place.id}: {place.label}",
        found.why.split(": ", 1)[-1],
    ]


def _fitted(image: Image) -> Image:
    """As high as all others; what is wider than a panorama is made narrower."""
    width = round(image.shape[1] * _HEIGHT / image.shape[0])
    return resize(image, _HEIGHT, min(max(width, _HEIGHT // 2), _WIDEST), "linear")


def _fit(lines: Sequence[str], width: int) -> list[str]:
    """Lines cut at the right where they are too long for ``width`` pixels; three at most."""
    fitted = []
    for line in lines[:3]:
        plain = line.encode("ascii", "replace").decode()  # the font of older OpenCVs has no other letters
        if _pixels(plain) > width:
            while plain and _pixels(plain + "...") > width:
                plain = plain[:-1]
            plain += "..."
        fitted.append(plain)
    return fitted


def _pixels(text: str) -> int:
    return int(cv2.getTextSize(text, _FONT, _SIZE, 1)[0][0])


def _write(image: Image, text: str, x: int, y: int) -> None:
    cv2.putText(image, text, (x, y), _FONT, _SIZE, _INK, 1, cv2.LINE_AA)
