"""Databases of RTAB-Map, written with its tables: corridor images, a robot on a circle, a camera that looks to its left."""

import sqlite3
import struct
import zlib

import numpy as np
import pytest

from tests.command import refused, vpr
from vpr_aesvc import PlaceMap, VprError, open_input, read_image
from vpr_aesvc.images import image_of
from vpr_aesvc.transforms import rotation_matrix

NODES = 12
K = [300.0, 0, 255.0, 0, 310, 190, 0, 0, 1]
RECTIFIED = [290.0, 0, 250, 0, 0, 295, 188, 0, 0, 0, 1, 0]
TABLES = """
CREATE TABLE Node (id INTEGER NOT NULL, map_id INTEGER NOT NULL, weight INTEGER, stamp FLOAT, pose BLOB, ground_truth_pose BLOB,
    velocity BLOB, label TEXT, gps BLOB, env_sensors BLOB, time_enter DATE, PRIMARY KEY (id));
CREATE TABLE Data (id INTEGER NOT NULL, image BLOB, depth BLOB, depth_confidence BLOB, calibration BLOB, scan BLOB, scan_info BLOB,
    user_data BLOB, time_enter DATE, PRIMARY KEY (id));
CREATE TABLE Admin (version TEXT, preview_image BLOB, opt_ids BLOB, opt_poses BLOB, opt_last_localization BLOB, time_enter DATE);
INSERT INTO Admin (version) VALUES ('0.21.6');
"""
# On the robot: .3 m ahead, .5 m up, looking to the left. Columns: the camera's right, down and forward.
MOUNT = np.array([[1, 0, 0, 0.3], [0, 0, 1, 0.0], [0, -1, 0, 0.5]])


def robot(at, drift=0.0):
    """3 x 4: a circle of 5 m, counter-clockwise."""
    turn = 2 * np.pi * at / NODES
    cosine, sine = np.cos(turn), np.sin(turn)
    return np.array([[cosine, -sine, 0, 5 * sine + drift * at], [sine, cosine, 0, 5 - 5 * cosine], [0, 0, 1, 0.0]])


def floats(matrix):
    return np.asarray(matrix, "<f4").tobytes()


def compressed(array):
    """As RTAB-Map's compressData: zlib, then rows, columns and OpenCV's type."""
    kind = {"i": 4, "f": 5}[array.dtype.kind]
    return zlib.compress(array.tobytes()) + struct.pack("<3i", 1, array.size, kind)


def mono(mount=MOUNT, rectified=True, version=(0, 21, 6)):
    numbers = [*K, *[0.1, 0.01, 0, 0, 0], *np.eye(3).ravel(), *(RECTIFIED if rectified else ())]
    header = (*version, 0, 512, 384, 9, 5, 9, 12 if rectified else 0, 0 if mount is None else 12)
    return (
        struct.pack("<11i", *header)
        + struct.pack(f"<{len(numbers)}d", *numbers)
        + (b"" if mount is None else floats(mount))
    )


def stereo():
    left, right = mono(), mono(None)
    return struct.pack("<10i", 0, 21, 6, 1, 9, 3, 0, 0, len(left), len(right)) + bytes(8 * 12) + left + right


def old():
    return struct.pack("<6f", 290, 295, 250, 188, 512, 384) + floats(MOUNT)


def write(path, folder, calibration=None, optimized=range(1, NODES + 1), tables=TABLES, images=None):
    calibration = mono() if calibration is None else calibration
    files = sorted((folder / "frames").iterdir())[:NODES]
    with sqlite3.connect(path) as db:
        db.executescript(tables)
        for node in range(1, NODES + 3):  # the last two have no image
            pose = floats(robot(node, drift=0.1))
            db.execute(
                "INSERT INTO Node (id, map_id, weight, stamp, pose) VALUES (?, ?, 0, ?, ?)",
                (node, int(node > 6), 1.7e9 + node, pose),
            )
            blob = files[node - 1].read_bytes() if node <= NODES else None
            db.execute(
                "INSERT INTO Data (id, image, calibration) VALUES (?, ?, ?)",
                (node, blob and (images or blob), calibration),
            )
        if optimized:
            poses = np.concatenate([robot(node).ravel() for node in optimized]).astype("<f4")
            db.execute(
                "UPDATE Admin SET opt_ids = ?, opt_poses = ?",
                (compressed(np.array(optimized, "<i4")), compressed(poses)),
            )
    return path, files


def check_pose(frame, node, drift=0.0):
    matrix = robot(node, drift)
    position = matrix[:, :3] @ MOUNT[:, 3] + matrix[:, 3]
    np.testing.assert_allclose(frame.pose.as_tuple()[:3], position, atol=1e-5)
    left = matrix[:, :3] @ [0, 1, 0]
    np.testing.assert_allclose(rotation_matrix(frame.pose)[:, 0], left, atol=1e-5)
    np.testing.assert_allclose(rotation_matrix(frame.pose)[:, 2], [0, 0, 1], atol=1e-5)


def test_images_stamps_sessions_and_optimized_poses(loop_folder, tmp_path):
    path, files = write(tmp_path / "rtabmap.db", loop_folder)
    source = open_input(path)
    assert [frame.label for frame in source] == [str(node) for node in range(1, NODES + 1)]
    for node, frame in enumerate(source, 1):
        check_pose(frame, node)
        assert frame.stamp == 1.7e9 + node and frame.sequence == f"session-{int(node > 6)}"
        np.testing.assert_array_equal(image_of(frame), read_image(files[node - 1]))
    assert source.is_run and source.image_size == (512, 384)


@pytest.mark.parametrize("calibration", [mono(), stereo(), old()], ids=["mono", "stereo", "before 0.18"])
def test_calibrations(loop_folder, tmp_path, calibration):
    source = open_input(write(tmp_path / "rtabmap.db", loop_folder, calibration)[0])
    lens = source.intrinsics
    assert (lens.fx, lens.fy, lens.cx, lens.cy, lens.distortion_model) == (290, 295, 250, 188, "none")
    check_pose(next(iter(source)), 1)


def test_without_rectification_the_camera_matrix_counts(loop_folder, tmp_path):
    lens = open_input(write(tmp_path / "rtabmap.db", loop_folder, mono(rectified=False))[0]).intrinsics
    assert (lens.fx, lens.fy, lens.cx, lens.cy) == (300, 310, 255, 190)


def test_of_two_cameras_the_first(loop_folder, tmp_path):
    path, files = write(tmp_path / "rtabmap.db", loop_folder, mono() + mono())
    source = open_input(path)
    frame = next(iter(source))
    np.testing.assert_array_equal(image_of(frame), read_image(files[0])[:, :256])
    check_pose(frame, 1)
    assert any("several cameras" in note for note in source.notes)


def test_without_optimized_poses_those_of_the_odometry(loop_folder, tmp_path):
    source = open_input(write(tmp_path / "rtabmap.db", loop_folder, optimized=())[0])
    check_pose(list(source)[4], 5, drift=0.1)
    assert any("odometry" in note for note in source.notes)


def test_a_node_outside_the_graph_has_no_pose(loop_folder, tmp_path):
    source = open_input(write(tmp_path / "rtabmap.db", loop_folder, optimized=range(2, NODES + 1))[0])
    assert [frame.pose is None for frame in source] == [True] + [False] * (NODES - 1)
    assert any("1 of 12 images have no pose" in note for note in source.notes)


def test_a_map_of_a_session(loop_folder, tmp_path):
    path, _ = write(tmp_path / "rtabmap.db", loop_folder)
    before = path.read_bytes()
    done = vpr("train", path, "-o", tmp_path / "model", "--method", "aesvc")
    assert done.returncode == 0, done.stderr
    done = vpr("map", "build", path, "-m", tmp_path / "model", "-o", tmp_path / "map.vprmap")
    assert done.returncode == 0, done.stderr
    with PlaceMap.open(tmp_path / "map.vprmap") as place_map:
        places = list(place_map.places().values())
        assert [place.traverse for place in places] == ["session-0"] * 6 + ["session-1"] * 6
        for node, place in enumerate(places, 1):
            check_pose(place, node)
        assert place_map.thumbnail(places[0].id) is not None
        assert {size for _, size in place_map.cameras().values()} == {(512, 384)}
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "blob", [b"x", b"\0" * 44, struct.pack("<11i", 0, 21, 6, 0, 1, 1, 0, 0, 0, 0, -11), mono()[:-4] + b"abc"]
)
def test_a_damaged_calibration_is_named(loop_folder, tmp_path, blob):
    path, _ = write(tmp_path / "rtabmap.db", loop_folder, blob)
    with pytest.raises(VprError, match=r"rtabmap\.db: is damaged or no database of RTAB-Map"):
        open_input(path)


def test_a_damaged_image_is_skipped(loop_folder, tmp_path):
    path, _ = write(tmp_path / "rtabmap.db", loop_folder)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE Data SET image = ? WHERE id = 3", (b"\xff\xd8 no jpeg",))
    vpr("train", path, "-o", tmp_path / "model", "--method", "aesvc")
    done = vpr("map", "build", path, "-m", tmp_path / "model", "-o", tmp_path / "map.vprmap")
    assert done.returncode == 0 and "node 3" in done.stderr and "holds 11 places" in done.stdout


def test_what_is_no_such_database(loop_folder, tmp_path):
    (tmp_path / "a.db").write_bytes(b"no database")
    with sqlite3.connect(tmp_path / "b.db") as db:
        db.execute("CREATE TABLE Other (id)")
    path, _ = write(tmp_path / "c.db", loop_folder)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE Data SET image = NULL")
    for name, words in (("a", "is damaged or no database"), ("b", "no such table"), ("c", "no node has an image")):
        refused(vpr("map", "build", tmp_path / f"{name}.db", "-m", "m", "-o", tmp_path / "x.vprmap"), words)
