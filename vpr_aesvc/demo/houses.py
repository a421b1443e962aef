"""Which houses there are: the styles of their builders, and what is particular to each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpr_aesvc.demo.easel import SIGN_COLORS, Color, pick

SHOP_NAMES = (
    "CAFE ROMA",
    "BOOKS",
    "PHARMACY",
    "BAKERY",
    "HOTEL",
    "FLORIST",
    "CYCLES",
    "RECORDS",
    "PIZZERIA",
    "TAILOR",
    "OPTICIAN",
    "NOODLES",
    "BARBER",
    "TEA ROOM",
    "TOYS",
    "FISH BAR",
    "GALLERY",
    "SHOES",
    "KIOSK",
    "THE CROWN",
    "DELI",
    "PRINT",
    "MUSIC",
    "LAUNDRY",
)
DOOR_COLORS = ((110, 28, 30), (24, 60, 48), (30, 48, 86), (44, 42, 44), (92, 60, 36), (190, 160, 60), (60, 110, 120))


@dataclass(frozen=True)
class Style:
    """What the houses of one builder have in common."""

    wall: str
    colors: tuple[Color, ...]
    trim: Color
    window: str
    window_size: tuple[float, float]
    bay: float
    storey: float
    storeys: tuple[int, int]
    roof: str
    ground: tuple[str, ...] = ("doors", "shop")
    shutters: tuple[Color, ...] = ()
    balconies: bool = False


STYLES = {
    "terrace": Style(
        "brick",
        ((152, 84, 66), (140, 72, 58), (164, 98, 76)),
        (228, 222, 208),
        "sash",
        (1.05, 1.75),
        2.5,
        3.1,
        (2, 3),
        "slate",
    ),
    "stock": Style(
        "brick",
        ((188, 164, 124), (176, 150, 112), (164, 142, 116)),
        (236, 232, 222),
        "arched",
        (1.0, 1.8),
        2.3,
        3.2,
        (3, 4),
        "flat",
    ),
    "warm": Style(
        "plaster",
        ((230, 198, 142), (222, 172, 128), (236, 214, 178), (206, 146, 112)),
        (240, 230, 212),
        "french",
        (1.0, 2.0),
        2.7,
        3.3,
        (2, 4),
        "tiles",
        shutters=((62, 98, 82), (84, 92, 118), (122, 64, 52), (70, 110, 130)),
        balconies=True,
    ),
    "cool": Style(
        "plaster",
        ((204, 212, 214), (172, 194, 204), (216, 206, 216), (190, 206, 184)),
        (246, 246, 242),
        "casement",
        (1.3, 1.5),
        2.9,
        3.0,
        (2, 4),
        "slate",
    ),
    "stone": Style(
        "ashlar",
        ((208, 198, 178), (196, 184, 162)),
        (222, 214, 198),
        "pediment",
        (1.15, 2.2),
        2.8,
        3.8,
        (3, 4),
        "flat",
        balconies=True,
    ),
    "slab": Style(
        "panels",
        ((172, 170, 164), (156, 158, 160), (190, 182, 170)),
        (120, 122, 126),
        "ribbon",
        (2.6, 1.5),
        3.2,
        3.0,
        (3, 5),
        "flat",
    ),
    "glass": Style(
        "curtain",
        ((92, 116, 130), (78, 104, 108)),
        (58, 64, 70),
        "none",
        (1.0, 1.0),
        1.6,
        3.6,
        (3, 4),
        "flat",
        ground=("lobby",),
    ),
    "timber": Style(
        "boards",
        ((126, 152, 172), (156, 170, 140), (226, 222, 212), (186, 120, 96)),
        (246, 244, 238),
        "casement",
        (1.1, 1.4),
        2.6,
        2.9,
        (2, 2),
        "slate",
        ground=("doors",),
    ),
    "works": Style(
        "brick",
        ((120, 70, 58), (108, 88, 78)),
        (150, 142, 130),
        "mill",
        (2.2, 2.3),
        3.3,
        4.0,
        (2, 3),
        "flat",
        ground=("garage",),
    ),
}


@dataclass(frozen=True)
class House:
    """One house: everything needed to paint it again, the same, for another traverse."""

    style: str
    color: Color
    width: float
    storeys: int
    ground: str
    seed: int
    door: Color = (60, 60, 60)
    sign: Color = (60, 60, 60)
    name: str = ""
    shutter: Color | None = None
    balconies: bool = False

    @property
    def height(self) -> float:
        """Eaves or parapet above the pavement, meters."""
        return STYLES[self.style].storey * self.storeys + 0.9

    @classmethod
    def draw(cls, rng: np.random.Generator, style: str, width: float) -> House:
        kind = STYLES[style]
        return cls(
            style,
            pick(rng, kind.colors),
            width,
            int(rng.integers(kind.storeys[0], kind.storeys[1] + 1)),
            pick(rng, kind.ground),
            int(rng.integers(2**31)),
            pick(rng, DOOR_COLORS),
            pick(rng, SIGN_COLORS),
            pick(rng, SHOP_NAMES),
            pick(rng, kind.shutters) if kind.shutters and rng.random() < 0.75 else None,
            kind.balconies and rng.random() < 0.6,
        )
