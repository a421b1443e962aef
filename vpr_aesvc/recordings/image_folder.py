"""A folder of images with a trajectory, as research sets come: TUM RGB-D, KITTI odometry, EuRoC's names.

When an image was taken is looked for in ``rgb.txt`` (TUM RGB-D: ``stamp path`` a line), in ``times.txt`` (KITTI: one number a line, in the
folder or in the one above it), in ``frames.csv``, and in the images' names. Seconds with a decimal point are stamps, and so are numbers that count seconds, or
thousandths, millionths or billionths of them, from 1970. Depth is of TUM RGB-D: ``depth.txt`` beside ``rgb.txt``.
"""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import numpy as np

from vpr_aesvc.datasets import open_images
from vpr_aesvc.datasets.file_checks import checked
from vpr_aesvc.datasets.folder import list_folder
from vpr_aesvc.depth import DepthImage, in_meters
from vpr_aesvc.errors import VprError
from vpr_aesvc.frame_source import InputOptions, SkipCounts
from vpr_aesvc.images import stored_pixels_of
from vpr_aesvc.recordings.pose_checks import odd_motion
from vpr_aesvc.recordings.pose_history import PoseTrack, fit_units
from vpr_aesvc.recordings.recording import Recording
from vpr_aesvc.stamps import UNITS, to_seconds, unit_since_1970
from vpr_aesvc.text import read_text
from vpr_aesvc.trajectory import Trajectory, read_trajectory
from vpr_aesvc.types import Frame, Pose

_LISTING, _TIMES, _TABLE, _DEPTHS = "rgb.txt", "times.txt", "frames.csv", "depth.txt"
_DEPTH_UNIT, _DEPTH_GAP = 1 / 5000, 0.02  # of TUM RGB-D: meters, and seconds between an image and its depth
Row = TypeVar("Row")
_SLOW = 5.0  # seconds; images and poses that are usually further apart are rare
_PADDED = 16  # digits at the least, with zeros before: nanoseconds from the start of a run
_NAME = re.compile(r"(?:.*[^\d.])?(\d+(?:\.\d+)?)")  # 1403636579.763, 1403636579763555584, cam0_1403636579763
_PARTS = re.compile(r"(?:.*\D)?(\d{10})[-_](\d{9})")  # seconds and nanoseconds: 1311875609-372003400


class ImageFolderRecording(Recording):
    """A folder of images with a trajectory. Labels are the images' paths in the folder.

    ``mount``: of the camera on the body that a trajectory in TUM format is of; None if it is of the camera.
    A trajectory in TUM format belongs to the images by its stamps, one in KITTI format by its order.

    Raises:
        VprError: no images, no trajectory, one that does not belong to them, or no way to tell when they were taken.
    """

    def __init__(self, path: Path, options: InputOptions, mount: Pose | None = None) -> None:
        if options.trajectory is None:
            raise VprError(f"{path}: a folder of images is a run only with --trajectory FILE")
        super().__init__(path, options, "folder of images")
        self._left_out = SkipCounts()
        self._depths: list[Path | None] = []
        listing = path / _LISTING
        listed = _read_listing(listing) if listing.is_file() else None
        trajectory = read_trajectory(options.trajectory, listed is not None, mount)
        self.notes = [trajectory.note]
        if listed is not None:
            for before, (stamp, file) in pairwise(listed):
                if before == (stamp, file):
                    self._left_out.add(f"lines of {_LISTING} that repeat an earlier line", f"{stamp} {file.name}")
            listed = list(dict.fromkeys(listed))
            self._files = [file for _, file in listed]
            self._stamps: list[float] | list[None] = self._to_seconds([stamp for stamp, _ in listed], _LISTING)
            self._depths = self._find_depths(path / _DEPTHS, [stamp for stamp, _ in listed])
        else:
            images = open_images(path) if (path / _TABLE).is_file() else checked(list_folder(path))
            self.notes += images.notes
            self._left_out = images.skip_counts
            self._files = [frame.path for frame in images if frame.path is not None]
            self._stamps = self._find_stamps([frame.stamp for frame in images])
        self.images = len(self._files)
        self._poses = self._find_poses(trajectory)
        known = [(at, pose) for at, pose in zip(self._stamps, self._poses, strict=True) if pose and at is not None]
        table = [pose.as_tuple() for _, pose in known]
        self.notes += odd_motion([at for at, _ in known], table, f"trajectory {options.trajectory.name}")
        without = sum(pose is None for pose in self._poses)
        if without:
            self.notes.append(
                f"{without} of {self.images} images have no pose: outside the trajectory, or in a gap of it"
            )

    def __iter__(self) -> Iterator[Frame]:
        """By rising stamp where there are stamps, else in the order of the names."""
        self.skip_counts.clear()
        self.skip_counts.include(self._left_out)
        depths = self._depths or [None] * len(self._files)
        for file, stamp, pose, depth in zip(self._files, self._stamps, self._poses, depths, strict=True):
            label = str(file.relative_to(self.path)) if file.is_relative_to(self.path) else str(file)
            yield Frame(
                label, path=file, stamp=stamp, pose=pose, depth=None if depth is None else partial(_depth, depth)
            )

    def _find_depths(self, listing: Path, stamps: Sequence[str]) -> list[Path | None]:
        """The depth image of each image, that is nearest in time."""
        if not listing.is_file():
            return []
        listed = _read_listing(listing)
        times = np.array([float(stamp) for stamp, _ in listed])
        gaps = [np.abs(times - float(stamp)) for stamp in stamps]
        depths = [listed[int(gap.argmin())][1] if gap.min() <= _DEPTH_GAP else None for gap in gaps]
        self.notes.append(f"depth: {_DEPTHS}, for {sum(map(bool, depths))} of {len(depths)} images")
        return depths

    def _find_stamps(self, listed: list[float | None]) -> list[float] | list[None]:
        """``listed``: those of the images in frames.csv. The files are put in the order of the stamps."""
        for folder in (self.path, self._files[0].parent, self.path.absolute().parent):
            if (folder / _TIMES).is_file():
                stamps = _read_lines(folder / _TIMES, _finite, "a number of seconds")
                if len(stamps) != len(self._files):
                    raise VprError(
                        f"{folder / _TIMES}: expected a line for each of the {len(self._files)} images of {self.path}, found {len(stamps)}"
                    )
                return self._to_seconds(stamps, _TIMES)
        known = [stamp for stamp in listed if stamp is not None]
        if len(known) == len(self._files):
            self.notes.append(f"stamps: {_TABLE}")
        elif named := _named_stamps([file.stem for file in self._files], f"{self.path}, names of images"):
            known = self._to_seconds(named[0], "the images' names", named[1])
        else:
            return [None] * len(self._files)
        order = sorted(range(len(known)), key=known.__getitem__)
        self._files = [self._files[at] for at in order]
        return [known[at] for at in order]

    def _to_seconds(self, stamps: Sequence[str], said: str, unit: str | None = None) -> list[float]:
        """Notes what ``said`` them and their unit."""
        unit = unit or unit_since_1970(stamps, f"{self.path}, {said}") or UNITS[0]
        self.notes.append(f"stamps: {said}" + ("" if unit == UNITS[0] else f", in {unit}"))
        return to_seconds(stamps, unit)

    def _find_poses(self, trajectory: Trajectory) -> list[Pose] | list[Pose | None]:
        where = self.options.trajectory
        if trajectory.stamps is None:
            if len(trajectory.poses) != self.images:
                raise VprError(
                    f"{where}: a trajectory in KITTI format has one pose for each image; found {len(trajectory.poses)} poses and "
                    f"{self.images} images in {self.path}"
                )
            return trajectory.poses
        if self._stamps[0] is None:
            raise VprError(
                f"{self.path}: cannot tell when the images were taken, which a trajectory in TUM format needs; expected a {_LISTING}, a {_TIMES}, "
                f"or names that are stamps in seconds, or since 1970 in ms, us or ns, found {self._files[0].name}"
            )
        poses = self._poses_at(trajectory)
        slow = _far_apart(self._stamps, trajectory.stamps)
        self.notes += slow
        if not any(poses):
            raise VprError(
                f"{where}: no image of {self.path} lies within its time, {trajectory.stamps[0]:.3f} to {trajectory.stamps[-1]:.3f} s, or its poses "
                f"are more than {self.options.pose_gap:g} s apart (--pose-gap); the images were taken from {self._stamps[0]:.3f} to {self._stamps[-1]:.3f} s"
                + "".join(f"; {words}" for words in slow)
            )
        return poses

    def _poses_at(self, trajectory: Trajectory) -> list[Pose | None]:
        """The poses of the images, whose stamps are scaled if they are in another unit."""
        track = PoseTrack(
            trajectory.stamps or [], [pose.as_tuple() for pose in trajectory.poses], self.options.pose_gap
        )
        images, track, said = fit_units(np.array(self._stamps, np.float64), track)
        if said:
            self.notes.append(said)
            self._stamps = images.tolist()
        return [track.at(stamp) for stamp in images.tolist()]


def _depth(file: Path) -> DepthImage:
    pixels = stored_pixels_of(file)
    if pixels.dtype != np.uint16 or pixels.ndim != 2:
        raise VprError(f"{file}: not a depth image of TUM RGB-D, which is gray with 16 bits a pixel")
    return in_meters(pixels, _DEPTH_UNIT)


def _far_apart(*series: Sequence[float | None]) -> list[str]:
    """A note where all of them rise by many seconds, as stamps in milliseconds do."""
    apart = min(float(np.median(np.diff(np.array(one, np.float64)))) if len(one) > 1 else 0.0 for one in series)
    words = f"images and poses lie {apart:.3g} s apart or more: if their stamps are not seconds, write seconds"
    return [words] if apart >= _SLOW else []


def _named_stamps(names: Sequence[str], where: str) -> tuple[list[str], str] | None:
    """The stamps that names hold, as text, and their unit; None if one holds none."""
    stamps = []
    for name in names:
        found = _PARTS.fullmatch(name) or _NAME.fullmatch(name)
        if found is None:
            return None
        stamps.append(".".join(found.groups()))
    unit = unit_since_1970(stamps, where)
    if unit is None and stamps == list(names):  # numbers alone, from another time than 1970
        if all("." in stamp for stamp in stamps):
            unit = UNITS[0]
        elif all(stamp.startswith("0") and len(stamp) >= _PADDED for stamp in stamps):
            unit = UNITS[-1]
    return None if unit is None else (stamps, unit)


def _read_listing(path: Path) -> list[tuple[str, Path]]:
    def parse(words: str) -> tuple[str, Path]:
        stamp, name = words.split(maxsplit=1)
        return _finite(stamp), path.parent / name

    listed = _read_lines(path, parse, "`stamp path`")
    if not listed:
        raise VprError(f"{path}: names no image")
    return sorted(listed, key=lambda one: (float(one[0]), one[1]))


def _finite(word: str) -> str:
    if not math.isfinite(float(word)):
        raise ValueError
    return word


def _read_lines(path: Path, parse: Callable[[str], Row], expected: str) -> list[Row]:
    """The lines that hold something besides a # comment, parsed. ``parse`` raises ValueError for a bad line."""
    rows = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        words = line.split("#")[0].strip()
        try:
            if words:
                rows.append(parse(words))
        except ValueError:
            raise VprError(f"{path}, line {number}: expected {expected}, found {words[:80]!r}") from None
    return rows
