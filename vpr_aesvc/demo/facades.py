"""Paints house fronts: walls, windows, doors, shops, as flat images in even light.

What shines at dusk (lit rooms, shop windows) is painted on a second image, so that one front serves any light.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

SCALE = 40  # pixels per meter
Color = tuple[int, int, int]

SIGN_COLORS = (
    *((150, 30, 36), (22, 74, 60), (28, 52, 104), (212, 160, 40), (40, 40, 44)),
    *((118, 54, 96), (30, 116, 136), (226, 222, 210), (196, 88, 34), (96, 128, 60)),
)
_SHUTTERS = ((62, 98, 82), (84, 92, 118), (122, 64, 52), (70, 110, 130))
_BLINDS = ((214, 208, 196), (196, 176, 150), (168, 186, 190), (204, 190, 200))
_LAMPLIGHT = ((255, 206, 128), (255, 190, 104), (248, 222, 170), (220, 226, 230))
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
    roof: Color | None  # None: flat
    shutters: bool = False


_RED, _YELLOW = ((152, 84, 66), (140, 72, 58), (164, 98, 76)), ((188, 164, 124), (176, 150, 112), (164, 142, 116))
_WARM, _COOL = ((230, 198, 142), (222, 172, 128), (206, 146, 112)), ((204, 212, 214), (172, 194, 204), (190, 206, 184))
_STONE, _GRAY = ((208, 198, 178), (196, 184, 162)), ((172, 170, 164), (156, 158, 160), (190, 182, 170))
_WOOD = ((126, 152, 172), (156, 170, 140), (226, 222, 212), (186, 120, 96))
_SLATE, _TILES = (92, 98, 110), (186, 104, 74)
STYLES = (
    Style("brick", _RED, (228, 222, 208), (1.05, 1.75), 2.5, 3.1, (1, 1), _SLATE),
    Style("brick", _YELLOW, (236, 232, 222), (1.0, 1.8), 2.3, 3.2, (1, 2), None),
    Style("plaster", _WARM, (240, 230, 212), (1.0, 1.9), 2.7, 3.3, (1, 2), _TILES, shutters=True),
    Style("plaster", _COOL, (246, 246, 242), (1.3, 1.5), 2.9, 3.0, (2, 0), _SLATE),
    Style("ashlar", _STONE, (222, 214, 198), (1.15, 2.2), 2.8, 3.8, (1, 1), None),
    Style("panels", _GRAY, (96, 98, 102), (2.8, 1.5), 3.2, 3.0, (2, 0), None),
    Style("boards", _WOOD, (246, 244, 238), (1.1, 1.4), 2.6, 2.9, (2, 0), _SLATE),
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
    tone *= 1 - 0.10 * cloud_noise(rng, 8, w, max(4, w // 16))[:1]  # streaks of rain
    tone *= 1 - 0.22 * np.exp((rows - h) / (0.5 * SCALE))  # the dirty foot of the wall
    return np.clip(tone[:, :, None] * np.array(color, np.float32), 0, 255).astype(np.uint8)


class Front:
    """A painted house front. Coordinates in meters: x from the left edge, z up from the ground.

    `glow` holds what shines at dusk, black elsewhere.
    """

    def __init__(self, rng: np.random.Generator, style: Style, storeys: int, color: Color, shop: bool, width: float):
        self.style, self.color, self.width, self.storeys, self.rng = style, color, width, storeys, rng
        self.height = style.storey * storeys + 0.9
        self.sign, self.shutter = pick(rng, SIGN_COLORS), pick(rng, _SHUTTERS)
        self.pixels = paint_wall(rng, style.wall, color, width, self.height)
        self.glow = np.zeros_like(self.pixels)
        self._upper_storeys()
        self._shop() if shop else self._ground_floor()

    def area(self, x: float, z: float, w: float, h: float, glow: bool = False) -> np.ndarray:
        rows, columns = self.pixels.shape[:2]
        left, right = (min(max(round(v * SCALE), 0), columns) for v in (x, x + w))
        top, bottom = (min(max(rows - round(v * SCALE), 0), rows) for v in (z + h, z))
        return (self.glow if glow else self.pixels)[top:bottom, left:right]

    def fill(self, x: float, z: float, w: float, h: float, color: Iterable[float], tone: float = 1.0) -> None:
        self.area(x, z, w, h)[:] = [min(255, int(c * tone)) for c in color]
        self.area(x, z, w, h, glow=True)[:] = 0

    def shade(self, x: float, z: float, w: float, h: float, gain: float) -> None:
        area = self.area(x, z, w, h)
        area[:] = area * np.float32(gain)

    def ledge(self, x: float, z: float, w: float, h: float) -> None:
        """A molding: light above, dark below, its shadow on the wall."""
        self.shade(x, z - 0.14, w, 0.14, 0.66)
        for low, high, tone in ((0.0, h, 1.0), (h - 0.05, 0.05, 1.1), (0.0, 0.05, 0.8)):
            self.fill(x, z + low, w, high, self.style.trim, tone)

    def pane(self, x: float, z: float, w: float, h: float, lit: float, blinds: bool = True) -> None:
        """Glass: sky above, a dark room below, perhaps a blind; at dusk a lamp with probability `lit`."""
        area, rng = self.area(x, z, w, h), self.rng
        mirror = np.linspace(1, 0, len(area), dtype=np.float32)[:, None, None] * rng.uniform(0.2, 0.8)
        area[:] = np.array((38, 44, 50)) * (1 - mirror) + np.array((150, 176, 196)) * mirror
        if blinds and rng.random() < 0.5:
            drop = h * rng.uniform(0.3, 1)
            self.fill(x, z + h - drop, w, drop, pick(rng, _BLINDS), 0.8)
        self.shade(x, z + h - 0.12, w, 0.12, 0.5)
        if rng.random() < lit:
            glow = self.area(x, z, w, h, glow=True)
            down, across = (np.sin(np.linspace(0.5, 2.6, n, dtype=np.float32)) for n in glow.shape[:2])
            lamp = np.array(pick(rng, _LAMPLIGHT), np.float32) * rng.uniform(0.65, 1)
            glow[:] = lamp * (0.5 + 0.5 * down[:, None, None] * across[None, :, None])

    def _upper_storeys(self) -> None:
        if self.style.wall != "panels":
            self.ledge(0, self.style.storey + 0.1, self.width, 0.22)
        for storey in range(1, self.storeys):
            for x, w in self._bays():
                self._window(x, storey * self.style.storey + 0.75, w, self.style.window[1])
        self.ledge(0, self.height - 0.45, self.width, 0.4)

    def _bays(self) -> list[tuple[float, float]]:
        """Left edge and width of each window of a storey."""
        bays = max(1, int(self.width / self.style.bay))
        pitch = self.width / bays
        w = min(self.style.window[0], pitch - 0.3)
        return [(pitch * (bay + 0.5) - w / 2, w) for bay in range(bays)]

    def _window(self, x: float, z: float, w: float, h: float) -> None:
        frame = (238, 236, 230) if sum(self.color) < 640 else (110, 90, 74)
        self.fill(x - 0.14, z - 0.05, w + 0.28, h + 0.2, self.style.trim)
        self.pane(x, z, w, h, lit=0.2)
        bars, shelves = self.style.bars
        for i in range(bars + 2):
            self.fill(x + w * i / (bars + 1) - 0.03, z, 0.06, h, frame)
        for i in range(shelves + 2):
            self.fill(x, z + h * i / (shelves + 1) - 0.03, w, 0.06, frame)
        self.ledge(x - 0.2, z - 0.14, w + 0.4, 0.12)
        if self.style.shutters:
            for side in (x - w * 0.5 - 0.06, x + w + 0.06):
                self.fill(side, z, w * 0.5, h, self.shutter)

    def _ground_floor(self) -> None:
        bays, color = self._bays(), pick(self.rng, SIGN_COLORS)
        x, w = bays.pop(int(self.rng.integers(len(bays))))
        for window in bays:
            self._window(window[0], 0.95, window[1], min(self.style.window[1], 1.6))
        x += w / 2 - 0.5
        self.fill(x - 0.18, 0, 1.36, 2.85, self.style.trim)
        self.fill(x, 0.15, 1.0, 2.1, color)
        self.pane(x, 2.3, 1.0, 0.4, lit=0.5, blinds=False)
        for px, pz in ((0.12, 0.35), (0.56, 0.35), (0.12, 1.25), (0.56, 1.25)):
            self.fill(x + px, pz, 0.32, 0.75, color, 0.74)
        self.fill(x + 0.86, 1.05, 0.07, 0.14, (206, 176, 90))
        self.fill(x - 0.25, 0, 1.5, 0.16, (170, 166, 158))
        self.ledge(x - 0.3, 2.9, 1.6, 0.16)

    def _shop(self) -> None:
        rng, width, top = self.rng, self.width, min(self.style.storey, 3.3)
        self.fill(0.15, 0, width - 0.3, top, self.sign, 0.75)
        entrance = width * rng.uniform(0.3, 0.6)
        for x, w in ((0.4, entrance - 0.5), (entrance + 1.2, width - entrance - 1.6)):
            self._display(x, 0.55, w, top - 1.45)
        self.pane(entrance + 0.1, 0.1, 0.9, 2.1, lit=0.5, blinds=False)
        self.fill(entrance + 0.5, 0.1, 0.06, 2.1, self.sign)
        self.fill(0.1, top - 0.75, width - 0.2, 0.75, self.sign)
        board, name, font = self.area(0.1, top - 0.75, width - 0.2, 0.75), pick(rng, _SHOPS), cv2.FONT_HERSHEY_DUPLEX
        (wide, high), _ = cv2.getTextSize(name, font, 0.7, 2)
        at = (board.shape[1] - wide) // 2, (board.shape[0] + high) // 2
        lettering = (246, 236, 206) if sum(self.sign) < 420 else (40, 36, 40)
        cv2.putText(board, name, at, font, 0.7, lettering, 2, cv2.LINE_AA)
        self.ledge(0.05, top - 0.04, width - 0.1, 0.16)

    def _display(self, x: float, z: float, w: float, h: float) -> None:
        """A shop window with goods in it."""
        self.pane(x, z, w, h, lit=0.6, blinds=False)
        lit = self.area(x, z, w, h, glow=True).any()
        for _ in range(int(w * 4)):
            at, wide, high = x + self.rng.uniform(0, 0.85 * w), *self.rng.uniform((0.12, 0.15), (0.4, 0.6))
            goods, color = (at, z, min(wide, x + w - at), high), self.rng.integers(50, 230, 3)
            self.fill(*goods, color)
            self.area(*goods, glow=True)[:] = (color * 0.9 + 20) * lit
