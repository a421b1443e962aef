"""A stage to build the street on: puts ground, walls and shadows into a world, in the light of one time of day."""

from __future__ import annotations

import numpy as np

from vpr_aesvc.demo.light import Daylight
from vpr_aesvc.demo.render import Surface, Texture, World
from vpr_aesvc.demo.town import HALF_WIDTH, LEFT, RIGHT, Leg, Town

UP = np.array([0.0, 0.0, 1.0])
KERB = 0.13  # height of pavements above the road, meters


class Stage:
    """The world under construction, with the town's plan and the light at hand."""

    def __init__(self, town: Town, light: Daylight):
        self.town, self.light, self.world = town, light, World()

    def lit(self, gain: np.ndarray, pixels: np.ndarray, glow: np.ndarray | None = None) -> Texture:
        """Painted colors under a light."""
        color = np.minimum(pixels[:, :, :3] * gain.astype(np.float32), 255).astype(np.uint8)
        if glow is not None and self.light.lamps:
            color = np.maximum(color, glow)
        return Texture(np.dstack([color, pixels[:, :, 3]]) if pixels.shape[2] == 4 else color)

    def shadow_height(self, leg: int, along: float, offset: float) -> float:
        """Up to which height the houses across the way keep the sun off, meters."""
        way, sun = self.town.legs[leg], self.light.to_sun
        across, ahead = float(way.left @ sun), float(way.ahead @ sun)
        if abs(across) < 1e-3:
            return 0.0
        side = LEFT if across > 0 else RIGHT
        steps = (HALF_WIDTH - side * offset) / abs(across)
        return self.town.skyline(leg, side, along + steps * ahead) - steps * float(sun[2])

    def in_sun(self, leg: int, along: float, offset: float, z: float = 1.0) -> float:
        """How much of something at height z lies in the sun, 0..1."""
        return float(np.clip((z - self.shadow_height(leg, along, offset)) / 1.5 + 0.5, 0, 1))

    def cast(self, corners: list[np.ndarray], height: float) -> None:
        """The shadow on the ground of an upright rectangle over the given base line."""
        sun = self.light.to_sun
        shift = -sun * [1, 1, 0] * min(60.0, height / max(0.05, sun[2]))
        self.world.shadows.append(np.array([corners[0], corners[1], corners[1] + shift, corners[0] + shift]))

    def blot(self, foot: np.ndarray, radius: float) -> None:
        """The soft dark patch under something."""
        turn = np.linspace(0, 2 * np.pi, 10, endpoint=False)
        self.world.shadows.append(foot + radius * np.stack([np.cos(turn), np.sin(turn), 0 * turn], axis=1))

    def flat(
        self, texture: Texture, leg: Leg, along: float, length: float, right: float, left: float, z: float
    ) -> None:
        """Lays a piece of ground from `along` to `along + length`, between two offsets to the left of the middle."""
        corner = leg.point(along + length, left, z)
        self.world.ground.append(Surface(texture, corner, (right - left) * leg.left, -length * leg.ahead))

    @staticmethod
    def upright(
        texture: Texture, leg: Leg, side: int, along: float, width: float, offset: float, low: float, high: float
    ) -> Surface:
        """A wall along a side of a leg, facing the road."""
        start, step = (along, 1) if side == LEFT else (along + width, -1)
        return Surface(
            texture, leg.point(start, side * offset, high), step * width * leg.ahead, np.array([0, 0, low - high])
        )
