"""Paints walls, and on walls, in meters: x from the left edge, z up from the lower one, RGB, without sun or shade."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

import cv2
import numpy as np

PIXELS_PER_METER = 40
SIGN_COLORS = (
    (150, 30, 36),
    (22, 74, 60),
    (28, 52, 104),
    (212, 160, 40),
    (40, 40, 44),
    (118, 54, 96),
    (30, 116, 136),
    (226, 222, 210),
    (196, 88, 34),
    (96, 128, 60),
)

CURTAINS = ((214, 208, 196), (196, 176, 150), (168, 186, 190), (204, 190, 200))
LAMPS = ((255, 206, 128), (255, 190, 104), (248, 222, 170), (220, 226, 230))

Color = tuple[int, int, int]
T = TypeVar("T")


def pick(rng: np.random.Generator, options: Sequence[T]) -> T:
    """One of the options, all as likely."""
    return options[int(rng.integers(len(options)))]


def clouds(rng: np.random.Generator, height: int, width: int, cells: int) -> np.ndarray:
    """Smooth noise in 0..1 [height, width], about `cells` blobs along the longer side."""
    step = max(height, width) / cells
    small = rng.random((int(height / step) + 2, int(width / step) + 2), np.float32)
    return np.clip(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), 0, 1)


def wall(rng: np.random.Generator, kind: str, color: Color, width: float, height: float) -> np.ndarray:
    """A plain wall of the given material, uint8 [height, width, 3]."""
    h, w = max(2, round(height * PIXELS_PER_METER)), max(2, round(width * PIXELS_PER_METER))
    rows, columns = np.arange(h)[:, None], np.arange(w)[None]
    tone = 0.92 + 0.16 * clouds(rng, h, w, 5) + rng.normal(0, 0.018, (h, w)).astype(np.float32)
    if kind == "brick":
        course = rows // 4
        across = columns + (course % 2) * 5
        bricks = rng.normal(1, 0.10, (h // 4 + 1, w // 10 + 2)).astype(np.float32)
        tone = tone * bricks[course, across // 10]
        mortar = (rows % 4 == 3) | (across % 10 == 9)
        tone = np.where(mortar, 0.55 * tone + 0.62, tone) if sum(color) < 400 else np.where(mortar, tone * 0.86, tone)
    elif kind == "ashlar":
        course = rows // 18
        across = columns + (course % 2) * 18
        tone = tone * rng.normal(1, 0.035, (h // 18 + 1, w // 36 + 2)).astype(np.float32)[course, across // 36]
        tone = np.where((rows % 18 == 0) | (across % 36 == 0), tone * 0.78, tone)
    elif kind == "panels":
        tone = np.where((rows % 120 < 2) | (columns % 128 < 2), tone * 0.72, tone)
        tone = tone * (1 - 0.12 * clouds(rng, 8, w, max(4, w // 12))[:1])  # streaks of rain
    elif kind == "boards":
        tone = tone * (1 + 0.05 * (rows % 8 - 4) / 4)
        tone = np.where(rows % 8 == 7, tone * 0.74, tone)
    elif kind == "metal":
        tone = tone * (1 + 0.13 * np.sin(columns * (2 * np.pi / 8)))
    else:  # plaster: stains that run down
        tone = tone * (1 - 0.10 * clouds(rng, 6, w, max(4, w // 25))[:1] * (1 - rows / h))
    tone = tone * (1 - 0.22 * np.exp((rows - h) / (0.5 * PIXELS_PER_METER)))  # splashed foot
    return np.clip(tone[:, :, None] * np.array(color, np.float32), 0, 255).astype(np.uint8)


class Easel:
    """A picture to paint on in meters, and a second one, `glow`, for what shines at dusk.

    `dusk` draws which lamps burn, apart from `rng`, so that the rest is the same with any lamps.
    """

    def __init__(self, pixels: np.ndarray, rng: np.random.Generator, dusk: np.random.Generator):
        self.pixels, self.glow, self.rng, self.dusk = pixels, np.zeros_like(pixels), rng, dusk

    def area(self, x: float, z: float, w: float, h: float, on: np.ndarray | None = None) -> np.ndarray:
        rows, columns = self.pixels.shape[:2]
        left, right = (min(max(round(v * PIXELS_PER_METER), 0), columns) for v in (x, x + w))
        top, bottom = (min(max(rows - round(v * PIXELS_PER_METER), 0), rows) for v in (z + h, z))
        return (self.pixels if on is None else on)[top:bottom, left:right]

    def fill(self, x: float, z: float, w: float, h: float, color: Iterable[float]) -> None:
        self.area(x, z, w, h)[:] = [min(255, max(0, int(c))) for c in color]
        self.area(x, z, w, h, self.glow)[:] = 0

    def shade(self, x: float, z: float, w: float, h: float, gain: float) -> None:
        area = self.area(x, z, w, h)
        area[:] = np.minimum(area * np.float32(gain), 255)

    def ledge(self, x: float, z: float, w: float, h: float, color: Color) -> None:
        """A moulding: light above, its shadow on the wall below."""
        self.shade(x, z - 0.14, w, 0.14, 0.66)
        self.fill(x, z, w, h, color)
        self.fill(x, z + h - 0.05, w, 0.05, [c * 1.1 for c in color])
        self.fill(x, z, w, 0.05, [c * 0.8 for c in color])

    def polygon(self, points: Iterable[tuple[float, float]], color: Color) -> None:
        rows = self.pixels.shape[0]
        corners = [[round(x * PIXELS_PER_METER), rows - round(z * PIXELS_PER_METER)] for x, z in points]
        cv2.fillPoly(self.pixels, [np.array(corners, np.int32)], color, cv2.LINE_AA)

    def pane(self, x: float, z: float, w: float, h: float, lit: float, dark: float = 0.0) -> None:
        """Glass: sky above, a dark room below, perhaps a curtain or blind; at dusk, with probability `lit`, a lamp."""
        area = self.area(x, z, w, h)
        if not area.size:
            return
        rows = np.linspace(1, 0, area.shape[0], dtype=np.float32)[:, None, None]
        mirror = self.rng.uniform(0.25, 0.8) * (1 - dark)
        area[:] = (
            np.array((38, 44, 50), np.float32) * (1 - rows * mirror)
            + np.array((150, 176, 196), np.float32) * rows * mirror
        )
        shape = self.rng.random()
        curtain = np.array(pick(self.rng, CURTAINS), np.float32)
        if shape < 0.35 and not dark:
            for side in (x, x + w * 0.72):
                self.area(side, z, w * 0.28, h)[:] = 0.75 * curtain
        elif shape < 0.55 and not dark:
            drop = h * self.rng.uniform(0.25, 0.9)
            self.area(x, z + h - drop, w, drop)[:] = 0.8 * curtain
        self.shade(x, z + h - 0.12, w, 0.12, 0.5)  # the reveal's shadow
        if self.dusk.random() < lit:
            lamp = np.array(pick(self.dusk, LAMPS), np.float32) * np.float32(self.dusk.uniform(0.65, 1))
            glow = self.area(x, z, w, h, self.glow)
            rows, columns = (np.linspace(0.3, 2.8, n, dtype=np.float32) for n in glow.shape[:2])
            glow[:] = lamp * ((0.66 + 0.34 * np.sin(rows))[:, None] * (0.7 + 0.3 * np.sin(columns))[None])[:, :, None]
            for _ in range(int(w * h * 1.2)):  # furniture and people against the light
                wide, tall = self.dusk.uniform(0.15, 0.5), self.dusk.uniform(0.2, 0.65) * h
                at = x + self.dusk.uniform(0, max(0.01, w - wide))
                thing = self.area(at, z, wide, tall, self.glow)
                thing[:] = thing * np.float32(self.dusk.uniform(0.35, 0.8))

    def text(self, x: float, z: float, w: float, h: float, words: str, color: Color) -> None:
        """Lettering fitted into the given area, whatever the size of the font."""
        face, (wide, high) = cv2.FONT_HERSHEY_DUPLEX, (52 * len(words) + 80, 100)
        mask = np.zeros((high, wide), np.uint8)
        cv2.putText(mask, words, (30, 75), face, 2.0, 255, 5, cv2.LINE_AA)
        left, top, wide, high = cv2.boundingRect(mask)
        area = self.area(x, z, w, h)
        if area.shape[0] < 4 or area.shape[1] < 4 or not wide:
            return
        scale = min(area.shape[1] * 0.92 / wide, area.shape[0] * 0.8 / high)
        size = max(1, round(wide * scale)), max(1, round(high * scale))
        letters = cv2.resize(mask[top : top + high, left : left + wide], size, interpolation=cv2.INTER_AREA)
        y0, x0 = (area.shape[0] - size[1]) // 2, (area.shape[1] - size[0]) // 2
        target = area[y0 : y0 + size[1], x0 : x0 + size[0]]
        opacity = letters[:, :, None].astype(np.float32) / 255
        target[:] = target * (1 - opacity) + np.array(color, np.float32) * opacity


def bills_and_graffiti(pixels: np.ndarray, rng: np.random.Generator) -> None:
    """Pastes bills on, and sprays a tag across, the lower part of a wall, in place."""
    easel = Easel(pixels, rng, rng)
    width, height = pixels.shape[1] / PIXELS_PER_METER, pixels.shape[0] / PIXELS_PER_METER
    for _ in range(int(rng.integers(1, 5))):
        x, z, color = rng.uniform(0.2, max(0.3, width - 0.9)), rng.uniform(0.8, 1.4), pick(rng, SIGN_COLORS)
        easel.fill(x, z, 0.6, 0.85, color)
        easel.fill(x + 0.08, z + 0.12, 0.44, 0.4, rng.integers(90, 250, 3))
        easel.text(x + 0.05, z + 0.58, 0.5, 0.22, pick(rng, ("LIVE", "EXPO", "SALE", "JAZZ", "VOTE")), (244, 240, 226))
    # a tag: a wavering line, its outline and its shine
    x, z, w = rng.uniform(0.3, max(0.4, width - 3)), rng.uniform(0.5, 0.8), rng.uniform(1.6, 2.6)
    t, (a, b) = np.linspace(0, 1, 60), rng.uniform(3, 6, 2)
    across, up = x + w * t + 0.2 * np.sin(4 * t * a), z + 0.5 + 0.42 * np.sin(2 * np.pi * a * t) * np.cos(b * t)
    line = np.round(np.stack([across, height - up], axis=1) * PIXELS_PER_METER).astype(np.int32)
    paint = rng.integers(60, 255, 3).tolist()
    for tint, thickness in (([24, 24, 28], 11), (paint, 7), ([min(255, c + 60) for c in paint], 2)):
        cv2.polylines(pixels, [line], False, tint, thickness, cv2.LINE_AA)
