"""Maps of places with depth: drawn places of a robot that only turned, so that no two pictures have parallax."""

from dataclasses import replace

import numpy as np
import pytest

from vpr_aesvc import PlaceMap, Recognizer, VprError, build_map, open_backbone, train
from vpr_aesvc.demo import render as renderer
from vpr_aesvc.demo.light import MORNING
from vpr_aesvc.demo.render import HEIGHT, WIDTH, Camera, render
from vpr_aesvc.demo.scene import Fixed, Traffic, light_up
from vpr_aesvc.demo.street import Street
from vpr_aesvc.depth import depth_at, in_meters, with_depth
from vpr_aesvc.images import encode_jpeg, thumbnail
from vpr_aesvc.transforms import distance
from vpr_aesvc.types import Frame, Intrinsics, Pose

FOCAL = renderer._FOCAL / 2
CAMERA = Intrinsics(FOCAL, FOCAL, WIDTH / 2 - 0.5, HEIGHT / 2 - 0.5)


@pytest.fixture(scope="module")
def world():
    rng = np.random.default_rng([3, 1])
    street = Street.plan(160.0, rng)
    fixed = Fixed(street, rng)
    return street, light_up(fixed, Traffic(street, rng, 0.3), MORNING)


def seen(world, along, turn=0.0, ahead=0.0, left=0.0):
    """A frame with its exact pose and, as a depth camera gives it, depth in mm up to 20 m."""
    street, lit = world
    heading = float(street.heading_at(along)) + turn
    at = street.point(along, -0.9, 1.2) + ahead * np.array([np.cos(heading), np.sin(heading), 0])
    camera = Camera(at + left * np.array([-np.sin(heading), np.cos(heading), 0]), heading)
    picture, nearness = np.zeros((2 * HEIGHT, 2 * WIDTH, 3), np.uint8), np.zeros((2 * HEIGHT, 2 * WIDTH), np.float32)
    for things in (lit.ground, lit.things):
        for texture, quad in renderer._in_view(things, camera):
            renderer._paint(texture, quad, picture, nearness)
    meters = 1 / np.maximum(nearness[::2, ::2], 1e-3)
    noise = np.random.default_rng(round(1000 * along)).normal(0, 0.0015, meters.shape) * meters**2
    depth = in_meters(np.where(meters < 20, 1000 * (meters + noise), 0).astype(np.uint16))
    pose = Pose.planar(*camera.position[:2], heading)
    stop = f"stop {along:g}"
    return Frame(f"{along:g} {turn:g}", sequence=stop, image=render(lit, camera), pose=pose, depth=lambda: depth)


@pytest.fixture(scope="module")
def turning(world):
    """At each of six positions the robot turned on the spot and took three pictures."""
    return [seen(world, along, turn) for along in range(10, 70, 10) for turn in (-0.4, 0.0, 0.4)]


@pytest.fixture(scope="module")
def model(turning, tmp_path_factory):
    return train(turning, open_backbone("hog"), tmp_path_factory.mktemp("model") / "model")


def poses(path, frames, model, queries):
    build_map(frames, model, path)
    with PlaceMap.open(path) as place_map:
        for traverse in place_map.traverses():
            place_map.set_camera(traverse, CAMERA, (WIDTH, HEIGHT))
        recognizer = Recognizer(place_map, model, intrinsics=CAMERA)
        return [recognizer.recognize(query) for query in queries]


def test_a_robot_that_only_turned_gets_metric_poses(world, turning, model, tmp_path):
    queries = [
        seen(world, along, 0.05, ahead, left)
        for along in range(10, 70, 10)
        for ahead, left in ((0.6, 0.2), (-0.5, -0.3))
    ]
    with_it = poses(tmp_path / "depth.vprmap", turning, model, queries)
    errors = [distance(one.pose, query.pose) for one, query in zip(with_it, queries, strict=True) if one.metric]
    assert len(errors) >= 0.75 * len(queries)
    assert np.median(errors) < 0.05 and max(errors) < 0.3
    bare = [replace(one, depth=None) for one in turning]
    without = poses(tmp_path / "plain.vprmap", bare, model, queries)
    assert not any(one.metric for one in without) and all(one.metric_refusal for one in without)


def test_the_depth_of_a_picture_is_stored_with_it(turning):
    frame = turning[4]
    jpeg = encode_jpeg(thumbnail(frame.image))
    xy = np.random.default_rng(0).uniform(0, (WIDTH - 1, HEIGHT - 1), (300, 2))
    scale = thumbnail(frame.image).shape[1] / WIDTH
    found = depth_at(with_depth(jpeg, frame.depth()), xy * scale)
    true = frame.depth()[np.rint(xy[:, 1]).astype(int), np.rint(xy[:, 0]).astype(int)]
    known = np.isfinite(found)
    assert 0.2 < known.mean() < 1 and (true[known] > 0).mean() > 0.98
    assert np.median(np.abs(found[known] / true[known] - 1)) < 0.02
    assert depth_at(jpeg, xy) is None
    assert len(with_depth(jpeg, frame.depth())) - len(jpeg) < 8_000


def test_unknown_depths_and_other_views(turning):
    jpeg = encode_jpeg(turning[0].image)
    nothing = np.full((HEIGHT, WIDTH), np.nan, np.float32)
    assert np.isnan(depth_at(with_depth(jpeg, nothing), np.array([[5.0, 5.0]]))).all()
    with pytest.raises(VprError, match="aligned to the color image"):
        with_depth(jpeg, np.ones((HEIGHT, HEIGHT), np.float32))
