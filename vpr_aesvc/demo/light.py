"""The light of a time of day: sun, sky and air."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from vpr_aesvc.demo.render import SKY_RISE, Air

Tint = tuple[float, float, float]


@dataclass(frozen=True)
class Daylight:
    """Sun and ambient are RGB gains on painted colors; angles in degrees, azimuth counter-clockwise from east.

    `lamps`: lamps and windows shine. `zenith`, `horizon` and `cloud` are RGB 0..255; `cloudiness` runs from 0 to 1.
    """

    azimuth: float
    elevation: float
    sun: Tint
    ambient: Tint
    lamps: bool
    zenith: Tint
    horizon: Tint
    cloud: Tint
    cloudiness: float
    air: Air

    @property
    def to_sun(self) -> np.ndarray:
        """Unit vector, world frame."""
        a, e = np.deg2rad((self.azimuth, self.elevation))
        return np.array([np.cos(a) * np.cos(e), np.sin(a) * np.cos(e), np.sin(e)])

    def gain(self, normal: np.ndarray, lit: float | np.ndarray = 1.0) -> np.ndarray:
        """Light on a surface, of which a share `lit` lies in the sun: RGB [..., 3]."""
        facing = max(0.0, float(normal @ self.to_sun))
        return np.array(self.ambient) * (0.88 + 0.12 * normal[2]) + np.asarray(lit)[..., None] * facing * np.array(
            self.sun
        )


def paint_sky(light: Daylight, town: np.random.Generator, weather: np.random.Generator) -> np.ndarray:
    """A panorama for the renderer: gradient, clouds, the sun's halo, and far towers, which are the town's own."""
    height, width = 420, 1680
    rise = np.linspace(SKY_RISE[1], SKY_RISE[0], height, dtype=np.float32)[:, None]
    azimuth = (-2 * np.pi / width * np.arange(width, dtype=np.float32))[None]
    up = np.clip(rise / 0.9, 0, 1)[:, :, None] ** 0.6
    sky = np.array(light.horizon, np.float32) * (1 - up) + np.array(light.zenith, np.float32) * up
    sky = np.repeat(sky, width, axis=1)
    # clouds lie on a plane overhead, and so shrink towards the horizon
    noise = sum(_endless(weather, 512, 6 * 2**k) / 2**k for k in range(5)) / 1.94
    reach = 70 / np.maximum(rise, 0.05)
    x, y = (np.mod(256 + reach * f(azimuth), 512).astype(np.float32) for f in (np.cos, np.sin))
    cover = cv2.remap(noise.astype(np.float32), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    cover = np.clip((cover - (1 - light.cloudiness)) * 5, 0, 1) * np.clip(rise / 0.12, 0, 1)
    sky += (np.array(light.cloud, np.float32) * (0.86 + 0.14 * cover[:, :, None]) - sky) * (0.85 * cover[:, :, None])
    sun = light.to_sun
    cosine = (np.cos(azimuth) * sun[0] + np.sin(azimuth) * sun[1] + rise * sun[2]) / np.sqrt(1 + rise**2)
    sky += np.array(light.sun, np.float32) * (90 * np.clip(cosine, 0, 1) ** 24)[:, :, None]
    haze = np.array(light.air.haze_color, np.float32)
    for _ in range(26):
        middle, wide, top = int(town.integers(width)), int(town.integers(5, 20)), float(town.uniform(0.05, 0.17))
        color = haze * float(town.uniform(0.72, 0.9))
        spire = town.random() < 0.3
        column = np.arange(width)
        away = np.abs((column - middle + width // 2) % width - width // 2)
        outline = np.where(away < wide / 2, top * (1.15 - 2 * away / wide * (0.9 if spire else 0.0)), -1)
        sky = np.where((rise < outline[None])[:, :, None], color, sky)
    sky[(rise < 0.035)[:, 0]] = haze * 0.85
    return np.clip(sky, 0, 255).astype(np.uint8)


def _endless(rng: np.random.Generator, size: int, cells: int) -> np.ndarray:
    """Smooth square noise in 0..1 that continues at its opposite border."""
    small = np.pad(rng.random((cells, cells), np.float32), 2, mode="wrap")
    whole = cv2.resize(small, None, fx=size / cells, fy=size / cells, interpolation=cv2.INTER_CUBIC)
    margin = 2 * size // cells
    return np.clip(whole[margin : margin + size, margin : margin + size], 0, 1)
