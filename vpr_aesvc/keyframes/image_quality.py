"""Pictures that show no place: black, white, of one color, blurred, or the same again from a camera that hangs.

All is measured on a small gray copy: a fraction of a millisecond for 640 x 480. Blur is what matters at that size, as encoders look at
some 224 pixels, and is relative to the run's usual sharpness, as lenses and coding differ.

The measure of sharpness is the energy of second differences over that of first differences, along rows and along columns; the lesser
counts, as motion blurs along one axis. Unlike the variance of the Laplacian or the energy of gradients (Pertuz et al., Pattern
Recognition 2013, compares such measures) it hardly depends on what is seen and how bright it is. With motion blur added to real indoor
pictures, .4 of the usual sharpness is a blur of 4 % of the picture's width, where recognition at rank 1 has fallen from .55 to .24
(1 %: .54, 2 %: .45; MobileNetV3). Of 1,602 pictures as they were taken, 5 are left out, all of them smeared or nearly empty.
"""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np
from numpy.typing import NDArray

BLURRED = 0.4  # part of the run's median sharpness
FROZEN = 0.03  # mean difference over contrast. Noise of 5 gray levels and JPEG: .026 in 99 of 100; 0.6 m or a second on: .36 and more
BLACK, WHITE = 20, 235  # the brightest and darkest gray level, 16 and 235 being video's black and white
ONE_COLOR = 2.0  # standard deviation in gray levels; above 12 in the pictures above and in some taken at night
_LONGEST, _COARSE = 160, 40  # pixels: for sharpness, and for the rest
_HISTORY, _LEAST = 201, 10  # pictures whose median is the usual sharpness, and how many make one

Small = NDArray[np.uint8]


class ImageQuality:
    """Judges the pictures of one camera in the order they were taken."""

    def __init__(self) -> None:
        self._sharpness: deque[float] = deque(
            maxlen=_HISTORY
        )  # also of those left out: a lens that fogs up is the new usual
        self._last: tuple[Small, Small] | None = None

    def reason(self, image: NDArray[np.uint8], moved: bool | None = None) -> str | None:
        """Why a picture is of no use, in a word or two; None where it is of use.

        Args:
            image: RGB uint8 [H, W, 3].
            moved: whether the camera did since the last picture that was of use, so that the same picture again comes from a camera that
                hangs. None where nobody knows: then only a picture without any difference is taken for one.
        """
        fine = _gray(image, _LONGEST)
        coarse = _shrunk(fine, _COARSE)
        contrast = float(coarse.std())
        if coarse.max() < BLACK:
            return "black"
        if coarse.min() > WHITE:
            return "white"
        if contrast < ONE_COLOR:
            return "of one color"
        if self._is_frozen(fine, coarse, contrast, moved):
            return "frozen"
        found = sharpness(fine)
        self._sharpness.append(found)
        if len(self._sharpness) >= _LEAST and found < BLURRED * float(np.median(self._sharpness)):
            return "blurred"
        self._last = fine, coarse
        return None

    def _is_frozen(self, fine: Small, coarse: Small, contrast: float, moved: bool | None) -> bool:
        if self._last is None or moved is False or self._last[0].shape != fine.shape:
            return False
        if moved is None:
            return np.array_equal(fine, self._last[0])
        return float(cv2.norm(coarse, self._last[1], cv2.NORM_L1)) / coarse.size < FROZEN * contrast


def sharpness(gray: Small) -> float:
    """Of a gray picture uint8 [H, W], at its own size: about 3 for noise, 0 where brightness changes evenly."""
    numbers = gray.astype(np.int16)
    return min(_along(numbers), _along(np.ascontiguousarray(numbers.T)))


def _along(numbers: NDArray[np.int16]) -> float:
    first = numbers[1:] - numbers[:-1]
    second = first[1:] - first[:-1]
    slopes = float(cv2.norm(first, cv2.NORM_L2SQR))
    return float(cv2.norm(second, cv2.NORM_L2SQR)) / slopes if slopes else 3.0


def _gray(image: NDArray[np.uint8], longest: int) -> Small:
    small = _shrunk(image, longest)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)


def _shrunk(image: NDArray[np.uint8], longest: int) -> NDArray[np.uint8]:
    rows, columns = image.shape[:2]
    ratio = longest / max(rows, columns)
    if ratio >= 1:
        return image
    size = max(1, round(columns * ratio)), max(1, round(rows * ratio))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
