"""Builds houses, and what shows between them, on a stage: fronts, side walls, roofs, balconies, awnings, gardens."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from vpr_aesvc.demo import props
from vpr_aesvc.demo.easel import PIXELS_PER_METER, SIGN_COLORS, Color, bills_and_graffiti, clouds, wall
from vpr_aesvc.demo.facades import paint_front
from vpr_aesvc.demo.houses import STYLES
from vpr_aesvc.demo.render import Billboard, Surface
from vpr_aesvc.demo.stage import KERB, UP, Stage
from vpr_aesvc.demo.town import HALF_WIDTH, RIGHT, Leg, Plot

DEPTH = 9.0  # of a house, meters


def build_house(stage: Stage, plot: Plot) -> None:
    leg, house, style = stage.town.legs[plot.leg], plot.house, STYLES[plot.house.style]
    offset, out = HALF_WIDTH + plot.setback, -plot.side * leg.left
    front = paint_front(house)
    rows, columns = front.pixels.shape[:2]
    samples = np.linspace(0, plot.width, 24)
    if plot.side == RIGHT:
        samples = samples[::-1]
    shade = np.array([stage.shadow_height(plot.leg, plot.start + s, plot.side * HALF_WIDTH) for s in samples])
    shade = np.interp(np.linspace(0, 23, columns), np.arange(24), shade)
    z = (rows - np.arange(rows)) / PIXELS_PER_METER
    lit = np.clip((z[:, None] - shade[None]) / 0.3 + 0.5, 0, 1).astype(np.float32)
    surface = stage.upright(
        stage.lit(stage.light.gain(out, lit), front.pixels, front.glow),
        leg,
        plot.side,
        plot.start,
        plot.width,
        offset,
        0.0,
        house.height,
    )
    stage.world.surfaces.append(surface)
    if float(out @ stage.light.to_sun) < 0:
        stage.cast(
            [leg.point(plot.start, plot.side * offset), leg.point(plot.start + plot.width, plot.side * offset)],
            house.height,
        )
    _build_sides(stage, plot, leg, offset)
    if style.roof != "flat":
        _build_roof(stage, plot, leg, offset, style.roof)
    for extra in front.extras:
        _stick_out(stage, surface, out, *extra)


def _build_sides(stage: Stage, plot: Plot, leg: Leg, offset: float) -> None:
    """The two walls that show where the neighbor is lower or stands back."""
    house, inwards = plot.house, plot.side * leg.left
    pixels = _plain_wall(STYLES[house.style].wall, house.color, house.storeys, house.height)
    for along, facing in ((plot.start, -leg.ahead), (plot.start + plot.width, leg.ahead)):
        texture = stage.lit(stage.light.gain(facing, 0.6), pixels)
        corner = leg.point(along, plot.side * offset, house.height)
        # the texture's left edge is the viewer's left: the front for one wall, the back for the other
        runs_in = float(np.cross(facing, inwards)[2]) < 0
        at, across = (corner, inwards * DEPTH) if not runs_in else (corner + inwards * DEPTH, -inwards * DEPTH)
        stage.world.surfaces.append(Surface(texture, at, across, np.array([0, 0, -house.height])))


def _build_roof(stage: Stage, plot: Plot, leg: Leg, offset: float, kind: str) -> None:
    rise, run, eaves = 2.6, 4.5, plot.house.height - 0.12
    normal = (-plot.side * leg.left * rise + UP * run) / np.hypot(rise, run)
    texture = stage.lit(stage.light.gain(normal, 0.85), _roof_tiles(kind))
    slope = stage.upright(texture, leg, plot.side, plot.start, plot.width, offset - 0.3, eaves, eaves + rise)
    slope.corner = slope.corner + plot.side * leg.left * run
    slope.down = slope.down - plot.side * leg.left * run
    stage.world.surfaces.append(slope)
    color = np.array(plot.house.color) * 0.92
    gable = np.zeros((80, 160, 4), np.uint8)
    cv2.fillPoly(gable, [np.array([(0, 80), (80, 0), (160, 80)])], (*(int(c) for c in color), 255), cv2.LINE_AA)
    for along, facing in ((plot.start, -leg.ahead), (plot.start + plot.width, leg.ahead)):
        corner = leg.point(along, plot.side * (offset - 0.3), eaves + rise)
        surface = Surface(
            stage.lit(stage.light.gain(facing, 0.6), gable),
            corner,
            plot.side * leg.left * 2 * run,
            np.array([0, 0, -rise]),
            True,
        )
        stage.world.surfaces.append(surface)
        stack = leg.point(along - 0.5 * float(facing @ leg.ahead), plot.side * (offset + run - 0.3), eaves + rise - 0.6)
        _box(stage, stack, leg, 0.9, 0.6, 1.9, _plain_wall("brick", (142, 84, 68), 1, 1.9))


def _box(
    stage: Stage, foot: np.ndarray, leg: Leg, length: float, width: float, height: float, pixels: np.ndarray
) -> None:
    for facing, half, span in (
        (leg.ahead, length, width),
        (-leg.ahead, length, width),
        (leg.left, width, length),
        (-leg.left, width, length),
    ):
        right = np.cross(UP, facing)
        corner = foot + facing * half / 2 - right * span / 2 + UP * height
        texture = stage.lit(stage.light.gain(facing), pixels)
        stage.world.surfaces.append(Surface(texture, corner, right * span, -UP * height))


def build_gap(stage: Stage, plot: Plot, rng: np.random.Generator) -> None:
    """An alley closed by a house, or a garden behind a wall with bills and a tag on it."""
    leg, deep = stage.town.legs[plot.leg], 14.0 if plot.gap == "alley" else 22.0
    front = paint_front(plot.house)
    back = stage.lit(stage.light.gain(-plot.side * leg.left, 0.5), front.pixels, front.glow)
    stage.world.surfaces.append(
        stage.upright(back, leg, plot.side, plot.start - 3, plot.width + 6, HALF_WIDTH + deep, 0, plot.house.height)
    )
    floor = props.road(rng, marked=False) if plot.gap == "alley" else _lawn()
    right, left = sorted((plot.side * HALF_WIDTH, plot.side * (HALF_WIDTH + deep)))
    stage.flat(
        stage.lit(stage.light.gain(UP, 0.5), floor), leg, plot.start - 1, plot.width + 2, right, left, KERB - 0.02
    )
    if plot.gap == "garden":
        pixels = wall(rng, "brick", (150, 96, 78), plot.width, 1.7)
        pixels[:8] = (196, 190, 178)
        bills_and_graffiti(pixels, rng)
        texture = stage.lit(stage.light.gain(-plot.side * leg.left, 0.5), pixels)
        stage.world.surfaces.append(
            stage.upright(texture, leg, plot.side, plot.start, plot.width, HALF_WIDTH + 0.2, 0, 1.7 + KERB)
        )
        for share in (0.25, 0.72):
            picture, width, height = props.tree(rng, ("round", "tall")[int(rng.integers(2))])
            foot = leg.point(plot.start + plot.width * share, plot.side * (HALF_WIDTH + 4), KERB)
            stage.world.billboards.append(
                Billboard(stage.lit(stage.light.gain(UP, 0.6), picture), foot, width * 1.1, height * 1.1)
            )


def _stick_out(
    stage: Stage, front: Surface, out: np.ndarray, kind: str, x: float, z: float, w: float, h: float, color: Color
) -> None:
    """A balcony, an awning or a hanging sign on a front."""
    along = front.across / np.linalg.norm(front.across)
    foot = front.corner + front.down + along * x + UP * z
    ambient, add = stage.light.gain(out, 0.4), stage.world.surfaces.append
    if kind == "balcony":
        rail = stage.lit(ambient, _railing(color))
        slab = stage.lit(ambient, np.full((4, 4, 3), 150, np.uint8))
        under = stage.lit(ambient * 0.55, np.full((4, 4, 3), 150, np.uint8))
        add(Surface(rail, foot + out * 0.8 + UP * h, along * w, -UP * h, two_sided=True))
        add(Surface(rail, foot + UP * h, out * 0.8, -UP * h, two_sided=True))
        add(Surface(rail, foot + UP * h + along * w, out * 0.8, -UP * h, two_sided=True))
        add(Surface(slab, foot + out * 0.82, along * w, -UP * 0.14))
        add(Surface(under, foot - UP * 0.14, along * w, out * 0.82, two_sided=True))
    elif kind == "awning":
        stripes = np.full((40, 160, 3), color, np.uint8)
        stripes.reshape(40, 10, 16, 3)[:, ::2] = (236, 230, 216)
        stripes[32:] = (stripes[32:] * 0.8).astype(np.uint8)
        texture = stage.lit(stage.light.gain(UP, 0.5), stripes)
        add(Surface(texture, foot + UP * h, along * w, out * 1.3 - UP * h * 0.75, two_sided=True))
        add(Surface(texture, foot + UP * h * 0.25 + out * 1.3, along * w, -UP * 0.22, two_sided=True))
    else:
        board = np.full((48, 48, 3), color, np.uint8)
        board[3:45, 3:45] = [min(255, c + 26) for c in color]
        cv2.circle(board, (24, 24), 13, SIGN_COLORS[(sum(color) + round(x * 7)) % len(SIGN_COLORS)], -1, cv2.LINE_AA)
        cv2.circle(board, (24, 24), 13, (240, 236, 222), 2, cv2.LINE_AA)
        texture = stage.lit(ambient * 1.1, board)
        add(Surface(texture, foot + out * 0.15 + UP * h, out * w, -UP * h))
        add(Surface(texture, foot + out * (0.15 + w) + UP * h, -out * w, -UP * h))


@lru_cache(maxsize=64)
def _plain_wall(kind: str, color: Color, storeys: int, height: float) -> np.ndarray:
    kind = "panels" if kind == "curtain" else kind
    return wall(
        np.random.default_rng([*color, storeys]),
        kind,
        (int(color[0] * 0.95), int(color[1] * 0.95), int(color[2] * 0.95)),
        DEPTH if height > 2 else 1.0,
        height,
    )


@lru_cache(maxsize=4)
def _roof_tiles(kind: str) -> np.ndarray:
    rng, color = np.random.default_rng(5), (92, 98, 110) if kind == "slate" else (186, 104, 74)
    rows, columns = np.arange(160)[:, None], np.arange(320)[None]
    tone = rng.normal(1, 0.08, (21, 42))[rows // 8, (columns + rows // 8 % 2 * 4) // 8]
    tone = np.where(rows % 8 == 7, tone * 0.72, tone) * (0.9 + 0.2 * clouds(rng, 160, 320, 6))
    return np.clip(tone[:, :, None] * np.array(color), 0, 255).astype(np.uint8)


@lru_cache(maxsize=1)
def _lawn() -> np.ndarray:
    rng = np.random.default_rng(6)
    tone = 0.75 + 0.4 * clouds(rng, 256, 256, 9) + rng.normal(0, 0.09, (256, 256))
    return np.clip(tone[:, :, None] * np.array((96, 128, 66)), 0, 255).astype(np.uint8)


@lru_cache(maxsize=4)
def _railing(color: Color) -> np.ndarray:
    rail = np.zeros((48, 96, 4), np.uint8)
    rail[:, ::6] = rail[:, 1::6] = (*color, 255)
    rail[:4] = rail[-5:] = (*color, 255)
    return rail
