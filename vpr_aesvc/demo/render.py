"""A small renderer: textured rectangles in meters, seen by a pinhole camera, with a depth buffer.

World frame: x east, y north, z up, meters. Colors are RGB. Pictures are drawn at twice their size and averaged down,
and every texture is read at the resolution at which it is seen (across and down apart, since walls and roads are seen
at a slant), so that brick and paving do not turn into noise.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

import cv2
import numpy as np

WIDTH, HEIGHT = 320, 240  # of a finished picture, pixels
HORIZONTAL_FOV = np.deg2rad(75.0)
OVERSAMPLING = 2
NEAR, FAR = 0.3, 140.0  # nothing nearer or farther than this is drawn, meters

_W, _H = WIDTH * OVERSAMPLING, HEIGHT * OVERSAMPLING
_FOCAL = _W / 2 / np.tan(HORIZONTAL_FOV / 2)
_K = np.array([[_FOCAL, 0, _W / 2], [0, _FOCAL, _H / 2], [0, 0, 1]])
_COLUMNS, _ROWS = np.arange(_W, dtype=np.float32), np.arange(_H, dtype=np.float32)


class Texture:
    """An RGB (opaque) or RGBA (cut-out) picture and its reductions by powers of two, made when first asked for."""

    def __init__(self, pixels: np.ndarray):
        if pixels.shape[2] == 4:  # premultiplied, so that averaging does not bleed the color of transparent pixels
            opacity = pixels[:, :, 3:].astype(np.float32) / 255
            pixels = np.dstack([(pixels[:, :, :3] * opacity).astype(np.uint8), pixels[:, :, 3]])
        self._levels = {(0, 0): np.ascontiguousarray(pixels)}

    @property
    def cut_out(self) -> bool:
        return self._levels[0, 0].shape[2] == 4

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""
        return self._levels[0, 0].shape[1], self._levels[0, 0].shape[0]

    def level(self, across: int, down: int) -> np.ndarray:
        """The picture reduced 2**across times in width and 2**down times in height."""
        if (across, down) not in self._levels:
            larger = self.level(across - 1, down) if across else self.level(0, down - 1)
            height, width = larger.shape[:2]
            size = (max(1, width // 2), height) if across else (width, max(1, height // 2))
            self._levels[across, down] = cv2.resize(larger, size, interpolation=cv2.INTER_AREA)
        return self._levels[across, down]


@dataclass
class Surface:
    """A textured parallelogram: the texture's top left is at `corner`, its sides are `across` and `down` (meters).

    It is seen from the side from which the texture reads the right way round; `two_sided` ones from both.
    """

    texture: Texture
    corner: np.ndarray
    across: np.ndarray
    down: np.ndarray
    two_sided: bool = False


@dataclass
class Billboard:
    """An upright cut-out that always turns to the camera. `foot` is the middle of its lower edge, meters."""

    texture: Texture
    foot: np.ndarray
    width: float
    height: float

    def facing(self, camera: Camera) -> Surface:
        right = camera.right
        return Surface(
            self.texture,
            self.foot - right * (self.width / 2) + [0, 0, self.height],
            right * self.width,
            np.array([0, 0, -self.height]),
            two_sided=True,
        )


@dataclass
class World:
    """What there is to see. Ground is painted first, then shadows (polygons [n, 3] on it), then what stands on it."""

    ground: list[Surface] = field(default_factory=list)
    shadows: list[np.ndarray] = field(default_factory=list)
    surfaces: list[Surface] = field(default_factory=list)
    billboards: list[Billboard] = field(default_factory=list)


class Camera:
    """A pinhole camera that never rolls. Heading counter-clockwise from east, pitch upwards, radians."""

    def __init__(self, position: np.ndarray, heading: float, pitch: float = 0.0):
        self.position, self.heading, self.pitch = np.asarray(position, float), heading, pitch
        ahead = np.array([np.cos(heading), np.sin(heading), 0.0])
        right = np.array([np.sin(heading), -np.cos(heading), 0.0])
        up = np.array([0.0, 0.0, 1.0])
        self.right = right
        down = np.sin(pitch) * ahead - np.cos(pitch) * up
        self.rotation = np.stack([right, down, np.cos(pitch) * ahead + np.sin(pitch) * up])

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """World points [..., 3] in the camera frame: x right, y down, z forward."""
        return (points - self.position) @ self.rotation.T


@dataclass(frozen=True)
class Air:
    """What lies between the scene and the eye: the haze, and how strongly shadows darken the ground."""

    haze_color: tuple[float, float, float]
    haze_distance: float
    shadow: tuple[float, float, float]


def render(world: World, camera: Camera, sky: np.ndarray, air: Air) -> np.ndarray:
    """The picture, RGB uint8 [HEIGHT, WIDTH, 3]. `sky` is a panorama, see `_paint_sky`."""
    picture = _paint_sky(sky, camera)
    inverse_depth = np.zeros((_H, _W), np.float32)
    for texture, corners in _in_view(world.ground, camera):
        _paint(texture, corners, picture, inverse_depth)
    _paint_shadows(world.shadows, camera, picture, inverse_depth, air)
    visible = _in_view([*world.surfaces, *(board.facing(camera) for board in world.billboards)], camera)
    for texture, corners in visible:  # near to far: what is hidden costs only a comparison
        if not texture.cut_out:
            _paint(texture, corners, picture, inverse_depth)
    for texture, corners in reversed(visible):  # far to near: soft edges lie over what is behind them
        if texture.cut_out:
            _paint(texture, corners, picture, inverse_depth)
    return _through_air(picture, inverse_depth, air)


def _in_view(surfaces: list[Surface], camera: Camera) -> list[tuple[Texture, np.ndarray]]:
    """What may be seen, near ones first: texture and corners [4, 3], camera frame, clockwise from the top left."""
    if not surfaces:
        return []
    corner, across, down = (np.array([getattr(s, name) for s in surfaces]) for name in ("corner", "across", "down"))
    corners = camera(np.stack([corner, corner + across, corner + across + down, corner + down], axis=1))
    x, y, z = np.moveaxis(corners, 2, 0)
    half_width, half_height = _W / 2 / _FOCAL, _H / 2 / _FOCAL
    outside = (z < NEAR).all(1) | (z.min(1) > FAR)
    for side in (x - half_width * z, -x - half_width * z, y - half_height * z, -y - half_height * z):
        outside |= (side > 0).all(1)
    towards = np.einsum("ij,ij->i", camera.position - corner, np.cross(down, across))
    outside |= (towards <= 0) & ~np.array([s.two_sided for s in surfaces])
    kept = np.flatnonzero(~outside)
    return [(surfaces[i].texture, corners[i]) for i in kept[np.argsort(np.maximum(z, 0).mean(1)[kept], kind="stable")]]


def _project(points: np.ndarray) -> np.ndarray | None:
    """The image polygon [m, 2] of a convex polygon [n, 3] in the camera frame, cut at the near plane."""
    if points[:, 2].min() < NEAR:
        kept: list[np.ndarray] = []
        for a, b in zip(points, np.roll(points, -1, axis=0), strict=True):
            if a[2] >= NEAR:
                kept.append(a)
            if (a[2] >= NEAR) != (b[2] >= NEAR):
                kept.append(a + (b - a) * ((NEAR - a[2]) / (b[2] - a[2])))
        if len(kept) < 3:
            return None
        points = np.array(kept)
    return points[:, :2] * (_FOCAL / points[:, 2:]) + (_W / 2, _H / 2)


def _paint(texture: Texture, corners: np.ndarray, picture: np.ndarray, inverse_depth: np.ndarray) -> None:
    """Draws one surface where it is nearer than what is there."""
    polygon = _project(corners)
    if polygon is None:
        return
    window = _window(polygon)
    depths = corners[:, 2]
    near, far = max(NEAR, float(depths.min())), float(depths.max())
    if window is None or inverse_depth[window].min() > 1 / near:
        return  # out of the picture, or hidden
    corner, across, down = corners[0], corners[1] - corners[0], corners[3] - corners[0]
    to_image = _K @ np.stack([across, down, corner], axis=1)
    if abs(np.linalg.det(to_image)) < 1e-6:
        return  # seen edge-on
    from_image = np.linalg.inv(to_image)  # image point -> (a, b, 1) / depth with a, b in 0..1 across and down
    from_image[:, 2] += from_image[:, 0] * 0.5 + from_image[:, 1] * 0.5  # pixel i covers i to i + 1
    if far / near < 2:
        _paint_piece(texture, polygon, window, from_image, picture, inverse_depth)
        return
    for piece in _pieces(corner, across, down, near, far):
        polygon = _project(piece)
        if polygon is not None and (window := _window(polygon)) is not None:
            _paint_piece(texture, polygon, window, from_image, picture, inverse_depth)


def _window(polygon: np.ndarray) -> tuple[slice, slice] | None:
    """The part of the picture that the polygon lies in, if any."""
    left, top = polygon.min(0).tolist()
    right, bottom = polygon.max(0).tolist()
    left, top, right, bottom = max(0, int(left)), max(0, int(top)), min(_W, int(right) + 2), min(_H, int(bottom) + 2)
    return np.s_[top:bottom, left:right] if right > left and bottom > top else None


def _pieces(corner: np.ndarray, across: np.ndarray, down: np.ndarray, near: float, far: float) -> Iterable[np.ndarray]:
    """Cuts a surface into strips [4, 3], each so short in depth that one resolution of the texture suits all of it."""
    along_across = abs(across[2]) > abs(down[2])
    side, other = (across, down) if along_across else (down, across)
    low = corner[2] + min(0.0, other[2])
    count = min(6, int(np.ceil(np.log(far / near) / np.log(1.8))))
    cuts = sorted(min(1.0, max(0.0, (near * (far / near) ** (k / count) - low) / side[2])) for k in range(count + 1))
    cuts[0], cuts[-1] = 0.0, 1.0
    for start, end in pairwise(cuts):
        if end > start:
            a, b = corner + start * side, corner + end * side
            yield np.array([a, b, b + other, a + other] if along_across else [a, a + other, b + other, b])


def _paint_piece(
    texture: Texture,
    polygon: np.ndarray,
    window: tuple[slice, slice],
    from_image: np.ndarray,
    picture: np.ndarray,
    inverse_depth: np.ndarray,
) -> None:
    rows, columns = window
    left, top, width, height = columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start
    inside = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(inside, _fixed_point(polygon - (left + 0.5, top + 0.5)), 255, cv2.LINE_8, 4)
    w = from_image[2].astype(np.float32)
    depth = (w[0] * _COLUMNS[None, columns]) + (w[1] * _ROWS[rows, None] + w[2])
    behind = inverse_depth[window]
    inside = cv2.bitwise_and(inside, cv2.compare(depth, behind, cv2.CMP_GT))
    if not cv2.countNonZero(inside):
        return

    pixels = texture.level(*_resolution(texture, polygon, window, from_image))
    warp = from_image.copy()
    warp[0] *= pixels.shape[1]
    warp[1] *= pixels.shape[0]
    warp[:2] -= 0.5 * warp[2]
    warp[:, 2] += warp[:, 0] * left + warp[:, 1] * top
    drawn = cv2.warpPerspective(
        pixels, warp, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
    )
    if not texture.cut_out:
        cv2.copyTo(drawn, inside, picture[window])
        cv2.copyTo(depth, inside, behind)
        return
    drawn = cv2.bitwise_and(drawn, cv2.merge([inside] * 4))
    opacity = drawn[:, :, 3]
    through = cv2.merge([255 - opacity] * 3)
    picture[window] = cv2.add(drawn[:, :, :3], cv2.multiply(picture[window], through, scale=1 / 255))
    cv2.copyTo(depth, (opacity > 127).view(np.uint8), behind)


def _fixed_point(polygon: np.ndarray) -> np.ndarray:
    """Image points for OpenCV's polygons, in sixteenths of a pixel; far-off ones are brought within its range."""
    return np.clip(np.round(polygon * 16), -(2**24), 2**24).astype(np.int32)


def _resolution(
    texture: Texture, polygon: np.ndarray, window: tuple[slice, slice], from_image: np.ndarray
) -> tuple[int, int]:
    """How far the texture is to be reduced, across and down: by how many of its pixels one image pixel spans there."""
    rows, columns = window
    x, y = polygon.mean(0).tolist()
    x, y = min(max(x, columns.start), columns.stop), min(max(y, rows.start), rows.stop)
    u, v, w = from_image.tolist()
    w_at = max(w[0] * x + w[1] * y + w[2], 1e-6)
    levels = []
    for (dx, dy, d0), size in zip((u, v), texture.size, strict=True):
        at = (dx * x + dy * y + d0) / w_at
        span = size * math.hypot(dx - at * w[0], dy - at * w[1]) / w_at
        levels.append(min(int(math.log2(size)), max(0, math.floor(math.log2(max(span, 1e-3)) + 0.4))))
    return levels[0], levels[1]


def _paint_shadows(
    shadows: list[np.ndarray], camera: Camera, picture: np.ndarray, inverse_depth: np.ndarray, air: Air
) -> None:
    """Darkens the ground, once, wherever at least one shadow lies."""
    mask = np.zeros((_H, _W), np.uint8)
    for shadow in shadows:
        points = camera(shadow)
        if points[:, 2].max() < NEAR or points[:, 2].min() > FAR:
            continue
        polygon = _project(points)
        if polygon is not None:
            cv2.fillConvexPoly(mask, _fixed_point(polygon), 255, cv2.LINE_AA, 4)
    rows = np.flatnonzero(mask.any(1))
    if len(rows):
        ground = np.s_[rows[0] : rows[-1] + 1]
        mask[inverse_depth <= 0] = 0
        share = cv2.merge([cv2.blur(mask[ground], (5, 3))] * 3)
        dark = cv2.transform(picture[ground], np.diag(air.shadow))
        lost = cv2.multiply(cv2.subtract(picture[ground], dark), share, scale=1 / 255)
        picture[ground] = cv2.subtract(picture[ground], lost)


def _sky_directions() -> tuple[np.ndarray, np.ndarray]:
    """Azimuth to the right of straight ahead, and tangent of elevation, of the pixels of a finished picture."""
    across = ((np.arange(WIDTH, dtype=np.float32) + 0.5) * OVERSAMPLING - _W / 2) / _FOCAL
    below = ((np.arange(HEIGHT, dtype=np.float32) + 0.5) * OVERSAMPLING - _H / 2) / _FOCAL
    azimuth = np.repeat(np.arctan(across)[None], HEIGHT, axis=0)
    return azimuth.astype(np.float32), (-below[:, None] / np.sqrt(1 + across**2)[None]).astype(np.float32)


_SKY_AZIMUTH, _SKY_RISE = _sky_directions()
SKY_RISE = (-0.35, 1.25)  # lowest and highest tangent of elevation in a sky panorama


def _paint_sky(sky: np.ndarray, camera: Camera) -> np.ndarray:
    """Looks up a panorama: 360 degrees wide, clockwise from east, from SKY_RISE[1] at its top to SKY_RISE[0]."""
    height, width = sky.shape[:2]
    column = np.mod(_SKY_AZIMUTH - np.float32(camera.heading), np.float32(2 * np.pi)) * np.float32(width / (2 * np.pi))
    rise = _SKY_RISE + np.float32(np.tan(camera.pitch))  # a small pitch moves the horizon
    row = (np.float32(SKY_RISE[1]) - rise) * np.float32(height / (SKY_RISE[1] - SKY_RISE[0]))
    small = cv2.remap(sky, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return cv2.resize(small, (_W, _H), interpolation=cv2.INTER_LINEAR)


def _through_air(picture: np.ndarray, inverse_depth: np.ndarray, air: Air) -> np.ndarray:
    size = (WIDTH, HEIGHT)
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    covered = cv2.resize((inverse_depth > 0).astype(np.float32), size, interpolation=cv2.INTER_AREA)
    near = cv2.resize(inverse_depth, size, interpolation=cv2.INTER_AREA)
    haze = covered * (1 - np.exp(-covered / np.maximum(near * air.haze_distance, 1e-4)))
    small += (np.array(air.haze_color, np.float32) - small) * haze[:, :, None]
    return np.clip(small + 0.5, 0, 255).astype(np.uint8)
