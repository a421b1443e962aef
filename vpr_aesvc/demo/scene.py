"""The street's geometry and its colors in even light, and the world that a light and the parked cars make of it."""

import cv2
import numpy as np

from vpr_aesvc.demo.facades import COLORS, STYLES, Color, Front, Style, cloud_noise, paint_wall, pick
from vpr_aesvc.demo.light import Light, paint_sky
from vpr_aesvc.demo.render import Surface, Texture, World
from vpr_aesvc.demo.street import HALF_WIDTH, LEFT, RIGHT, ROAD_HALF_WIDTH, Street

UP = np.array([0.0, 0.0, 1.0])
_DEPTH = 9.0  # of a house, meters
_TILE, _GROUND_SCALE = 40, 20  # side of a ground tile, meters; pixels per meter
_DESIGNS = 3  # of houses in one street; few, so that different places look alike
_CAR = ((0.0, 4.2, 0.3, 0.95), (0.7, 3.2, 0.95, 1.45))  # body and cabin: meters from the rear to both ends, and up


class Set:
    """Things of the street, and the points [n, 3] that the outlines of their shadows come from."""

    def __init__(self, street: Street, rng: np.random.Generator):
        self.street, self.rng = street, rng
        self.things: list[Surface] = []
        self.casters: list[np.ndarray] = []


class Fixed(Set):
    """What stays: houses and the painted ground."""

    def __init__(self, street: Street, rng: np.random.Generator):
        super().__init__(street, rng)
        self.fronts: list[Surface] = []
        designs = [(pick(rng, STYLES), int(rng.integers(2, 5))) for _ in range(_DESIGNS)]
        for side in (LEFT, RIGHT):
            self._line(side, designs)
        self.tiles = self._ground()

    def _line(self, side: int, designs: list[tuple[Style, int]]) -> None:
        """Fills one side with rows of similar houses, with a gap between two rows now and then."""
        at, rng = 0.0, self.rng
        while True:
            (style, storeys), width = pick(rng, designs), rng.uniform(7.0, 11.0)
            color = pick(rng, style.colors)
            for built in [True] * int(rng.integers(1, 4)) + [False] * (rng.random() < 0.2):
                # on the outside of a bend a front is longer than its piece of the middle line
                bend = self.street.heading_at(at + width) - self.street.heading_at(at)
                end = at + width / max(0.5, 1 - side * HALF_WIDTH * bend / width)
                if end > self.street.length:
                    return
                if built:
                    left, right = self.street.point(np.array([at, end][::side]), side * HALF_WIDTH)
                    self._house(style, storeys, color, left, right)
                at = end

    def _house(self, style: Style, storeys: int, color: Color, left: np.ndarray, right: np.ndarray) -> None:
        """`left` and `right`: the ends of the front as one sees it from the road."""
        rng, width = self.rng, float(np.linalg.norm(right - left))
        front = Front(rng, style, storeys, color, rng.random() < 0.5, width)
        top, back = UP * front.height, -np.cross((right - left) / width, UP) * _DEPTH
        wall = paint_wall(rng, style.wall, color, _DEPTH, front.height)
        self.fronts.append(Surface(front.pixels, left + top, right - left, -top, sun=0.9))
        self.things += [
            self.fronts[-1],
            Surface(wall, left + back + top, -back, -top),
            Surface(wall, right + top, back, -top),
        ]
        self.casters.append(np.stack([left, right, left + top, right + top]))

    def _ground(self) -> dict[tuple[int, int], np.ndarray]:
        """The painted ground under the street, RGB, in tiles by their south-west corners (meters)."""
        layers, size = self._layers(), _TILE * _GROUND_SCALE
        reach = self.street.point(np.arange(0, self.street.length, 2.0)[:, None], np.arange(-16, 17, 4.0)[None])
        tiles = {}
        for x, y in np.unique(np.floor(reach[..., :2].reshape(-1, 2) / _TILE).astype(int), axis=0) * _TILE:
            tile = np.full((size, size, 3), (98, 116, 78), np.uint8)
            for color, polygon in layers:
                _fill(tile, polygon, (x, y), color)
            tone = 0.9 + 0.2 * cloud_noise(self.rng, size, size, 40)
            tone += 0.05 * self.rng.standard_normal((size, size), np.float32)
            tiles[int(x), int(y)] = np.clip(tile * tone[:, :, None], 0, 255).astype(np.uint8)
        return tiles

    def _layers(self) -> list[tuple[Color, np.ndarray]]:
        """Colors and outlines [n, 3] of what lies on the ground, from below."""
        strip, length, edge = self.street.strip, self.street.length, ROAD_HALF_WIDTH
        asphalt, white = (98, 98, 102), (198, 198, 192)
        layers: list[tuple[Color, np.ndarray]] = [
            ((164, 160, 152), strip(0, length, -HALF_WIDTH - 1, HALF_WIDTH + 1)),  # pavement
            ((184, 180, 172), strip(0, length, -edge - 0.15, edge + 0.15)),  # kerb stones
            (asphalt, strip(0, length, 0.12 - edge, edge - 0.12)),
        ]
        layers += [(white, strip(at, at + 3, -0.07, 0.07)) for at in np.arange(2, length, 9)]
        for at in np.arange(self.rng.uniform(15, 40), length, 70):  # pedestrian crossings
            layers += [(white, strip(at, at + 3, y, y + 0.5)) for y in np.arange(-4.5, 4.5, 1.0)]
        return layers


class Traffic(Set):
    """The parked cars of one drive; they take the share `cars` of the bays."""

    def __init__(self, street: Street, rng: np.random.Generator, cars: float):
        super().__init__(street, rng)
        for along in np.arange(4, street.length - 10, 6.4):
            for side in (LEFT, RIGHT):
                if rng.random() < cars:
                    self._park(pick(rng, COLORS), along + rng.uniform(0, 0.9), side)

    def _park(self, color: Color, along: float, side: int) -> None:
        front, rear = self.street.point(np.array([along + _CAR[0][1], along][::-side]), side * 3.95)
        forward = (front - rear) / np.linalg.norm(front - rear)
        left = np.cross(UP, forward) * 0.88
        for (start, end, low, high), paint in zip(_CAR, (color, (44, 52, 60)), strict=True):
            corner, length, drop = rear + forward * start + UP * high, forward * (end - start), UP * (low - high)
            for first, across, down in (
                (corner - left, length, drop),
                (corner + length + left, -length, drop),
                (corner + left, -2 * left, drop),
                (corner + length - left, 2 * left, drop),
                (corner + length + left, -2 * left, -length),
            ):
                self.things.append(Surface(np.full((8, 8, 3), paint, np.uint8), first, across, down))
            ends = [corner + length * i + drop * j + left * k for i in (0, 1) for j in (0, 1) for k in (-1, 1)]
            self.casters.append(np.array(ends))


def light_up(fixed: Fixed, traffic: Traffic, light: Light) -> World:
    """The world in a light."""
    shadows = [points - points[:, 2:] / light.to_sun[2] * light.to_sun for points in fixed.casters + traffic.casters]
    shadows = [cv2.convexHull(points[:, :2].astype(np.float32))[:, 0] for points in shadows]
    across, down = np.array([_TILE, 0, 0.0]), np.array([0, -_TILE, 0.0])
    ground = []
    for (x, y), tile in fixed.tiles.items():
        shade = np.zeros(tile.shape[:2], np.uint8)
        for polygon in shadows:
            _fill(shade, polygon, (x, y), 255)
        gain = light.gain(UP, 1 - 0.88 / 255 * cv2.blur(shade, (5, 5)).astype(np.float32)).astype(np.float32)
        surface = Surface(tile, np.array([x, y, 0.0]) - down, across, down)
        ground.append((surface, Texture(np.minimum(tile * gain, 255).astype(np.uint8))))
    things = [(thing, _lit(thing, light)) for thing in fixed.things + traffic.things]
    return World(paint_sky(light, traffic.rng), light.haze, light.haze_distance, ground, things)


def _lit(thing: Surface, light: Light) -> Texture:
    """The texture of a surface under a light."""
    normal = np.cross(thing.down, thing.across)
    gain = light.gain(normal / np.linalg.norm(normal), thing.sun).astype(np.float32)
    return Texture(np.minimum(thing.pixels * gain, 255).astype(np.uint8))


def _fill(tile: np.ndarray, polygon: np.ndarray, origin: tuple[int, int], color: int | Color) -> None:
    """Fills an outline [n, 2 or more], meters, in a ground tile."""
    xy = polygon[:, :2] - origin
    if (xy.max(0) > 0).all() and (xy.min(0) < _TILE).all():
        pixels = np.stack([xy[:, 0], _TILE - xy[:, 1]], axis=1) * (_GROUND_SCALE * 16)
        cv2.fillPoly(tile, [np.round(pixels).astype(np.int32)], color, cv2.LINE_AA, 4)
