"""Bearings of distorted pixels against OpenCV's projection."""

import cv2
import numpy as np
import pytest

from vpr_aesvc.errors import VprError
from vpr_aesvc.types import Intrinsics

WIDTH, HEIGHT = 1280, 720
LENSES = {
    "plumb_bob of 4": ("plumb_bob", (-0.28, 0.07, 0.0002, -0.0004)),
    "plumb_bob of 5": ("plumb_bob", (-0.35, 0.15, 0.001, -0.0005, -0.03)),
    "pincushion": ("plumb_bob", (0.25, 0.1, 0.0, 0.0, 0.02)),
    "rational_polynomial": ("rational_polynomial", (5.2, 3.1, 0.0001, -0.0002, 0.16, 5.6, 4.7, 0.9)),
    "equidistant": ("equidistant", (-0.011, 0.004, -0.003, 0.0005)),
    "equidistant without coefficients": ("equidistant", (0.0, 0.0, 0.0, 0.0)),
}


def camera(lens, focal=500.0):
    return Intrinsics(focal, 1.01 * focal, 633.2, 351.7, *LENSES[lens])


def projected(one, xy):
    """Pixels [k, 2] of points on the plane one unit ahead."""
    points = np.column_stack([xy, np.ones(len(xy))])[:, None]
    project = cv2.fisheye.projectPoints if one.distortion_model == "equidistant" else cv2.projectPoints
    matrix = np.array([[one.fx, 0, one.cx], [0, one.fy, one.cy], [0, 0, 1.0]])
    return project(points, np.zeros(3), np.zeros(3), matrix, np.array(one.distortion))[0].reshape(-1, 2)


def directions(most, count=400):
    """Points up to ``most`` degrees from the axis, on the plane one unit ahead."""
    rng = np.random.default_rng(1)
    radius, turn = np.tan(np.radians(rng.uniform(0, most, count))), rng.uniform(0, 2 * np.pi, count)
    return np.column_stack([radius * np.cos(turn), radius * np.sin(turn)])


@pytest.mark.parametrize(
    ("lens", "degrees"),
    [
        ("plumb_bob of 4", 50),
        ("plumb_bob of 5", 50),
        ("pincushion", 60),
        ("rational_polynomial", 65),
        ("equidistant", 85),
        ("equidistant without coefficients", 89),
    ],
)
def test_every_bearing_comes_back(lens, degrees):
    xy, one = directions(degrees), camera(lens)
    found = one.bearings(projected(one, xy), 1.0)
    assert found.dtype == np.float64 and found.shape == xy.shape
    rays, expected = (np.column_stack([part, np.ones(len(part))]) for part in (found, xy))
    angles = (
        np.linalg.norm(np.cross(rays, expected), axis=1)
        / np.linalg.norm(rays, axis=1)
        / np.linalg.norm(expected, axis=1)
    )
    assert angles.max() < 1e-6  # radians; false for NaN


@pytest.mark.parametrize("lens", LENSES)
def test_a_picture_of_another_size(lens):
    """A stored picture is smaller than the query: the same direction lies at scaled pixels."""
    xy, one = directions(40, 50), camera(lens)
    small = one.resized((HEIGHT, WIDTH), (HEIGHT // 4, WIDTH // 4))
    assert small.distortion == one.distortion and small.fx == one.fx / 4
    pixels = (projected(one, xy) + 0.5) / 4 - 0.5
    assert np.abs(projected(small, xy) - pixels).max() < 1e-9
    assert np.abs(one.bearings(pixels, 0.25) - xy).max() < 1e-6
    assert np.abs(small.bearings(pixels, 1.0) - xy).max() < 1e-6


def test_what_cannot_be_undone_is_nan():
    """A barrel lens folds back where its radius is largest: nothing is seen beyond it, and no point beyond the fold may be taken."""
    barrel = Intrinsics(400.0, 400.0, 639.5, 359.5, "plumb_bob", (-0.3, 0.0, 0.0, 0.0, 0.0))
    fold = 1 / np.sqrt(0.9)
    edge = 400 * fold * (1 - 0.3 * fold**2)  # pixels from the center: 281
    grid = np.stack(np.meshgrid(np.arange(0, 1280, 16), np.arange(0, 720, 16)), -1).reshape(-1, 2).astype(float)
    found, radius = barrel.bearings(grid, 1.0), np.hypot(*(grid - (639.5, 359.5)).T)
    assert np.isnan(found[radius > edge + 0.01]).all()
    inside = radius < 0.99 * edge
    assert np.isfinite(found[inside]).all() and np.hypot(*found[inside].T).max() < fold
    assert np.abs(projected(barrel, found[inside]) - grid[inside]).max() < 1e-6


def test_a_fisheye_sees_more_than_a_plane_can_hold():
    one = camera("equidistant without coefficients", focal=400.0)
    pixels = np.array([[633.2 + 400.0 * np.radians(angle), 351.7] for angle in (0, 60, 89, 91, 120, 200)])
    found = one.bearings(pixels, 1.0)
    assert np.abs(found[:3, 0] - np.tan(np.radians([0, 60, 89]))).max() < 1e-6
    assert np.isnan(found[3:]).all()


@pytest.mark.parametrize("lens", LENSES)
def test_damaged_pixels_and_none(lens):
    one = camera(lens)
    assert one.bearings(np.empty((0, 2)), 1.0).shape == (0, 2)
    found = one.bearings(np.array([[np.nan, 1.0], [np.inf, 0.0], [1e12, -1e12], [640.0, 360.0]]), 1.0)
    assert np.isnan(found[:2]).all() and np.isfinite(found[3]).all()


@pytest.mark.parametrize(
    ("model", "count"),
    [("plumb_bob", 3), ("plumb_bob", 8), ("rational_polynomial", 5), ("equidistant", 5), ("none", 4), ("fov", 1)],
)
def test_wrong_coefficients(model, count):
    with pytest.raises(VprError, match=f"{model}.* with {count} coefficients: expected plumb_bob with 4 or 5"):
        Intrinsics(500, 500, 1, 1, model, (0.1,) * count)
    with pytest.raises(VprError, match="must be finite"):
        Intrinsics(500, 500, 1, 1, "plumb_bob", (0.1, np.nan, 0, 0))
