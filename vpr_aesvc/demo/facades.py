"""Paints house fronts: walls, windows, doors and shops, as flat images in even light."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

SCALE = 40  # pixels per meter
Color = tuple[int, int, int]

COLORS = (  # of signs, doors and cars
    *((150, 30, 36), (22, 74, 60), (28, 52, 104), (212, 160, 40), (40, 40, 44)),
    *((118, 54, 96), (30, 116, 136), (226, 222, 210), (196, 88, 34), (96, 128, 60)),
)
_SHOPS = ("BAKERY", "BARBER", "BOOKS", "CAFE", "CYCLES", "FLORIST", "HOTEL", "MUSIC", "PHARMACY", "SHOES")

# Height and width of a stone or board in pixels, how much stones differ in tone, tone of the joints.
_WALLS = {
    "brick": (4, 10, 0.10, 1.15),
    "ashlar": (18, 36, 0.035, 0.78),
    "panels": (120, 128, 0.02, 0.72),
    "boards": (8, 4000, 0.03, 0.74),
    "plaster": (4000, 4000, 0.0, 1.0),
}


@dataclass(frozen=True)
class Style:
    """What the houses of one builder have in common. Lengths in meters; `bars`: glazing bars of a window, across and up."""

    wall: str
    colors: tuple[Color, ...]
    trim: Color
    window: tuple[float, float]
    bay: float
    storey: float
    bars: tuple[int, int]


_RED, _YELLOW = ((152, 84, 66), (140, 72, 58), (164, 98, 76)), ((188, 164, 124), (176, 150, 112), (164, 142, 116))
_WARM, _COOL = ((230, 198, 142), (222, 172, 128), (206, 146, 112)), ((204, 212, 214), (172, 194, 204), (190, 206, 184))
_STONE, _GRAY = ((208, 198, 178), (196, 184, 162)), ((172, 170, 164), (156, 158, 160), (190, 182, 170))
_WOOD = ((126, 152, 172), (156, 170, 140), (226, 222, 212), (186, 120, 96))
STYLES = (
    Style("brick", _RED, (228, 222, 208), (1.05, 1.75), 2.5, 3.1, (1, 1)),
    Style("brick", _YELLOW, (236, 232, 222), (1.0, 1.8), 2.3, 3.2, (1, 2)),
    Style("plaster", _WARM, (240, 230, 212), (1.0, 1.9), 2.7, 3.3, (1, 2)),
    Style("plaster", _COOL, (246, 246, 242), (1.3, 1.5), 2.9, 3.0, (2, 0)),
    Style("ashlar", _STONE, (222, 214, 198), (1.15, 2.2), 2.8, 3.8, (1, 1)),
    Style("panels", _GRAY, (96, 98, 102), (2.8, 1.5), 3.2, 3.0, (2, 0)),
    Style("boards", _WOOD, (246, 244, 238), (1.1, 1.4), 2.6, 2.9, (2, 0)),
)


def pick(rng: np.random.Generator, options: Sequence[Any]) -> Any:
    return options[int(rng.integers(len(options)))]


def cloud_noise(rng: np.random.Generator, height: int, width: int, cells: int) -> np.ndarray:
    """Smooth noise in 0..1 [height, width], about `cells` blobs along the longer side."""
    step = max(height, width) / cells
    small = rng.random((int(height / step) + 2, int(width / step) + 2), np.float32)
    return np.clip(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), 0, 1)


def paint_wall(rng: np.random.Generator, kind: str, color: Color, width: float, height: float) -> np.ndarray:
    """A plain wall of a material, uint8 [height, width, 3]."""
    h, w = max(2, round(height * SCALE)), max(2, round(width * SCALE))
    rows, columns = np.arange(h)[:, None], np.arange(w)[None]
    high, wide, spread, joint = _WALLS[kind]
    across = columns + rows // high % 2 * (wide // 2)
    stones = rng.normal(1, spread, (h // high + 1, w // wide + 2)).astype(np.float32)
    tone = 0.92 + 0.16 * cloud_noise(rng, h, w, 5) + 0.018 * rng.standard_normal((h, w), np.float32)
    tone *= stones[rows // high, across // wide]
    tone[(rows % high == high - 1) | (across % wide == wide - 1)] *= joint
    return np.clip(tone[:, :, None] * np.array(color, np.float32), 0, 255).astype(np.uint8)


class Front:
    """A painted house front. Coordinates in meters: x from the left edge, z up from the ground."""

    def __init__(self, rng: np.random.Generator, style: Style, storeys: int, color: Color, shop: bool, width: float):
        self.style, self.width, self.rng = style, width, rng
        self.height = style.storey * storeys + 0.9
        self.pixels = paint_wall(rng, style.wall, color, width, self.height)
        for storey in range(1, storeys):
            for x, w in self._bays():
                self._window(x, storey * style.storey + 0.75, w, style.window[1])
        self._ledge(0, style.storey + 0.1, width, 0.22)
        self._ledge(0, self.height - 0.45, width, 0.4)
        self._shop() if shop else self._ground_floor()

    def _fill(self, x: float, z: float, w: float, h: float, color: Iterable[float]) -> np.ndarray:
        """Fills an area, and returns it."""
        rows, columns = self.pixels.shape[:2]
        left, right = (min(max(round(v * SCALE), 0), columns) for v in (x, x + w))
        top, bottom = (min(max(rows - round(v * SCALE), 0), rows) for v in (z + h, z))
        area = self.pixels[top:bottom, left:right]
        area[:] = list(color)
        return area

    def _ledge(self, x: float, z: float, w: float, h: float) -> None:
        """A molding and its shadow on the wall."""
        self._fill(x, z - 0.1, w, 0.1, (c * 0.5 for c in self.style.trim))
        self._fill(x, z, w, h, self.style.trim)

    def _pane(self, x: float, z: float, w: float, h: float) -> None:
        """Glass: a dark room, and more or less sky that it mirrors."""
        area = self._fill(x, z, w, h, (38, 44, 50))
        mirror = np.linspace(1, 0, len(area), dtype=np.float32)[:, None, None] * self.rng.uniform(0.1, 0.9)
        area[:] = area * (1 - mirror) + np.array((150, 176, 196)) * mirror

    def _bays(self) -> list[tuple[float, float]]:
        """Left edge and width of each window of a storey."""
        bays = max(1, int(self.width / self.style.bay))
        pitch = self.width / bays
        w = min(self.style.window[0], pitch - 0.3)
        return [(pitch * (bay + 0.5) - w / 2, w) for bay in range(bays)]

    def _window(self, x: float, z: float, w: float, h: float) -> None:
        self._fill(x - 0.14, z - 0.05, w + 0.28, h + 0.2, self.style.trim)
        self._pane(x, z, w, h)
        bars, shelves = self.style.bars
        for i in range(bars + 2):
            self._fill(x + w * i / (bars + 1) - 0.03, z, 0.06, h, self.style.trim)
        for i in range(shelves + 2):
            self._fill(x, z + h * i / (shelves + 1) - 0.03, w, 0.06, self.style.trim)

    def _ground_floor(self) -> None:
        bays = self._bays()
        x, w = bays.pop(int(self.rng.integers(len(bays))))
        for window in bays:
            self._window(window[0], 0.95, window[1], min(self.style.window[1], 1.6))
        x += w / 2 - 0.5
        self._fill(x - 0.18, 0, 1.36, 2.85, self.style.trim)
        self._fill(x, 0.15, 1.0, 2.1, pick(self.rng, COLORS))
        self._pane(x, 2.3, 1.0, 0.4)

    def _shop(self) -> None:
        rng, width, top, sign = self.rng, self.width, min(self.style.storey, 3.3), pick(self.rng, COLORS)
        self._fill(0.15, 0, width - 0.3, top, sign)
        entrance = width * rng.uniform(0.3, 0.6)
        for x, w in ((0.4, entrance - 0.5), (entrance + 1.2, width - entrance - 1.6)):
            self._pane(x, 0.55, w, top - 1.45)
            for _ in range(int(w * 4)):  # goods
                at, wide, high = x + rng.uniform(0, 0.85 * w), *rng.uniform((0.12, 0.15), (0.4, 0.6))
                self._fill(at, 0.55, min(wide, x + w - at), high, rng.integers(50, 230, 3))
        self._pane(entrance + 0.1, 0.1, 0.9, 2.1)
        board, name, font = (
            self._fill(0.1, top - 0.75, width - 0.2, 0.75, sign),
            pick(rng, _SHOPS),
            cv2.FONT_HERSHEY_DUPLEX,
        )
        (length, letter), _ = cv2.getTextSize(name, font, 0.7, 2)
        origin = (board.shape[1] - length) // 2, (board.shape[0] + letter) // 2
        lettering = (246, 236, 206) if sum(sign) < 420 else (40, 36, 40)
        cv2.putText(board, name, origin, font, 0.7, lettering, 2, cv2.LINE_AA)
