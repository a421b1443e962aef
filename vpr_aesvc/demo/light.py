"""The light of a time of day: sun, sky and haze."""

from dataclasses import dataclass

import cv2
import numpy as np

from vpr_aesvc.demo.facades import Color, cloud_noise
from vpr_aesvc.demo.render import SKY_RISE


@dataclass(frozen=True)
class Light:
    """Sun and ambient are RGB gains on painted colors; angles in degrees, azimuth counter-clockwise from east.

    The other colors are RGB 0..255.
    """

    azimuth: float
    elevation: float
    sun: tuple[float, float, float]
    ambient: tuple[float, float, float]
    zenith: Color
    horizon: Color
    cloud: Color
    haze: Color
    haze_distance: float  # meters

    @property
    def to_sun(self) -> np.ndarray:
        """Unit vector, world frame."""
        a, e = np.deg2rad((self.azimuth, self.elevation))
        return np.array([np.cos(a) * np.cos(e), np.sin(a) * np.cos(e), np.sin(e)])

    def gain(self, normal: np.ndarray, lit: float | np.ndarray = 1.0) -> np.ndarray:
        """Light on a surface, of which a share `lit` lies in the sun: RGB [..., 3]."""
        sunshine = np.asarray(lit)[..., None] * max(0.0, float(normal @ self.to_sun)) * np.array(self.sun)
        return np.array(self.ambient) * (0.88 + 0.12 * normal[2]) + sunshine


# fmt: off
MORNING = Light(
    azimuth=-70, elevation=47, sun=(0.66, 0.59, 0.46), ambient=(0.57, 0.61, 0.67), zenith=(84, 138, 206),
    horizon=(196, 216, 232), cloud=(250, 250, 250), haze=(202, 214, 226), haze_distance=260,
)
# In the evening the sun is in the south-west and low: the shadows lie on the other side of the street.
EVENING = Light(
    azimuth=-116, elevation=25, sun=(0.70, 0.43, 0.23), ambient=(0.60, 0.57, 0.64), zenith=(72, 92, 150),
    horizon=(250, 186, 132), cloud=(246, 190, 160), haze=(226, 180, 150), haze_distance=200,
)
# fmt: on


def paint_sky(light: Light, weather: np.random.Generator) -> np.ndarray:
    """A panorama for the renderer: a gradient and clouds."""
    height, width = 420, 1680
    rise = np.linspace(SKY_RISE[1], SKY_RISE[0], height, dtype=np.float32)[:, None]
    azimuth = (-2 * np.pi / width * np.arange(width, dtype=np.float32))[None]
    up = np.clip(rise / 0.9, 0, 1)[:, :, None] ** 0.6
    sky = np.repeat(
        np.array(light.horizon, np.float32) * (1 - up) + np.array(light.zenith, np.float32) * up, width, axis=1
    )
    # clouds lie on a plane overhead and so become smaller toward the horizon
    noise = sum(cloud_noise(weather, 1024, 1024, 12 * 2**k) / 2**k for k in range(5)) / np.float32(1.94)
    reach = 70 / np.maximum(rise, 0.05)
    x, y = ((512 + np.clip(reach * f(azimuth), -500, 500)).astype(np.float32) for f in (np.cos, np.sin))
    cover = cv2.remap(noise, x, y, cv2.INTER_LINEAR)
    cover = (np.clip((cover - 0.5) * 5, 0, 1) * np.clip(rise / 0.12, 0, 1))[:, :, None]
    sky += (np.array(light.cloud, np.float32) * (0.86 + 0.14 * cover) - sky) * (0.85 * cover)
    sky[(rise < 0.035)[:, 0]] = np.array(light.haze, np.float32) * 0.85
    return np.clip(sky, 0, 255).astype(np.uint8)
