"""Draws a frame and its matched place side by side. Uses OpenCV only, because it also runs on the robot."""

import cv2
import numpy as np

from vpr_aesvc.images import resize
from vpr_aesvc.recognition.result import Recognition
from vpr_aesvc.types import Image

# Pixels.
_HEIGHT = 240  # of both images: the longest side of a thumbnail
_MAX_WIDTH = 480  # of either image; wider panoramas are squeezed
_BORDER, _GAP = 4, 4
_LINE_HEIGHT = 20
_FONT, _SIZE = cv2.FONT_HERSHEY_SIMPLEX, 0.45
_GREEN, _RED, _GRAY = (34, 150, 74), (198, 40, 40), (120, 120, 120)  # RGB
_BACKGROUND, _TEXT = (16, 20, 26), (232, 236, 241)


def match_image(query: Image, place: Image | None, recognition: Recognition) -> Image:
    """The frame on the left, the thumbnail of the best place on the right, and a caption below. The border is green if the match was
    accepted, red if not, gray without a match.

    Args:
        query: RGB uint8 [H, W, 3].
        place: RGB uint8 [h, w, 3], the thumbnail; None if there is no match or no thumbnail.

    Returns:
        RGB uint8 [H', W', 3]. The size depends only on the sizes of the two images, so a viewer's window keeps its size.
    """
    left = _scaled(query)
    right = _scaled(place) if place is not None else np.full_like(left, 40)
    if place is None:
        _write(right, "no place" if recognition.best is None else "no thumbnail", 8, _HEIGHT // 2)
    color = _GREEN if recognition.accepted else _RED if recognition.best is not None else _GRAY
    images = np.hstack([left, np.full((_HEIGHT, _GAP, 3), color, np.uint8), right])
    images = cv2.copyMakeBorder(images, *(_BORDER,) * 4, cv2.BORDER_CONSTANT, value=color)
    caption = np.full((3 * _LINE_HEIGHT + 6, images.shape[1], 3), _BACKGROUND, np.uint8)
    for row, line in enumerate(_caption(recognition)):
        _write(caption, _shortened(line, images.shape[1] - 12), 6, _LINE_HEIGHT * (row + 1) - 4)
    return np.vstack([images, caption])


def _caption(recognition: Recognition) -> list[str]:
    if recognition.best is None:
        return [recognition.why]
    place = recognition.best.place
    key_points = "" if recognition.inliers is None else f"   inliers {recognition.inliers}"
    return [
        f"{'accepted' if recognition.accepted else 'not accepted'}   probability {recognition.probability:.2f}   "
        f"similarity {recognition.best.similarity:.2f}{key_points}",
        f"place {place.id}: {place.label}",
        recognition.why.split(": ", 1)[-1],
    ]


def _scaled(image: Image) -> Image:
    """Scaled to the common height."""
    width = round(image.shape[1] * _HEIGHT / image.shape[0])
    return resize(image, _HEIGHT, min(max(width, _HEIGHT // 2), _MAX_WIDTH), "linear")


def _shortened(line: str, width: int) -> str:
    """The line, cut at the right to ``width`` pixels."""
    plain = line.encode("ascii", "replace").decode()  # fonts of older OpenCV versions are ASCII only
    while cv2.getTextSize(plain, _FONT, _SIZE, 1)[0][0] > width:
        plain = plain[:-1]
    return plain


def _write(image: Image, text: str, x: int, y: int) -> None:
    cv2.putText(image, text, (x, y), _FONT, _SIZE, _TEXT, 1, cv2.LINE_AA)
