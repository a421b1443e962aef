"""What stands in the street, painted in even light: lamps, signs and trees as cut-outs (RGBA), and cars.

A cut-out is a list of strokes: (color, thickness, points). Points are (x from the middle, z up) in meters. A thickness
of 0 fills the polygon; one point makes a dot.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from vpr_aesvc.demo.facades import SIGN_COLORS, Color

SCALE = 56  # pixels per meter
Car = tuple[np.ndarray, np.ndarray, list[np.ndarray]]
Stroke = tuple[Color, float, Sequence[tuple[float, float]]]

_IRON, _GLASS, _RED, _WHITE, _BARK = (44, 50, 50), (206, 210, 204), (186, 34, 38), (240, 240, 236), (92, 76, 62)
LAMP: list[Stroke] = [
    (_IRON, 0.1, [(0, 0), (0, 4.5)]),
    (_IRON, 0.24, [(0, 0.1), (0, 0.9)]),
    (_IRON, 0.07, [(-0.3, 4.2), (0.3, 4.2)]),
    (_GLASS, 0, [(-0.15, 4.4), (0.15, 4.4), (0.28, 5.0), (-0.28, 5.0)]),
    (_IRON, 0, [(-0.33, 5.0), (0.33, 5.0), (0, 5.3)]),
]
SIGN: list[Stroke] = [
    (_IRON, 0.07, [(0, 0), (0, 2.4)]),
    (_RED, 0.66, [(0, 2.35)]),
    (_WHITE, 0.48, [(0, 2.35)]),
    (_RED, 0.1, [(-0.14, 2.35), (0.14, 2.35)]),
]
TREES = {  # width, height, share of the height that is crown, color of the leaves
    "round": (5.0, 7.0, 0.62, (88, 118, 58)),
    "tall": (3.2, 9.0, 0.78, (70, 104, 62)),
    "young": (2.6, 4.6, 0.56, (122, 140, 66)),
}
CARS = {  # outlines: x forward from the rear and z up, meters, from the rear bumper over the roof to the front one
    "saloon": ((0, 0.35), (0.02, 0.82), (0.5, 0.98), (1.15, 1.42), (2.5, 1.45), (3.25, 0.98), (4.3, 0.80), (4.4, 0.35)),
    "hatch": ((0, 0.35), (0.05, 0.95), (0.12, 1.0), (0.55, 1.48), (2.2, 1.5), (2.95, 1.0), (3.8, 0.82), (3.9, 0.35)),
}
CAR_COLORS = (*SIGN_COLORS, _GLASS, _IRON, _GLASS)
_WHEEL = ((0.76, (18, 18, 20)), (0.38, (150, 152, 154)), (0.16, (70, 70, 74)))


def paint_strokes(width: float, height: float, strokes: list[Stroke]) -> np.ndarray:
    """A cut-out, premultiplied RGBA; its right part is darker, as of something round."""
    h, w = round(height * SCALE), round(width * SCALE)
    pixels = np.zeros((h, w, 4), np.uint8)
    for color, thickness, points in strokes:
        line = np.round([(w / 2 + x * SCALE, h - z * SCALE) for x, z in points]).astype(np.int32)
        if len(points) == 1:
            cv2.circle(pixels, line[0].tolist(), round(thickness * SCALE / 2), (*color, 255), -1, cv2.LINE_AA)
        elif thickness:
            cv2.polylines(pixels, [line], False, (*color, 255), round(thickness * SCALE), cv2.LINE_AA)
        else:
            cv2.fillPoly(pixels, [line], (*color, 255), cv2.LINE_AA)
    shade = np.interp(np.arange(w), [0, 0.35 * w, w], [0.95, 1.05, 0.75])[None, :, None]
    pixels[:, :, :3] = np.clip(pixels[:, :, :3] * shade, 0, 255)
    return pixels


def paint_tree(rng: np.random.Generator, kind: str) -> np.ndarray:
    """A tree in leaf: clumps of leaves, the upper ones in more light."""
    width, height, crown, leaf = TREES[kind]
    fork = height * (1 - 0.85 * crown)
    strokes: list[Stroke] = [(_BARK, max(0.14, width / 20), [(0, 0), (0, fork)])]
    for x, z in rng.uniform((-0.3, 1 - 0.8 * crown), (0.3, 1 - 0.2 * crown), (6, 2)):
        strokes.append((_BARK, 0.1, [(0, fork * 0.9), (x * width, z * height)]))
    turn, out = rng.uniform(0, 2 * np.pi, 26), 0.8 * np.sqrt(rng.random(26))
    x, z = 0.46 * width * out * np.cos(turn), height * (1 - crown * (0.5 + 0.46 * out * np.sin(turn)))
    for clump in np.argsort(z):  # low ones first
        spread = width * rng.uniform(0.07, 0.13)
        for dx, dz, noise in rng.normal(0, 1, (36, 3)) * (0.62 * spread, 0.62 * spread, 0.1):
            light = 0.62 + 0.45 * (1 - (height - z[clump] - dz) / (height * crown)) + 0.3 * dz / spread + noise
            r, g, b = (int(np.clip(c * light, 8, 235)) for c in leaf)
            strokes.append(((r, g, b), rng.uniform(0.12, 0.28), [(x[clump] + dx, z[clump] + dz)]))
    return paint_strokes(width, height, strokes)


def paint_car(kind: str, color: Color) -> Car:
    """The right side of a car (RGBA, rear to the left), its outline [n, 2], and an RGB panel for each step of it."""
    outline = np.array(CARS[kind])
    length, middle = float(outline[-1, 0]), outline - (outline[-1, 0] / 2, 0)
    glass = middle[2:6] + np.array([(0.16, 0.05), (0.1, -0.08), (-0.1, -0.08), (-0.16, 0.05)])
    strokes: list[Stroke] = [(color, 0, middle.tolist()), ((44, 52, 60), 0, glass.tolist())]
    strokes += [(_IRON, 0.03, [(x * length, 0.42), (x * length, glass[1:3, 1].max())]) for x in (-0.14, 0.08)]
    strokes += [(tint, size, [(x * length, 0.33)]) for x in (-0.31, 0.31) for size, tint in _WHEEL]
    side = paint_strokes(length, float(outline[:, 1].max()) + 0.02, strokes)
    side[:, :, :3] = side[:, :, :3] * np.interp(np.arange(len(side)), [0, len(side)], [1.0, 0.75])[:, None, None]
    panels = [np.full((24, 72, 3), np.array(color, np.uint8)) for _ in outline[1:]]
    for panel in (panels[2], panels[4]):  # rear window, windscreen
        panel[3:-2, 5:-5] = np.linspace((128, 146, 158), (48, 56, 64), 19)[:, None]
    for panel, lights in ((panels[0], (176, 24, 26)), (panels[6], (240, 238, 220))):
        panel[5:12, 3:15] = panel[5:12, -15:-3] = lights
        panel[15:] = panel[15:] // 2
        panel[12:17, 25:47] = (232, 226, 190)  # number plate
    return side, outline, panels
