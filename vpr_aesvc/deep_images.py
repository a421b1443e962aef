"""Pictures of more than 8 bits, as of thermal and industrial cameras, become pictures of 8 bits by one rule, from files and from messages.

The range that a picture uses goes from its 0.1th to its 99.9th percentile, so a hot pixel changes nothing. Zeros (no data, the border of a
rectified picture) and NaN do not count.

- If the used range fills at least half of 10, 12, 14 or 16 bits, whichever is the smallest that holds it, the low bits are dropped: a
  camera that uses its bits looks the same in each frame.
- Otherwise, as with a thermal camera whose values lie between 7,300 and 7,900, the used range becomes 0 to 255. The contrast then follows the
  content, as in the automatic gain of thermal viewers.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.types import Image

NOTE = "pictures of more than 8 bits: the low bits are dropped where a picture uses most of its bits, else its range is stretched"
_PERCENTILES = (0.1, 99.9)
_MIN_RANGE = 32  # counts: a closed shutter stays flat instead of becoming a picture of noise
_SAMPLES = 1e6  # pixels from which the range is taken


def to_8_bits(pixels: NDArray[Any]) -> Image:
    """[H, W] or [H, W, C] of any number type -> uint8 of that shape. All channels share one range."""
    if pixels.dtype == np.uint8:
        return pixels
    low, high = _used_range(pixels)
    if pixels.dtype == np.uint16:
        bits = next((bits for bits in (10, 12, 14) if high < 1 << bits), 16)
        values = np.arange(1 << 16)
        fills = high - low >= 1 << (bits - 1)
        table = values >> (bits - 8) if fills else (values - low) * (255 / max(high - low, _MIN_RANGE))
        return np.clip(table, 0, 255).astype(np.uint8)[pixels]
    span = high - low if pixels.dtype.kind == "f" else max(high - low, _MIN_RANGE)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = pixels.astype(np.float32)  # in place from here on: these pictures are large
        scaled -= np.float32(low)
        scaled *= np.float32(255 / span if span > 0 else 0)
    return np.clip(np.nan_to_num(scaled, copy=False), 0, 255, out=scaled).astype(np.uint8)


def _used_range(pixels: NDArray[Any]) -> tuple[float, float]:
    step = int((pixels.shape[0] * pixels.shape[1] / _SAMPLES) ** 0.5) | 1  # odd: it meets all colors of a Bayer mosaic
    sample = pixels[::step, ::step]
    used = sample[np.isfinite(sample) & (sample != 0)]
    low, high = np.percentile(used, _PERCENTILES) if used.size else (0.0, 0.0)
    return float(low), float(high)
