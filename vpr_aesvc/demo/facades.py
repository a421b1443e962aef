"""Paints the fronts of houses: walls, windows, doors, shops, as flat pictures in daylight without sun or shade.

What glows at dusk (lit windows, shop windows) is painted on a second picture, so that any sun can light the same front.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from vpr_aesvc.demo.easel import SIGN_COLORS, Color, Easel, bills_and_graffiti, pick, wall
from vpr_aesvc.demo.houses import STYLES, House, Style


@dataclass
class Front:
    """A painted front, and what sticks out of it: (kind, x, z, width, height, color), meters from the lower left."""

    pixels: np.ndarray
    glow: np.ndarray
    extras: list[tuple[str, float, float, float, float, Color]] = field(default_factory=list)


def paint_front(house: House) -> Front:
    """The front of a house, and what sticks out of it."""
    style, rng = STYLES[house.style], np.random.default_rng(house.seed)
    easel = Easel(
        wall(rng, style.wall, house.color, house.width, house.height), rng, np.random.default_rng(house.seed + 1)
    )
    front = Front(easel.pixels, easel.glow)
    if style.wall == "curtain":
        _curtain_wall(easel, house, style)
    else:
        _upper_storeys(easel, house, style, front)
    {"shop": _shop, "doors": _doors, "garage": _garage, "lobby": _lobby}[house.ground](easel, house, style, front)
    if house.ground == "garage":
        bills_and_graffiti(easel.pixels, rng)
    return front


def _upper_storeys(easel: Easel, house: House, style: Style, front: Front) -> None:
    trim, wide, high = style.trim, *style.window_size
    bays = max(1, int(house.width / style.bay))
    pitch = house.width / bays
    easel.shade(0, 0, 0.1, house.height, 0.8)
    easel.shade(house.width - 0.1, 0, 0.1, house.height, 0.8)
    if style.wall in ("plaster", "ashlar"):
        for edge in (0.0, house.width - 0.45):
            easel.fill(edge, 0, 0.45, house.height, [0.5 * (a + b) for a, b in zip(trim, house.color, strict=True)])
    for storey in range(1, house.storeys):
        z = storey * style.storey + 0.75
        if style.window != "ribbon" and (storey == 1 or style.wall == "ashlar"):
            easel.ledge(0, storey * style.storey + 0.1, house.width, 0.22, trim)
        low = min(wide, pitch - 0.5)
        for bay in range(bays):
            x = pitch * (bay + 0.5) - low / 2
            _window(
                easel,
                style,
                house,
                x,
                z if style.window != "french" else z - 0.3,
                low,
                high * (0.88 if storey == house.storeys - 1 else 1.0),
            )
            if house.balconies and style.window in ("french", "pediment") and (bay + storey) % 2 == 0:
                front.extras.append(("balcony", x - 0.35, storey * style.storey + 0.35, low + 0.7, 1.0, (44, 46, 50)))
    easel.ledge(0, house.height - 0.55, house.width, 0.4, trim)
    if style.roof == "flat":
        easel.fill(0, house.height - 0.1, house.width, 0.1, [c * 0.8 for c in trim])


def _window(easel: Easel, style: Style, house: House, x: float, z: float, w: float, h: float) -> None:
    trim, kind = style.trim, style.window
    if kind == "ribbon":
        easel.fill(x - 0.3, z - 0.1, w + 0.6, h + 0.2, [c * 0.6 for c in trim])
        for i in range(3):
            easel.pane(x + i * w / 3 + 0.04, z, w / 3 - 0.08, h, 0.12)
        return
    easel.fill(x - 0.14, z - 0.05, w + 0.28, h + 0.2, trim)
    if kind == "pediment":
        easel.ledge(x - 0.3, z + h + 0.22, w + 0.6, 0.14, trim)
        easel.polygon([(x - 0.3, z + h + 0.36), (x + w + 0.3, z + h + 0.36), (x + w / 2, z + h + 0.75)], trim)
    if kind == "arched":
        easel.polygon(
            [
                (x - 0.14 + (w + 0.28) * (0.5 - 0.5 * np.cos(t)), z + h + 0.12 + 0.4 * np.sin(t))
                for t in np.linspace(0, np.pi, 14)
            ],
            trim,
        )
    easel.pane(x, z, w, h, 0.14)
    frame = (238, 236, 230) if sum(house.color) < 640 else (110, 90, 74)
    bars = {"sash": (1, 1), "arched": (1, 1), "casement": (2, 0), "french": (1, 2), "pediment": (1, 1), "mill": (3, 3)}[
        kind
    ]
    if kind == "mill":
        frame = (70, 78, 76)
    for i in range(1, bars[0] + 1):
        easel.fill(x + w * i / (bars[0] + 1) - 0.025, z, 0.05, h, frame)
    for i in range(1, bars[1] + 1):
        easel.fill(x, z + h * i / (bars[1] + 1) - 0.03, w, 0.06, frame)
    for fx, fz, fw, fh in ((x, z, w, 0.06), (x, z + h - 0.06, w, 0.06), (x, z, 0.06, h), (x + w - 0.06, z, 0.06, h)):
        easel.fill(fx, fz, fw, fh, frame)
    easel.ledge(x - 0.2, z - 0.14, w + 0.4, 0.12, trim)
    if house.shutter:
        for side in (x - w * 0.5 - 0.06, x + w + 0.06):
            easel.fill(side, z, w * 0.5, h, house.shutter)
            slats = easel.area(side + 0.06, z + 0.08, w * 0.5 - 0.12, h - 0.16)
            slats[::3] = np.clip(slats[::3] * 0.72, 0, 255)


def _curtain_wall(easel: Easel, house: House, style: Style) -> None:
    bays = max(2, int(house.width / style.bay))
    for storey in range(house.storeys):
        for bay in range(bays):
            easel.pane(
                bay * house.width / bays,
                storey * style.storey + 1.0,
                house.width / bays,
                style.storey - 0.9,
                0.1,
                dark=0.15,
            )
        easel.fill(
            0,
            storey * style.storey,
            house.width,
            1.0,
            np.array(house.color, np.float32) * easel.rng.uniform(0.85, 1.1),
        )
        easel.fill(0, storey * style.storey + 1.0, house.width, 0.07, style.trim)
    for bay in range(bays + 1):
        easel.fill(bay * house.width / bays - 0.06, 0, 0.12, house.height, style.trim)
    easel.fill(0, house.height - 0.7, house.width, 0.7, style.trim)


def _door(easel: Easel, x: float, w: float, h: float, color: Color, trim: Color) -> None:
    easel.fill(x - 0.18, 0, w + 0.36, h + 0.75, trim)
    easel.fill(x, 0.15, w, h, color)
    easel.pane(x, h + 0.2, w, 0.4, 0.4)
    for px in (x + 0.12, x + w / 2 + 0.06):
        for pz, ph in ((0.35, 0.75), (1.25, 0.8)):
            easel.fill(px, pz, w / 2 - 0.18, ph, [c * 0.74 for c in color])
    easel.fill(x + w - 0.14, 1.05, 0.07, 0.14, (206, 176, 90))
    easel.fill(x - 0.25, 0, w + 0.5, 0.16, (170, 166, 158))
    easel.ledge(x - 0.3, h + 0.8, w + 0.6, 0.16, trim)


def _doors(easel: Easel, house: House, style: Style, front: Front) -> None:
    bays = max(1, int(house.width / style.bay))
    pitch = house.width / bays
    with_door = int(easel.rng.integers(bays))
    for bay in range(bays):
        middle = pitch * (bay + 0.5)
        if bay == with_door:
            _door(easel, middle - 0.5, 1.0, 2.1, house.door, style.trim)
        else:
            w = min(style.window_size[0], pitch - 0.5)
            _window(easel, style, house, middle - w / 2, 0.95, w, min(style.window_size[1], 1.6))


def _shop(easel: Easel, house: House, style: Style, front: Front) -> None:
    rng, frame, top = easel.rng, house.sign, min(style.storey, 3.3)
    lettering = (246, 236, 206) if sum(frame) < 420 else (40, 36, 40)
    easel.fill(0.15, 0, house.width - 0.3, top, [c * 0.75 for c in frame])
    entrance = house.width * rng.uniform(0.3, 0.6)
    for x, w in ((0.4, entrance - 0.5), (entrance + 1.2, house.width - entrance - 1.6)):
        for part in range(max(1, int(w / 2.2))):
            step = w / max(1, int(w / 2.2))
            _display(easel, x + part * step + 0.05, 0.55, step - 0.1, top - 1.45)
    easel.pane(entrance + 0.1, 0.1, 0.9, 2.1, 0.5, dark=0.4)
    easel.fill(entrance + 0.5, 0.1, 0.06, 2.1, frame)
    easel.fill(0.1, top - 0.75, house.width - 0.2, 0.75, frame)
    easel.text(0.5, top - 0.7, house.width - 1.0, 0.62, house.name, lettering)
    easel.ledge(0.05, top - 0.04, house.width - 0.1, 0.16, style.trim)
    if rng.random() < 0.5:
        front.extras.append(("awning", 0.5, top - 0.8, house.width - 1.0, 0.9, pick(rng, SIGN_COLORS)))
    if rng.random() < 0.6:
        front.extras.append(("sign", house.width * rng.uniform(0.1, 0.9), top + 0.25, 0.8, 0.8, frame))


def _display(easel: Easel, x: float, z: float, w: float, h: float) -> None:
    """A shop window with goods in it."""
    rng = easel.rng
    easel.pane(x, z, w, h, 0.6, dark=0.6)
    for _ in range(int(w * 4)):
        gw, gh = rng.uniform(0.12, 0.4), rng.uniform(0.15, 0.6)
        gx = x + rng.uniform(0, max(0.05, w - gw))
        color = rng.integers(50, 230, 3)
        easel.fill(gx, z, min(gw, x + w - gx), gh, color)
        if easel.area(gx, z, gw, gh, easel.glow).any():
            easel.area(gx, z, min(gw, x + w - gx), gh, easel.glow)[:] = np.clip(color * 0.9 + 20, 0, 255)


def _garage(easel: Easel, house: House, style: Style, front: Front) -> None:
    rng = easel.rng
    w = min(3.4, house.width * 0.4)
    x = rng.uniform(0.5, house.width - w - 0.5)
    easel.fill(x - 0.25, 0, w + 0.5, 3.1, (96, 92, 88))
    shutter = easel.area(x, 0, w, 2.8)
    color = house.door if sum(house.door) > 200 else (128, 134, 138)
    shutter[:] = wall(rng, "boards", color, w + 0.1, 2.9)[: shutter.shape[0], : shutter.shape[1]]
    for left, right in ((0.5, x - 0.5), (x + w + 0.5, house.width - 0.5)):
        if right - left > 1.8:
            _window(easel, style, house, left + 0.2, 1.3, right - left - 0.4, 1.7)
    easel.fill(0, 3.25, house.width, 0.5, [c * 0.6 for c in house.sign])
    easel.text(0.5, 3.28, house.width - 1, 0.44, house.name + " WORKS", (232, 226, 208))


def _lobby(easel: Easel, house: House, style: Style, front: Front) -> None:
    easel.fill(0, 0, house.width, 3.4, [c * 0.55 for c in house.color])
    panes = max(2, int(house.width / 2.4))
    for i in range(panes):
        easel.pane(0.3 + i * (house.width - 0.6) / panes, 0.2, (house.width - 0.6) / panes - 0.12, 2.7, 0.4, dark=0.4)
    easel.fill(0, 2.95, house.width, 0.5, house.sign)
    easel.text(house.width * 0.25, 2.98, house.width * 0.5, 0.44, house.name + " HOUSE", (236, 236, 232))
