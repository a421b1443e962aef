"""A small renderer: textured rectangles, seen by a pinhole camera, with a depth buffer.

World frame: x east, y north, z up, meters. Colors are RGB. Images are drawn at twice their size and averaged down.
Each texture is read at the resolution at which it is seen (a mipmap, across and down apart), against aliasing.
"""

from dataclasses import dataclass

import cv2
import numpy as np

WIDTH, HEIGHT = 320, 240  # of a finished image, pixels
NEAR, FAR = 0.5, 140.0  # nothing nearer or farther than this is drawn, meters
SKY_RISE = (-0.35, 1.25)  # lowest and highest tangent of elevation in a sky panorama

_W, _H = WIDTH * 2, HEIGHT * 2
_FOCAL = _W / 2 / np.tan(np.deg2rad(75.0) / 2)  # the horizontal field of view is 75 degrees
_K = np.array([[_FOCAL, 0, _W / 2], [0, _FOCAL, _H / 2], [0, 0, 1]])
_COLUMNS, _ROWS = np.arange(_W, dtype=np.float32), np.arange(_H, dtype=np.float32)


class Texture:
    """An RGB image and its reductions, made when first needed."""

    def __init__(self, pixels: np.ndarray):
        self.size = pixels.shape[1::-1]
        self._levels = {(0, 0): pixels}

    def level(self, across: int, down: int) -> np.ndarray:
        """The image reduced 2**across times in width and 2**down times in height."""
        if (across, down) not in self._levels:
            size = max(1, self.size[0] >> across), max(1, self.size[1] >> down)
            self._levels[across, down] = cv2.resize(self._levels[0, 0], size, interpolation=cv2.INTER_AREA)
        return self._levels[across, down]


@dataclass
class Surface:
    """A painted parallelogram: the image's top left is at `corner`, its sides are `across` and `down` (meters).

    It is visible from the side from which the image reads the right way round.
    """

    pixels: np.ndarray  # RGB, colors in even light
    corner: np.ndarray
    across: np.ndarray
    down: np.ndarray
    sun: float = 0.5  # share of the surface that lies in the sun


@dataclass
class World:
    """All that is visible, in one light. `sky` is a panorama, clockwise from east, SKY_RISE[1] at its top."""

    sky: np.ndarray
    haze: tuple[int, int, int]
    haze_distance: float
    ground: list[tuple[Surface, Texture]]
    things: list[tuple[Surface, Texture]]


class Camera:
    """A pinhole camera without roll. Heading counter-clockwise from east, pitch upwards, radians."""

    def __init__(self, position: np.ndarray, heading: float, pitch: float = 0.0):
        self.position, self.heading, self.pitch = np.asarray(position, float), heading, pitch
        ahead, up = np.array([np.cos(heading), np.sin(heading), 0.0]), np.array([0.0, 0.0, 1.0])
        right = np.array([np.sin(heading), -np.cos(heading), 0.0])
        down = np.sin(pitch) * ahead - np.cos(pitch) * up
        self.rotation = np.stack([right, down, np.cos(pitch) * ahead + np.sin(pitch) * up])

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """World points [..., 3] in the camera frame: x right, y down, z forward."""
        return (points - self.position) @ self.rotation.T


def render(world: World, camera: Camera) -> np.ndarray:
    """The image, RGB uint8 [HEIGHT, WIDTH, 3]."""
    image = _look_up_sky(world.sky, camera)
    inverse_depth = np.zeros((_H, _W), np.float32)
    for things in (world.ground, world.things):
        for texture, quad in _in_view(things, camera):  # near to far: hidden pixels cost only a comparison
            _paint(texture, quad, image, inverse_depth)
    return _reduce_and_haze(image, inverse_depth, world)


def _in_view(things: list[tuple[Surface, Texture]], camera: Camera) -> list[tuple[Texture, np.ndarray]]:
    """What may be visible, near ones first: texture and corners [4, 3], camera frame, clockwise from the top left."""
    surfaces = [surface for surface, _ in things]
    corner, across, down = (np.array([getattr(s, name) for s in surfaces]) for name in ("corner", "across", "down"))
    quads = camera(np.stack([corner, corner + across, corner + across + down, corner + down], axis=1))
    towards = np.einsum("ij,ij->i", camera.position - corner, np.cross(down, across))
    kept = np.flatnonzero(_in_sight(quads) & (towards > 0))
    distance = np.maximum(quads[kept, :, 2], 0).mean(1)
    return [(things[i][1], quads[i]) for i in kept[np.argsort(distance, kind="stable")]]


def _in_sight(quads: np.ndarray) -> np.ndarray:
    """Which quads [..., 4, 3] may lie in the view: not wholly beyond one of its limits."""
    x, y, z = np.moveaxis(quads, -1, 0)
    width, height = z * (_W / 2 / _FOCAL), z * (_H / 2 / _FOCAL)
    beyond = np.stack([NEAR - z, z - FAR, x - width, -x - width, y - height, -y - height]) > 0
    return np.asarray(~beyond.all(-1).any(0))


def _paint(texture: Texture, quad: np.ndarray, image: np.ndarray, inverse_depth: np.ndarray) -> None:
    """Draws one surface where it is nearer than what is there."""
    to_image = _K @ np.stack([quad[1] - quad[0], quad[3] - quad[0], quad[0]], axis=1)
    if abs(np.linalg.det(to_image)) < 1e-6:
        return  # seen edge-on
    from_image = np.linalg.inv(to_image)  # image point -> (a, b, 1) / depth with a, b in 0..1 across and down
    from_image[:, 2] += from_image[:, 0] * 0.5 + from_image[:, 1] * 0.5  # pixel i covers i to i + 1
    for piece in _pieces(quad):
        polygon = piece[:, :2] * (_FOCAL / piece[:, 2:]) + (_W / 2, _H / 2)
        _paint_piece(texture, polygon, from_image, image, inverse_depth)


def _pieces(quad: np.ndarray) -> list[np.ndarray]:
    """Halves a quad [4, 3] until one resolution of the texture suits the whole of each piece; drops what is too near."""
    if not _in_sight(quad):
        return []
    depth = np.maximum(quad[:, 2], NEAR)
    if depth.max() <= 2 * depth.min():
        return [quad] if quad[:, 2].min() >= NEAR else []
    if abs(quad[1, 2] - quad[0, 2]) < abs(quad[3, 2] - quad[0, 2]):
        quad = np.roll(quad, 1, axis=0)
    middle, opposite = (quad[0] + quad[1]) / 2, (quad[2] + quad[3]) / 2
    halves = np.array([quad[0], middle, opposite, quad[3]]), np.array([middle, quad[1], quad[2], opposite])
    return [piece for half in halves for piece in _pieces(half)]


def _paint_piece(
    texture: Texture, polygon: np.ndarray, from_image: np.ndarray, image: np.ndarray, inverse_depth: np.ndarray
) -> None:
    left, top = (max(0, int(v)) for v in polygon.min(0))
    right, bottom = (min(size, int(v) + 2) for v, size in zip(polygon.max(0), (_W, _H), strict=True))
    if right <= left or bottom <= top:
        return
    window = np.s_[top:bottom, left:right]
    inside = np.zeros((bottom - top, right - left), np.uint8)
    corners = np.clip(np.round((polygon - (left + 0.5, top + 0.5)) * 16), -(2**24), 2**24)  # sixteenths of a pixel
    cv2.fillConvexPoly(inside, corners.astype(np.int32), 255, cv2.LINE_8, 4)
    w = from_image[2].astype(np.float32)
    depth = (w[0] * _COLUMNS[None, left:right]) + (w[1] * _ROWS[top:bottom, None] + w[2])
    behind = inverse_depth[window]
    cv2.bitwise_and(inside, cv2.compare(depth, behind, cv2.CMP_GT), dst=inside)
    if not cv2.countNonZero(inside):
        return
    center = np.clip(polygon.mean(0), (left, top), (right, bottom))
    pixels = texture.level(*_resolution(texture, center, from_image))
    warp = from_image.copy()
    warp[:2] *= np.array(pixels.shape[1::-1])[:, None]
    warp[:2] -= 0.5 * warp[2]
    warp[:, 2] += warp[:, 0] * left + warp[:, 1] * top
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    drawn = cv2.warpPerspective(pixels, warp, inside.shape[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)
    cv2.copyTo(drawn, inside, image[window])
    cv2.copyTo(depth, inside, behind)


def _resolution(texture: Texture, at: np.ndarray, from_image: np.ndarray) -> tuple[int, int]:
    """The mipmap levels, across and down: by how many texture pixels one image pixel spans at an image point."""
    homogeneous = from_image @ np.array([*at, 1.0])
    scale = max(homogeneous[2], 1e-6)
    slope = (from_image[:2, :2] - np.outer(homogeneous[:2] / scale, from_image[2, :2])) / scale
    span = np.maximum(np.hypot(*slope.T) * texture.size, 1e-3)
    across, down = np.clip(np.floor(np.log2(span) + 0.4), 0, np.floor(np.log2(texture.size))).astype(int).tolist()
    return across, down


def _look_up_sky(sky: np.ndarray, camera: Camera) -> np.ndarray:
    height, width = sky.shape[:2]
    x, y = np.meshgrid((_COLUMNS + 0.5 - _W / 2) / _FOCAL, (_ROWS + 0.5 - _H / 2) / _FOCAL)
    azimuth = np.mod(np.arctan(x) - camera.heading, 2 * np.pi)
    rise = np.tan(camera.pitch) - y / np.sqrt(1 + x**2)  # a small pitch moves the horizon
    column = (azimuth * (width / (2 * np.pi))).astype(np.float32)
    row = ((SKY_RISE[1] - rise) * (height / (SKY_RISE[1] - SKY_RISE[0]))).astype(np.float32)
    return cv2.remap(sky, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _reduce_and_haze(image: np.ndarray, inverse_depth: np.ndarray, world: World) -> np.ndarray:
    small, covered, near = (
        cv2.resize(layer, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        for layer in (image.astype(np.float32), (inverse_depth > 0).astype(np.float32), inverse_depth)
    )
    haze = covered * (1 - np.exp(-covered / np.maximum(near * world.haze_distance, 1e-4)))
    small += (np.array(world.haze, np.float32) - small) * haze[:, :, None]
    return np.clip(small + 0.5, 0, 255).astype(np.uint8)
