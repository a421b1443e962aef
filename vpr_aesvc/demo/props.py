"""Paints what stands and moves in a street: paving, trees, lamps, bins, cars, people, without sun or shade.

Cut-outs are RGBA; sizes come in meters beside each picture. A car is a side view and the strip of panels around it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from vpr_aesvc.demo.easel import SIGN_COLORS, Color, clouds

GROUND_PIXELS_PER_METER = 32
ROAD_HALF_WIDTH, PAVEMENT_WIDTH, PIECE = 5.0, 2.6, 9.0  # meters; roads and pavements are laid in pieces of this length
CAR_COLORS = (
    (168, 172, 176),
    (40, 42, 48),
    (222, 222, 218),
    (126, 28, 30),
    (34, 62, 112),
    (92, 96, 98),
    (58, 84, 66),
    (196, 158, 60),
)
CLOTHES = (
    (40, 44, 60),
    (120, 40, 44),
    (60, 82, 110),
    (180, 170, 150),
    (52, 74, 56),
    (190, 120, 50),
    (90, 60, 96),
    (210, 208, 204),
    (30, 30, 32),
)
SKIN = ((232, 190, 160), (198, 148, 112), (146, 98, 68), (96, 64, 46))


def _grain(rng: np.random.Generator, height: int, width: int, color: Color, amount: float = 0.05) -> np.ndarray:
    tone = 0.9 + 0.2 * clouds(rng, height, width, 6) + rng.normal(0, amount, (height, width)).astype(np.float32)
    return tone[:, :, None] * np.array(color, np.float32)


def road(rng: np.random.Generator, crossing: bool = False, marked: bool = True) -> np.ndarray:
    """One piece of carriageway, kerb to kerb across and PIECE meters down, RGB."""
    scale = GROUND_PIXELS_PER_METER
    h, w = int(PIECE * scale), int(2 * ROAD_HALF_WIDTH * scale)
    pixels = _grain(rng, h, w, (98, 98, 102), 0.06)
    for center in (-2.2, -0.8, 0.8, 2.2):  # where wheels run
        at = int((ROAD_HALF_WIDTH + center) * scale)
        pixels[:, at - 9 : at + 9] *= 0.93
    for _ in range(int(rng.integers(0, 4))):  # mended patches
        x, y, a, b = rng.integers(0, w - 40), rng.integers(0, h - 40), rng.integers(20, 90), rng.integers(20, 120)
        pixels[y : y + b, x : x + a] *= rng.uniform(0.72, 0.88)
    for _ in range(int(rng.integers(0, 3))):  # cracks
        line = np.cumsum(rng.normal(0, 7, (16, 2)) + rng.normal(0, 7, 2), axis=0) + rng.uniform(40, w - 40, 2)
        cv2.polylines(pixels, [line.astype(np.int32)], False, (58, 58, 60), 1, cv2.LINE_AA)
    if rng.random() < 0.4:  # a manhole
        manhole = int(rng.integers(60, w - 60)), int(rng.integers(40, h - 40))
        cv2.circle(pixels, manhole, 11, (64, 62, 60), -1, cv2.LINE_AA)
        cv2.circle(pixels, manhole, 11, (120, 116, 110), 1, cv2.LINE_AA)
    if marked:
        white, middle = np.array((206, 206, 200), np.float32), w // 2
        worn = (0.72 + 0.28 * clouds(rng, h, w, 12))[:, :, None]
        if crossing:
            for bar in range(16, w - 16, 32):
                stripe = np.s_[h // 2 - 48 : h // 2 + 48, bar : bar + 16]
                pixels[stripe] = (white * worn)[stripe]
        else:
            pixels[h // 6 : h // 2, middle - 2 : middle + 3] = (white * worn)[h // 6 : h // 2, middle - 2 : middle + 3]
        for edge in (-3.0, 3.0):  # the parking lanes
            at = int((ROAD_HALF_WIDTH + edge) * scale)
            for start in range(0, h, 48):
                pixels[start : start + 20, at - 1 : at + 2] = (0.85 * white * worn)[start : start + 20, at - 1 : at + 2]
    return np.clip(pixels, 0, 255).astype(np.uint8)


def pavement(rng: np.random.Generator, kind: str) -> np.ndarray:
    """One piece of pavement, PAVEMENT_WIDTH across and PIECE meters down, RGB."""
    h, w = int(PIECE * GROUND_PIXELS_PER_METER), int(PAVEMENT_WIDTH * GROUND_PIXELS_PER_METER)
    rows, columns = np.arange(h)[:, None], np.arange(w)[None]
    size, color = {
        "slabs": ((19, 19), (164, 160, 152)),
        "pavers": ((6, 12), (164, 126, 108)),
        "asphalt": ((900, 900), (122, 120, 120)),
    }[kind]
    across = columns + (rows // size[0] % 2) * (size[1] // 2)
    tones = rng.normal(1, 0.055, (h // size[0] + 1, (w + size[1]) // size[1] + 1)).astype(np.float32)
    pixels = _grain(rng, h, w, color, 0.03) * tones[rows // size[0], across // size[1]][:, :, None]
    pixels[(rows % size[0] == 0) | (across % size[1] == 0)] *= 0.8
    return np.clip(pixels, 0, 255).astype(np.uint8)


def _blank(width: float, height: float, scale: int) -> np.ndarray:
    return np.zeros((round(height * scale), round(width * scale), 4), np.uint8)


def tree(rng: np.random.Generator, kind: str) -> tuple[np.ndarray, float, float]:
    """A tree in leaf: picture, width, height."""
    width, height, crown = {"round": (5.0, 7.0, 0.62), "tall": (3.2, 9.0, 0.78), "young": (2.6, 4.6, 0.56)}[kind]
    scale = 36
    pixels = _blank(width, height, scale)
    h, w = pixels.shape[:2]
    bark = (92, 76, 62, 255)
    fork = int(h * (1 - crown) + 0.2 * h)
    cv2.line(pixels, (w // 2, h), (w // 2 + int(rng.integers(-4, 5)), h - fork), bark, max(5, w // 20), cv2.LINE_AA)
    for _ in range(6):
        tip = int(w * rng.uniform(0.2, 0.8)), int(h * crown * rng.uniform(0.2, 0.8))
        cv2.line(pixels, (w // 2, int(h - fork * 0.9)), tip, bark, 4, cv2.LINE_AA)
    leaf = np.array(
        {"round": (88, 118, 58), "tall": (70, 104, 62), "young": (122, 140, 66)}[kind], float
    ) * rng.uniform(0.85, 1.1, 3)
    middle, radius = np.array([w / 2, h * crown / 2]), np.array([w * 0.46, h * crown * 0.46])
    clumps: list[np.ndarray] = []
    while len(clumps) < 26:
        at = rng.uniform(-1, 1, 2)
        if np.hypot(*at) < 1:
            clumps.append(middle + at * radius * 0.8)
    for clump in sorted(clumps, key=lambda c: -c[1]):  # low and shaded ones first, lit ones over them
        spread = w * rng.uniform(0.07, 0.13)
        for _ in range(46):
            x, y = clump + rng.normal(0, spread * 0.62, 2)
            light = 0.62 + 0.45 * (1 - y / (h * crown)) - 0.30 * (y - clump[1]) / spread + rng.normal(0, 0.1)
            color = np.clip(leaf * light, 8, 235)
            cv2.ellipse(
                pixels,
                (int(x), int(y)),
                (int(rng.integers(3, 8)), int(rng.integers(2, 5))),
                float(rng.uniform(0, 180)),
                0,
                360,
                (*(int(c) for c in color), 255),
                -1,
            )
    return pixels, width, height


def lamp(lit: bool) -> tuple[np.ndarray, float, float]:
    """A street lamp, with its glow if it burns."""
    width, height, scale = 1.6, 5.4, 40
    pixels = _blank(width, height, scale)
    h, w = pixels.shape[:2]
    iron = (44, 50, 50, 255)
    if lit:
        y, x = np.mgrid[:h, :w]
        near = np.exp(-(((x - w / 2) ** 2 + (y - 26) ** 2) / (2 * 11.0**2)))
        pixels[:, :, :3], pixels[:, :, 3] = (255, 214, 140), (170 * near).astype(np.uint8)
    cv2.rectangle(pixels, (w // 2 - 2, 40), (w // 2 + 2, h), iron, -1)
    cv2.rectangle(pixels, (w // 2 - 5, h - 40), (w // 2 + 5, h), iron, -1)
    cv2.line(pixels, (w // 2 - 12, 48), (w // 2 + 12, 48), iron, 3)
    glass = (255, 238, 190, 255) if lit else (206, 210, 204, 255)
    cv2.fillPoly(
        pixels,
        [np.array([(w // 2 - 11, 16), (w // 2 + 11, 16), (w // 2 + 6, 40), (w // 2 - 6, 40)])],
        glass,
        cv2.LINE_AA,
    )
    cv2.fillPoly(pixels, [np.array([(w // 2 - 13, 16), (w // 2 + 13, 16), (w // 2, 4)])], iron, cv2.LINE_AA)
    return pixels, width, height


def furniture(rng: np.random.Generator, kind: str) -> tuple[np.ndarray, float, float]:
    """A bin, bollard, letter box, road sign or shrub in a tub."""
    scale = 60
    width, height = {
        "bin": (0.6, 1.0),
        "bollard": (0.22, 0.95),
        "post": (0.55, 1.5),
        "sign": (0.7, 2.7),
        "tub": (1.0, 1.3),
    }[kind]
    pixels = _blank(width, height, scale)
    h, w = pixels.shape[:2]
    shine = np.sin(np.linspace(0.4, 2.9, w))[None, :, None]

    def cylinder(top: int, bottom: int, inset: int, color: Color) -> None:
        part = pixels[top:bottom, inset : w - inset]
        part[:, :, :3], part[:, :, 3] = (
            np.clip(np.array(color) * (0.45 + 0.7 * shine[:, inset : w - inset]), 0, 255),
            255,
        )

    if kind == "bin":
        cylinder(12, h, 3, (58, 92, 66))
        cylinder(6, 16, 1, (44, 48, 48))
    elif kind == "bollard":
        cylinder(4, h, 3, (52, 52, 56))
        cylinder(12, 20, 2, (210, 208, 200))
    elif kind == "post":
        cylinder(8, h, 2, (186, 34, 38))
        cylinder(2, 12, 0, (160, 26, 30))
        pixels[26:31, 8 : w - 8, :3] = 20
        cylinder(h - 12, h, 1, (36, 34, 36))
    elif kind == "sign":
        pixels[:, w // 2 - 2 : w // 2 + 2] = (140, 142, 144, 255)
        rim, face = ((190, 36, 38), (240, 240, 236)) if rng.random() < 0.5 else ((240, 240, 238), (36, 80, 160))
        cv2.circle(pixels, (w // 2, w // 2), w // 2 - 1, (*rim, 255), -1, cv2.LINE_AA)
        cv2.circle(pixels, (w // 2, w // 2), w // 2 - 6, (*face, 255), -1, cv2.LINE_AA)
        cv2.rectangle(pixels, (w // 2 - 9, w // 2 - 3), (w // 2 + 9, w // 2 + 3), (*rim, 255), -1)
    else:
        for _ in range(220):
            x, y = rng.normal((w / 2, h * 0.36), (w * 0.19, h * 0.14))
            tint = np.clip(np.array((74, 112, 60)) * rng.uniform(0.6, 1.3), 0, 255)
            cv2.circle(pixels, (int(x), int(y)), int(rng.integers(2, 5)), (*(int(c) for c in tint), 255), -1)
        cylinder(int(h * 0.6), h, 10, (150, 120, 100))
    return pixels, width, height


def person(rng: np.random.Generator, cycling: bool = False) -> tuple[np.ndarray, float, float]:
    """Somebody walking or cycling towards or away from the camera."""
    width, height, scale = (0.8, 1.9, 64) if cycling else (0.8, 1.78, 64)
    pixels = _blank(width, height, scale)
    h, w = pixels.shape[:2]
    coat, legs = (np.array(CLOTHES[int(rng.integers(len(CLOTHES)))]) for _ in range(2))
    skin, hair = (
        SKIN[int(rng.integers(len(SKIN)))],
        tuple(int(c) for c in np.array((60, 44, 34)) * rng.uniform(0.4, 2.4)),
    )
    middle, away = w // 2, rng.random() < 0.6

    def limb(a: tuple[int, int], b: tuple[int, int], thickness: int, color: Iterable[float]) -> None:
        cv2.line(pixels, a, b, (*(int(c) for c in color), 255), thickness, cv2.LINE_AA)

    if cycling:
        limb((middle, h - 3), (middle, h - 44), 5, (26, 26, 28))
        limb((middle - 19, h - 66), (middle + 19, h - 66), 3, (40, 40, 44))
    stride = int(rng.integers(4, 10))
    hip, knee = int(h * 0.53), int(h * 0.76)
    for side in (-1, 1):
        foot = (middle + side * (stride - 2), h - 4 - (14 if cycling else 0) - (5 if side > 0 else 0))
        limb((middle + side * 5, hip), (middle + side * stride, knee), 10, legs * (1.0 if side > 0 else 0.85))
        limb((middle + side * stride, knee), foot, 8, legs * (0.95 if side > 0 else 0.8))
        limb(foot, (foot[0] + side * 2, foot[1] + 1), 7, (34, 30, 30))
        limb(
            (middle + side * 12, int(h * 0.26)), (middle + side * (17 if cycling else 16), int(h * 0.5)), 7, coat * 0.85
        )
    torso = np.array(
        [(middle - 13, h * 0.22), (middle + 13, h * 0.22), (middle + 11, h * 0.58), (middle - 11, h * 0.58)], np.int32
    )
    cv2.fillPoly(pixels, [torso], (*(int(c) for c in coat), 255), cv2.LINE_AA)
    shaded = pixels[:, middle:]
    shaded[:, :, :3] = (shaded[:, :, :3] * 0.86).astype(np.uint8)
    cv2.ellipse(pixels, (middle, int(h * 0.13)), (8, 11), 0, 0, 360, (*(hair if away else skin), 255), -1, cv2.LINE_AA)
    cv2.ellipse(pixels, (middle, int(h * 0.10)), (8, 8), 0, 180, 360, (*hair, 255), -1, cv2.LINE_AA)
    if away and rng.random() < 0.4:  # a rucksack
        cv2.rectangle(
            pixels,
            (middle - 9, int(h * 0.26)),
            (middle + 9, int(h * 0.46)),
            (*SIGN_COLORS[int(rng.integers(8))], 255),
            -1,
        )
    return pixels, width, height


@dataclass(frozen=True)
class Car:
    """A car: its right side (RGBA, rear to the left), and the strip of panels around it.

    `outline` runs from the rear bumper over the roof to the front one, x forward from the rear and z up, meters;
    `panels` has one RGB picture for each of its steps.
    """

    side: np.ndarray
    outline: np.ndarray
    panels: tuple[np.ndarray, ...]
    width: float


_OUTLINES = {
    "saloon": ((0, 0.35), (0.02, 0.82), (0.5, 0.98), (1.15, 1.42), (2.5, 1.45), (3.25, 0.98), (4.3, 0.80), (4.4, 0.35)),
    "hatch": ((0, 0.35), (0.05, 0.95), (0.12, 1.0), (0.55, 1.48), (2.2, 1.5), (2.95, 1.0), (3.8, 0.82), (3.9, 0.35)),
    "van": ((0, 0.4), (0, 1.0), (0.02, 1.2), (0.08, 2.15), (3.6, 2.2), (4.3, 1.25), (5.0, 1.02), (5.1, 0.4)),
}


def car(rng: np.random.Generator) -> Car:
    """A saloon, hatchback or van in some color."""
    kind = ("saloon", "hatch", "hatch", "saloon", "van")[int(rng.integers(5))]
    outline = np.array(_OUTLINES[kind])
    color = np.array(CAR_COLORS[int(rng.integers(len(CAR_COLORS)))], float)
    scale = 44
    length, top = outline[-1, 0], outline[:, 1].max() + 0.02
    side = _blank(length, top, scale)
    h = side.shape[0]

    def at(points: np.ndarray) -> list[np.ndarray]:
        return [np.round(np.stack([points[:, 0] * scale, h - points[:, 1] * scale], 1)).astype(np.int32)]

    cv2.fillPoly(side, at(outline), (*(int(c) for c in color), 255), cv2.LINE_AA)
    shading = np.interp(np.arange(h), [0, h * 0.45, h * 0.5, h], [1.1, 1.05, 0.95, 0.6])[:, None, None]
    side[:, :, :3] = np.clip(side[:, :, :3] * shading, 0, 255)
    glass = outline[2:6] + np.array([(0.16, 0.05), (0.1, -0.08), (-0.1, -0.08), (-0.16, 0.05)])
    if kind == "van":
        glass = np.array([(3.0, 1.3), (3.0, 2.0), (3.5, 2.05), (4.05, 1.3)])
    cv2.fillPoly(side, at(glass), (44, 52, 60, 255), cv2.LINE_AA)
    dark = tuple(int(c) for c in color * 0.55)
    for x in (0.36 * length, 0.58 * length):
        low, high = (round(h - z * scale) for z in (0.42, glass[1:3, 1].max()))
        cv2.line(side, (round(x * scale), low), (round(x * scale), high), (*dark, 255), 2, cv2.LINE_AA)
    for x in (0.19 * length, 0.81 * length):
        hub = (round(x * scale), round(h - 0.33 * scale))
        for radius, tint in ((0.38, (18, 18, 20)), (0.32, (30, 30, 32)), (0.19, (150, 152, 154)), (0.08, (70, 70, 74))):
            cv2.circle(side, hub, round(radius * scale), (*tint, 255), -1, cv2.LINE_AA)
    panels = []
    for step, ((x0, z0), (x1, z1)) in enumerate(pairwise(outline)):
        slope = abs(x1 - x0) / np.hypot(x1 - x0, z1 - z0)
        panel = np.full((24, 72, 3), color * (0.8 + 0.28 * slope), np.float64)
        if step in (2, 4):
            panel[3:-2, 5:-5] = np.linspace((128, 146, 158), (48, 56, 64), 19)[:, None]
        if step in (0, 6):
            lights = (176, 24, 26) if step == 0 else (240, 238, 220)
            panel[5:12, 3:15] = panel[5:12, -15:-3] = lights
            panel[15:] *= 0.5
            panel[12:17, 25:47] = (232, 226, 190)
            if step == 6:
                panel[6:11, 18:54] = (36, 36, 40)
        panels.append(np.clip(panel, 0, 255).astype(np.uint8))
    return Car(side, outline, tuple(panels), 1.75 if kind != "van" else 1.95)
