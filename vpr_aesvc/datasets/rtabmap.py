"""The database of an RTAB-Map session: each node with an image is a frame, with the optimized pose of its camera.

Written by RTAB-Map 0.11.2 or later. Images are stored rectified, beside each other where a node has several cameras.
https://github.com/introlab/rtabmap/blob/master/corelib/src/DBDriverSqlite3.cpp (tables), CameraModel.cpp (calibration)
"""

import sqlite3
import struct
import zlib
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.datasets.frameset import FrameSet
from vpr_aesvc.errors import VprError
from vpr_aesvc.images import decode_image
from vpr_aesvc.transforms import IDENTITY, OPTICAL, compose, inverse, pose_of_rotation
from vpr_aesvc.types import Frame, Image, Intrinsics, Pose

_HEADER = 11 * 4  # bytes of a camera's header since 0.18
_OLD_MOUNTS = {4 * 18: 6, 4 * 19: 7, 4 * 17: 5}
"""Bytes of a calibration before it, of one camera or of a stereo pair with or without its size -> at which float the mount begins."""
_MOST = 1 << 28  # bytes of all poses
_Camera = tuple[Intrinsics, tuple[int, int], Pose]  # (width, height) of its images; mount: body axes, on the robot


def read_rtabmap(path: Path) -> FrameSet:
    """Labels are node ids, sequences the sessions. Poses are of the camera: those that RTAB-Map optimized last, else those of the odometry.
    Of several cameras on a robot the first is read.

    Raises:
        VprError: no such database, or a damaged one.
    """
    try:
        with closing(_open(path)) as db:
            optimized = _optimized(db)
            nodes = db.execute(
                "SELECT id, map_id, stamp, pose, calibration FROM Node JOIN Data USING (id) WHERE length(image) > 0 ORDER BY id"
            ).fetchall()
        if not nodes:
            raise VprError(f"{path}: no node has an image; RTAB-Map keeps them with Mem/ImageKept or Mem/BinDataKept")
        cameras = {blob: _cameras(blob) for blob in {node[4] for node in nodes}}
        frames = []
        for node, session, stamp, odometry, calibration in nodes:
            pose = _pose(odometry) if optimized is None else optimized.get(node)
            found = cameras[calibration]
            frames.append(
                Frame(
                    str(node),
                    stamp=float(stamp) if stamp else None,
                    pose=compose(pose, found[0][2]) if pose and found else pose,
                    sequence=f"session-{session}",
                    decode=partial(_image, path, node, max(1, len(found))),
                )
            )
    except (sqlite3.Error, struct.error, zlib.error, ValueError, IndexError, TypeError, RecursionError) as error:
        raise VprError(f"{path}: is damaged or no database of RTAB-Map ({error})") from error
    kind = "odometry, as the database holds no optimized ones" if optimized is None else "RTAB-Map's optimization"
    notes = [f"poses: of {kind}"]
    first = {(found[0][0], found[0][1]) for found in cameras.values() if found}
    shared = first.pop() if len(first) == 1 else None
    if any(len(found) > 1 for found in cameras.values()):
        notes.append("the robot has several cameras; the first is used")
    if without := sum(frame.pose is None for frame in frames):
        notes.append(f"{without} of {len(frames)} images have no pose: their nodes are not in the optimized graph")
    notes.append(f"intrinsics: {shared[0]}" if shared else "intrinsics: none that all images share")
    size = shared[1] if shared and all(shared[1]) else None  # old stereo pairs do not say it
    return FrameSet(
        path, "RTAB-Map database", tuple(frames), intrinsics=shared and shared[0], image_size=size, notes=notes
    )


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)


def _image(path: Path, node: int, cameras: int) -> Image:
    with closing(_open(path)) as db:
        try:
            found = db.execute("SELECT image FROM Data WHERE id = ?", (node,)).fetchone()
        except sqlite3.Error as error:
            raise VprError(f"{path}, node {node}: cannot be read ({error})") from error
    image = decode_image(found[0], f"{path}, node {node}")
    return image[:, : image.shape[1] // cameras]


def _optimized(db: sqlite3.Connection) -> dict[int, Pose | None] | None:
    """Poses of the robot by node id; None if the database has none."""
    if "opt_poses" not in {row[1] for row in db.execute("PRAGMA table_info(Admin)")}:
        return None
    ids, poses = db.execute("SELECT opt_ids, opt_poses FROM Admin").fetchone() or (None, None)
    if not ids or not poses:
        return None
    nodes = np.frombuffer(_uncompressed(ids), "<i4")
    matrices = np.frombuffer(_uncompressed(poses), "<f4").reshape(len(nodes), 12)
    return {node: _pose(matrix.tobytes()) for node, matrix in zip(nodes.tolist(), matrices, strict=True)}


def _uncompressed(blob: bytes) -> bytes:
    return zlib.decompressobj().decompress(blob, _MOST)  # behind it are rows, columns and type of the matrix


def _pose(blob: bytes | None) -> Pose | None:
    """Of a 3 x 4 matrix of floats; None for RTAB-Map's null transform."""
    matrix: NDArray[np.float64] = np.frombuffer(blob or b"", "<f4").astype(np.float64)
    if not matrix.any():
        return None
    matrix = matrix.reshape(3, 4)
    return pose_of_rotation(matrix[:, :3], *matrix[:, 3].tolist())


def _cameras(blob: bytes | None) -> list[_Camera]:
    if not blob:
        return []
    if len(blob) in _OLD_MOUNTS:
        numbers = np.frombuffer(blob, "<f4").astype(np.float64).tolist()
        mount = _OLD_MOUNTS[len(blob)]
        size = (0, 0) if mount == 5 else (int(numbers[mount - 2]), int(numbers[mount - 1]))
        return [_camera(tuple(numbers[:4]), size, blob[4 * mount :])]
    if struct.unpack_from("<4i", blob)[3] == 1:  # stereo: the left camera follows the geometry of the pair
        header = struct.unpack_from("<10i", blob)
        start = 40 + 8 * sum(header[4:8])
        return _cameras(blob[start : start + header[8]])
    cameras = []
    while blob:
        _, _, _, _, width, height, k, d, r, p, mount = struct.unpack_from("<11i", blob)
        if min(k, d, r, p, mount) < 0:
            raise ValueError("a calibration of negative size")
        doubles = struct.unpack_from(f"<{k + d + r + p}d", blob, _HEADER)
        matrix, columns = (doubles[-p:], 4) if p else (doubles[:k], 3)
        end = _HEADER + 8 * len(doubles)
        numbers = (matrix[0], matrix[columns + 1], matrix[2], matrix[columns + 2])
        cameras.append(_camera(numbers, (width, height), blob[end : end + 4 * mount]))
        blob = blob[end + 4 * mount :]
    return cameras


def _camera(numbers: tuple[float, ...], size: tuple[int, int], mount: bytes) -> _Camera:
    fx, fy, cx, cy = numbers
    optical = _pose(mount)
    return Intrinsics(fx, fy, cx, cy), size, IDENTITY if optical is None else compose(optical, inverse(OPTICAL))
