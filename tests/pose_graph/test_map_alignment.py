"""Two drives around one circuit, whose poses have different origins: the transform between their maps."""

import json
import math

import numpy as np
import pytest

from tests.command import refused, vpr
from tests.pose_graph.drives import DRAWN_CAMERA, drawn_laps, opposed_drive
from vpr_aesvc import Frame, PlaceMap, open_backbone, train
from vpr_aesvc.pose_graph.alignment import Transform
from vpr_aesvc.recognition.learned_models import learn_map
from vpr_aesvc.transforms import angle, compose, distance, inverse, pose_from_euler

FLAT = Transform(pose_from_euler(-31.0, 12.5, 0.8, 0, 0, math.radians(140)))
TILTED = Transform(pose_from_euler(-31.0, 12.5, 0.8, 0.15, -0.1, math.radians(140)))
SCALED = Transform(TILTED.pose, 2.5)
"""From the second map's frame into the first's."""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    frames = [Frame(str(at), image=one.image) for at, one in enumerate(opposed_drive(seed=9))]
    return train(frames, open_backbone("hog"), tmp_path_factory.mktemp("model") / "model", method="aesvc")


@pytest.fixture(scope="module")
def laps():
    seen = drawn_laps(meters=70)
    return [[one for one in seen if one.part == part] for part in (1, 2)]


def write(path, model, seen, moved=lambda pose: pose, camera=DRAWN_CAMERA):
    frames = [Frame(str(at), stamp=one.stamp, pose=moved(one.pose)) for at, one in enumerate(seen)]
    with PlaceMap.create(path, model) as place_map:
        descriptors = np.stack([model.describe(one.image) for one in seen])
        place_map.add(frames, descriptors, [one.image for one in seen], path.stem)
        if camera is not None:
            place_map.set_camera(path.stem, camera, (320, 240))
        learn_map(place_map)
    return path


def into(transform):
    """Poses of the first frame in the frame that the transform comes from."""
    back = Transform(inverse(transform.pose))

    def moved(pose):
        x, y, z, *turn = back.moved(pose).as_tuple()
        return type(pose)(x / transform.scale, y / transform.scale, z / transform.scale, *turn)

    return moved


@pytest.fixture(scope="module")
def first(model, laps, tmp_path_factory):
    return write(tmp_path_factory.mktemp("first") / "first.vprmap", model, laps[0])


@pytest.mark.parametrize(("kind", "truth"), [("se2", FLAT), ("se3", TILTED), ("sim3", SCALED)])
def test_the_transform_is_found_and_moves_the_other_map(kind, truth, first, model, laps, tmp_path):
    other = write(tmp_path / "second.vprmap", model, laps[1], into(truth))
    done = vpr("map", "align", first, other, "--kind", kind, "-o", tmp_path / "transform.json")
    assert done.returncode == 0 and "standard deviation" in done.stdout and "coarse" not in done.stdout, done.stderr
    found = json.loads((tmp_path / "transform.json").read_text())
    assert found["kind"] == kind and found["metric"] and found["inliers"] >= 0.9 * found["pairs"] >= 9
    assert found["scale"] == pytest.approx(truth.scale, rel=0.01)
    merged = vpr(
        "map", "merge", first, other, "-o", tmp_path / "both.vprmap", "--transform", tmp_path / "transform.json"
    )
    assert merged.returncode == 0, merged.stderr
    assert "warning" not in merged.stderr
    with PlaceMap.open(tmp_path / "both.vprmap") as place_map:
        poses = [place.pose for place in place_map.places().values() if place.traverse == "second"]
    errors = [distance(pose, one.pose) for pose, one in zip(poses, laps[1], strict=True)]
    turns = [angle(pose, one.pose) for pose, one in zip(poses, laps[1], strict=True)]
    print(
        f"{kind}: {found['inliers']} of {found['pairs']}, error up to {max(errors):.3f} m, {math.degrees(max(turns)):.2f} degrees"
    )
    assert max(errors) < 0.15 and math.degrees(max(turns)) < 0.3


def test_merge_finds_the_transform_itself(first, model, laps, tmp_path):
    other = write(tmp_path / "second.vprmap", model, laps[1], into(FLAT))
    done = vpr("map", "merge", first, other, "-o", tmp_path / "both.vprmap", "--transform", "auto")
    assert done.returncode == 0, done.stderr
    with PlaceMap.open(tmp_path / "both.vprmap") as place_map:
        poses = [place.pose for place in place_map.places().values() if place.traverse == "second"]
    assert max(distance(pose, one.pose) for pose, one in zip(poses, laps[1], strict=True)) < 0.15


def test_without_intrinsics_the_transform_is_coarse_and_said_to_be(first, model, laps, tmp_path):
    other = write(tmp_path / "second.vprmap", model, laps[1], into(FLAT), camera=None)
    done = vpr("map", "align", first, other)
    assert done.returncode == 0 and "coarse: from the poses of the matched places" in done.stdout, done.stderr


def test_what_the_maps_do_not_tell_is_refused_with_the_reason(first, model, laps, tmp_path):
    other = write(tmp_path / "second.vprmap", model, laps[1], into(SCALED))
    refused(vpr("map", "align", first, other, "-o", tmp_path / "t.json"), "do not agree on one transform")
    elsewhere = write(tmp_path / "elsewhere.vprmap", model, opposed_drive())
    refused(vpr("map", "align", first, elsewhere, "-o", tmp_path / "t.json"), "too few")
    assert not (tmp_path / "t.json").exists()
    (tmp_path / "bad.json").write_text('{"pose": [1, 2]}')
    words = ("map", "merge", first, other, "-o", tmp_path / "both.vprmap", "--transform")
    for value in (tmp_path / "bad.json", tmp_path / "none.json", "1,2,3"):
        refused(vpr(*words, value), "--transform must be four numbers")


def test_the_transform_of_the_test_is_the_inverse_of_its_inverse():
    pose = pose_from_euler(1, 2, 3, 0.1, 0.2, 0.3)
    for truth in (FLAT, TILTED, SCALED):
        again = truth.moved(into(truth)(pose))
        assert distance(again, pose) < 1e-9 and angle(again, pose) < 1e-6
    assert distance(compose(FLAT.pose, into(FLAT)(pose)), pose) < 1e-9
