"""Reject images that show no place: black, white, of one color, blurred, or frozen (the camera sends the same image again).

Everything is measured on a small gray copy, in a fraction of a millisecond for 640 x 480. Encoders look at about 224 pixels, so only
blur that is visible at that size matters. It is measured relative to the run's median sharpness, because lenses and compression differ.

Sharpness is the energy of second differences divided by that of first differences, along rows and along columns; the smaller value
counts, because motion blurs along one axis. Unlike the variance of the Laplacian or the energy of gradients (compared by Pertuz et al.,
Pattern Recognition 2013) it depends little on the scene and its brightness. The limit of 0.4 corresponds to a motion blur of 4 % of the
image width: with that blur added to real indoor images, R@1 falls from .55 to .24 (1 %: .54, 2 %: .45; MobileNetV3). Of 1,602 real images
as taken, 5 are rejected, all smeared or nearly empty.
"""

from collections import deque

import cv2
import numpy as np
from numpy.typing import NDArray

BLURRED = 0.4  # times the run's median sharpness
FROZEN = 0.03  # mean difference / contrast. Noise of 5 gray levels and JPEG: .026 in 99 of 100 images; after 0.6 m or a second: above .36
BLACK, WHITE = 20, 235  # brightest and darkest gray level; black and white of video are 16 and 235
ONE_COLOR = 2.0  # standard deviation in gray levels; above 12 in real images, also at night
_FINE, _COARSE = 160, 40  # longest side in pixels, for sharpness and for the rest
_HISTORY, _MIN_HISTORY = 201, 10  # images that the median sharpness is taken over: at most, at least

Gray = NDArray[np.uint8]


class ImageQuality:
    """Judges the images of one camera in the order recorded."""

    def __init__(self) -> None:
        # also of rejected images: if the lens fogs up, the median follows
        self._sharpness: deque[float] = deque(maxlen=_HISTORY)
        self._last: tuple[Gray, Gray] | None = None

    def reason(self, image: NDArray[np.uint8], moved: bool | None = None) -> str | None:
        """Why an image is rejected, in a word or two; None if it is good. ``image``: RGB uint8 [H, W, 3]. ``moved``:
        whether the camera moved since the last good image. If so, the same image but for noise is frozen; if unknown
        (None), only an identical one is."""
        fine = _gray(image, _FINE)
        coarse = _shrink(fine, _COARSE)
        contrast = float(coarse.std())
        if coarse.max() < BLACK:
            return "black"
        if coarse.min() > WHITE:
            return "white"
        if contrast < ONE_COLOR:
            return "of one color"
        if self._is_frozen(fine, coarse, contrast, moved):
            return "frozen"
        current = sharpness(fine)
        self._sharpness.append(current)
        if len(self._sharpness) >= _MIN_HISTORY and current < BLURRED * float(np.median(self._sharpness)):
            return "blurred"
        self._last = fine, coarse
        return None

    def _is_frozen(self, fine: Gray, coarse: Gray, contrast: float, moved: bool | None) -> bool:
        if self._last is None or moved is False or self._last[0].shape != fine.shape:
            return False
        if moved is None:
            return np.array_equal(fine, self._last[0])
        return float(cv2.norm(coarse, self._last[1], cv2.NORM_L1)) / coarse.size < FROZEN * contrast


def sharpness(gray: Gray) -> float:
    """The sharpness of a gray image uint8 [H, W]: about 3 for noise, 0 for an even gradient."""
    values = gray.astype(np.int16)
    return min(_sharpness_along_columns(values), _sharpness_along_columns(np.ascontiguousarray(values.T)))


def _sharpness_along_columns(values: NDArray[np.int16]) -> float:
    first = values[1:] - values[:-1]
    second = first[1:] - first[:-1]
    energy = float(cv2.norm(first, cv2.NORM_L2SQR))
    return float(cv2.norm(second, cv2.NORM_L2SQR)) / energy if energy else 3.0


def _gray(image: NDArray[np.uint8], longest: int) -> Gray:
    return np.asarray(cv2.cvtColor(_shrink(image, longest), cv2.COLOR_RGB2GRAY), np.uint8)


def _shrink(image: NDArray[np.uint8], longest: int) -> NDArray[np.uint8]:
    rows, columns = image.shape[:2]
    ratio = longest / max(rows, columns)
    if ratio >= 1:
        return image
    size = max(1, round(columns * ratio)), max(1, round(rows * ratio))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
