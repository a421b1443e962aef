"""The street's geometry and its colors in even light, and the world that a light and the traffic make of it."""

import cv2
import numpy as np

from vpr_aesvc.demo import sprites
from vpr_aesvc.demo.facades import STYLES, Color, Front, Style, cloud_noise, paint_wall, pick
from vpr_aesvc.demo.light import Light, paint_sky
from vpr_aesvc.demo.render import Surface, Texture, World
from vpr_aesvc.demo.street import HALF_WIDTH, LEFT, RIGHT, ROAD_HALF_WIDTH, Street

UP = np.array([0.0, 0.0, 1.0])
_DEPTH, _RISE = 9.0, 2.6  # of a house, and of a roof from the eaves to the ridge, meters
_TILE, _GROUND_SCALE = 40, 20  # side of a ground tile, meters; pixels per meter
_DESIGNS = 3  # of houses in one street; few, so that different places look alike


class Set:
    """Things of the street, and the points [n, 3] that the outlines of their shadows come from."""

    def __init__(self, street: Street, rng: np.random.Generator):
        self.street, self.rng = street, rng
        self.things: list[Surface] = []
        self.casters: list[np.ndarray] = []

    def stand(self, pixels: np.ndarray, along: float, offset: float, glow: np.ndarray | None = None) -> None:
        """Puts a sprite on the ground; it always faces the camera."""
        height, width = (n / sprites.SCALE for n in pixels.shape[:2])
        foot, across = self.street.point(along, offset), np.array([width, 0, 0])
        corner = foot - across / 2 + UP * height
        self.things.append(Surface(pixels, corner, across, -UP * height, glow=glow, billboard=True))
        radius, low = (0.4 * width, 0.4) if width > 2 else (0.1, 0.0)  # a tree's shadow begins with its crown
        turn = np.linspace(0, 2 * np.pi, 8, endpoint=False)
        ring = foot + radius * np.stack([np.cos(turn), np.sin(turn), 0 * turn], axis=1)
        self.casters.append(np.concatenate([ring + UP * low * height, ring + UP * 0.8 * height]))


class Fixed(Set):
    """What stays: houses, gardens, lamps, trees, signs and the painted ground."""

    def __init__(self, street: Street, rng: np.random.Generator):
        super().__init__(street, rng)
        self.trees = {kind: [sprites.paint_tree(rng, kind) for _ in range(3)] for kind in sprites.TREES}
        designs = [(pick(rng, STYLES), int(rng.integers(2, 5))) for _ in range(_DESIGNS)]
        for side in (LEFT, RIGHT):
            self._line(side, designs)
            self._plant(side)
        self.tiles = self._ground()

    def _line(self, side: int, designs: list[tuple[Style, int]]) -> None:
        """Fills one side with rows of similar houses, with a garden between two rows now and then."""
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
                else:
                    for along, kind in ((2, "round"), (4, "tall"), (6, "round")):
                        self.stand(pick(rng, self.trees[kind]), at + along, side * (HALF_WIDTH + 2))
                at = end

    def _house(self, style: Style, storeys: int, color: Color, left: np.ndarray, right: np.ndarray) -> None:
        """`left` and `right`: the ends of the front as one sees it from the road."""
        rng, width = self.rng, float(np.linalg.norm(right - left))
        along = (right - left) / width
        out, shop = np.cross(along, UP), rng.random() < 0.5
        front = Front(rng, style, storeys, color, shop, width)
        top, back = UP * front.height, -out * _DEPTH
        self.things.append(Surface(front.pixels, left + top, right - left, -top, sun=0.9, glow=front.glow))
        self.casters.append(np.stack([left, right, left + top, right + top]))
        gable = top + UP * (_RISE if style.roof else 0)
        wall = paint_wall(rng, style.wall, color, _DEPTH, float(gable[2]))
        (h, w), low = wall.shape[:2], len(wall) - len(front.pixels)
        outline = np.array([(0, h), (0, low), (w // 2, 0), (w, low), (w, h)])
        mask = cv2.fillPoly(np.zeros((h, w, 1), np.uint8), [outline], 255)
        wall = np.dstack([wall * (mask > 0), mask])
        self.things.append(Surface(wall, left + back + gable, -back, -gable))
        self.things.append(Surface(wall, right + gable, back, -gable))
        if style.roof:
            slope = -back / 2 - UP * _RISE + out * 0.3 - UP * 0.17
            tiles = paint_wall(rng, "boards", style.roof, 4, 4)
            self.things.append(Surface(tiles, left + back / 2 + gable, right - left, slope, sun=0.85))
            chimney, corner = paint_wall(rng, "brick", (142, 84, 68), 0.8, 1.6), left + back / 2 + gable + UP * 1.2
            self.things.append(Surface(chimney, corner, along * 0.8, -UP * 1.6, billboard=True))
        if shop and rng.random() < 0.5:
            stripes = np.full((40, 160, 3), front.sign, np.uint8)
            stripes.reshape(40, 10, 16, 3)[:, ::2] = (236, 230, 216)
            corner, across, drop = left + along * 0.5 + UP * 3.1, right - left - along, out * 1.3 - UP * 0.65
            self.things.append(Surface(stripes, corner, across, drop))

    def _plant(self, side: int) -> None:
        """Lamps and trees in turn along the kerb, signs between them."""
        lamp, sign = sprites.paint_strokes(0.8, 5.4, sprites.LAMP), sprites.paint_strokes(0.7, 2.7, sprites.SIGN)
        glow = np.where(lamp[:, :, :1] > 120, np.array((255, 240, 196), np.uint8), np.uint8(0))  # of the glass
        at, step = self.rng.uniform(4, 10), 0
        while at < self.street.length:
            if step % 2:
                self.stand(lamp, at, side * (ROAD_HALF_WIDTH + 0.55), glow)
            else:
                trees = self.trees[("round", "tall", "young")[(int(at / 60) + (side > 0)) % 3]]
                self.stand(pick(self.rng, trees), at, side * (ROAD_HALF_WIDTH + 0.55))
            if self.rng.random() < 0.25:
                self.stand(sign, at + self.rng.uniform(2, 4), side * (ROAD_HALF_WIDTH + 0.45))
            at, step = at + self.rng.uniform(5.5, 8.5), step + 1

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
        strip, length, rng, edge = self.street.strip, self.street.length, self.rng, ROAD_HALF_WIDTH
        asphalt, track, white, joint = (98, 98, 102), (91, 91, 95), (198, 198, 192), (136, 132, 126)
        layers: list[tuple[Color, np.ndarray]] = [((164, 160, 152), strip(0, length, -HALF_WIDTH - 1, HALF_WIDTH + 1))]
        layers += [(joint, strip(at, at + 0.05, -HALF_WIDTH, HALF_WIDTH)) for at in np.arange(0, length, 0.8)]
        layers += [(joint, strip(0, length, side * 6.3, side * 6.3 + 0.05)) for side in (LEFT, RIGHT)]
        layers.append(((184, 180, 172), strip(0, length, -edge - 0.15, edge + 0.15)))  # kerb stones
        layers.append(((66, 66, 68), strip(0, length, -edge, edge)))  # gutters
        layers.append((asphalt, strip(0, length, 0.12 - edge, edge - 0.12)))
        layers += [(track, strip(0, length, at - 0.3, at + 0.3)) for at in (-2.2, -0.8, 0.8, 2.2)]
        for at, right, long, wide in rng.uniform((0, -4.5, 1, 0.7), (length, 2, 4, 2.5), (int(length / 12), 4)):
            layers.append(((76, 76, 79), strip(at, at + long, right, right + wide)))  # mended patches
        layers += [(white, strip(at, at + 3, -0.07, 0.07)) for at in np.arange(2, length, 9)]
        layers += [(white, strip(at, at + 0.6, y, y + 0.1)) for at in np.arange(0, length, 1.5) for y in (-3, 3)]
        for at in np.arange(rng.uniform(15, 40), length, 70):  # pedestrian crossings
            layers.append((asphalt, strip(at - 0.3, at + 3.3, -0.1, 0.1)))
            layers += [(white, strip(at, at + 3, y, y + 0.5)) for y in np.arange(-4.5, 4.5, 1.0)]
        return layers


class Traffic(Set):
    """The parked cars of one drive; they take the share `cars` of the bays."""

    def __init__(self, street: Street, rng: np.random.Generator, cars: float):
        super().__init__(street, rng)
        models = [sprites.paint_car(pick(rng, list(sprites.CARS)), pick(rng, sprites.CAR_COLORS)) for _ in range(12)]
        for along in np.arange(4, street.length - 10, 6.4):
            for side in (LEFT, RIGHT):
                if rng.random() < cars:
                    self._park(pick(rng, models), along + rng.uniform(0, 0.9), side)

    def _park(self, car: sprites.Car, along: float, side: int) -> None:
        side_view, outline, panels = car
        length, half = float(outline[-1, 0]), 0.88
        front, rear = self.street.point(np.array([along + length, along][::-side]), side * 3.95)
        forward = (front - rear) / np.linalg.norm(front - rear)
        left = np.cross(UP, forward)
        up, far = UP * side_view.shape[0] / sprites.SCALE, forward * length
        self.things.append(Surface(side_view, rear - left * half + up, far, -up))
        self.things.append(Surface(side_view[:, ::-1], rear + left * half + far + up, -far, -up))
        points = rear + outline[:, :1] * forward + outline[:, 1:] * UP
        for panel, a, b in zip(panels, points[:-1], points[1:], strict=True):
            top, bottom, right = (b, a, -left) if b[2] >= a[2] else (a, b, left)
            self.things.append(Surface(panel, top - right * half, right * 2 * half, bottom - top))
        sill = np.stack([rear - left * half, rear + left * half, front - left * half, front + left * half])
        self.casters.append(np.concatenate([sill, sill + UP * 1.2]))


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
    normal = UP if thing.billboard else np.cross(thing.down, thing.across)
    gain = light.gain(normal / np.linalg.norm(normal), thing.sun).astype(np.float32)
    color = np.minimum(thing.pixels[:, :, :3] * gain, 255).astype(np.uint8)
    if thing.glow is not None and light.lamps:
        color = np.maximum(color, thing.glow)
    return Texture(np.dstack([color, thing.pixels[:, :, 3:]]))


def _fill(tile: np.ndarray, polygon: np.ndarray, origin: tuple[int, int], color: int | Color) -> None:
    """Fills an outline [n, 2 or more], meters, in a ground tile."""
    xy = polygon[:, :2] - origin
    if (xy.max(0) > 0).all() and (xy.min(0) < _TILE).all():
        pixels = np.stack([xy[:, 0], _TILE - xy[:, 1]], axis=1) * (_GROUND_SCALE * 16)
        cv2.fillPoly(tile, [np.round(pixels).astype(np.int32)], color, cv2.LINE_AA, 4)
