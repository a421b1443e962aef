"""A folder of images with a trajectory, as research sets come: TUM RGB-D, KITTI odometry, EuRoC's names.

When an image was taken is looked for in ``rgb.txt`` (TUM RGB-D: ``stamp path`` a line), in ``times.txt`` (KITTI: one number a line, in the
folder or in the one above it), and in the images' names: seconds with a decimal point, or nanoseconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from vpr_aesvc.datasets import open_images
from vpr_aesvc.errors import VprError
from vpr_aesvc.frame_source import InputOptions
from vpr_aesvc.recordings.pose_history import PoseTrack
from vpr_aesvc.recordings.recording import Recording
from vpr_aesvc.trajectory import Trajectory, read_trajectory
from vpr_aesvc.types import Frame, Pose

_LISTING, _TIMES = "rgb.txt", "times.txt"
Row = TypeVar("Row")
_NANOSECONDS = 16  # digits at the least


class ImageFolderRecording(Recording):
    """A folder of images with a trajectory. Labels are the images' paths in the folder.

    A trajectory in TUM format belongs to the images by its stamps, one in KITTI format by its order.

    Raises:
        VprError: no images, no trajectory, one that does not belong to them, or no way to tell when they were taken.
    """

    def __init__(self, path: Path, options: InputOptions) -> None:
        if options.trajectory is None:
            raise VprError(f"{path}: a folder of images is a run only with --trajectory FILE")
        super().__init__(path, options, "folder of images")
        listing = path / _LISTING
        listed = _read_listing(listing) if listing.is_file() else None
        trajectory = read_trajectory(options.trajectory, optical=listed is not None)
        self.notes = [trajectory.note]
        if listed is not None:
            self._files = [file for _, file in listed]
            self._stamps: list[float] | list[None] = [stamp for stamp, _ in listed]
            self.notes.append(f"stamps: {_LISTING}")
        else:
            self._files = [frame.path for frame in open_images(path) if frame.path is not None]
            self._stamps = self._find_stamps()
        self.images = len(self._files)
        self._poses = self._find_poses(trajectory)
        without = sum(pose is None for pose in self._poses)
        if without:
            self.notes.append(
                f"{without} of {self.images} images have no pose: outside the trajectory, or in a gap of it"
            )

    def __iter__(self) -> Iterator[Frame]:
        """By rising stamp where there are stamps, else in the order of the names."""
        self.skip_counts.clear()
        for file, stamp, pose in zip(self._files, self._stamps, self._poses, strict=True):
            label = str(file.relative_to(self.path)) if file.is_relative_to(self.path) else str(file)
            yield Frame(label, path=file, stamp=stamp, pose=pose)

    def _find_stamps(self) -> list[float] | list[None]:
        for folder in (self.path, self._files[0].parent, self.path.absolute().parent):
            if (folder / _TIMES).is_file():
                stamps = _read_lines(folder / _TIMES, _finite, "a number of seconds")
                if len(stamps) != len(self._files):
                    raise VprError(
                        f"{folder / _TIMES}: expected a line for each of the {len(self._files)} images of {self.path}, found {len(stamps)}"
                    )
                self.notes.append(f"stamps: {_TIMES}")
                return stamps
        named = [_stamp_of(file.stem) for file in self._files]
        known = [stamp for stamp in named if stamp is not None]
        if len(known) < len(named):
            return [None] * len(named)
        order = sorted(range(len(known)), key=known.__getitem__)
        self._files = [self._files[at] for at in order]
        self.notes.append("stamps: the images' names")
        return [known[at] for at in order]

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
                f"or names that are seconds or nanoseconds, found {self._files[0].name}"
            )
        table = [pose.as_tuple() for pose in trajectory.poses]
        track = PoseTrack(trajectory.stamps, table, self.options.pose_gap)
        poses = [None if stamp is None else track.at(stamp) for stamp in self._stamps]
        if not any(poses):
            raise VprError(
                f"{where}: no image of {self.path} lies within its time, {trajectory.stamps[0]:.3f} to {trajectory.stamps[-1]:.3f} s, or its poses "
                f"are more than {self.options.pose_gap:g} s apart (--pose-gap); the images were taken from {self._stamps[0]:.3f} to {self._stamps[-1]:.3f} s"
            )
        return poses


def _stamp_of(name: str) -> float | None:
    if name.isdecimal():
        return int(name) / 1e9 if len(name) >= _NANOSECONDS else None
    whole, point, part = name.partition(".")
    return float(name) if point and whole.isdecimal() and part.isdecimal() else None


def _read_listing(path: Path) -> list[tuple[float, Path]]:
    def parse(words: str) -> tuple[float, Path]:
        stamp, name = words.split(maxsplit=1)
        return _finite(stamp), path.parent / name

    listed = _read_lines(path, parse, "`stamp path`")
    if not listed:
        raise VprError(f"{path}: names no image")
    return sorted(listed)


def _finite(word: str) -> float:
    number = float(word)
    if not math.isfinite(number):
        raise ValueError
    return number


def _read_lines(path: Path, parse: Callable[[str], Row], expected: str) -> list[Row]:
    """The lines that hold something besides a # comment, parsed. ``parse`` raises ValueError for a bad line."""
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise VprError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    rows = []
    for number, line in enumerate(lines, 1):
        words = line.split("#")[0].strip()
        try:
            if words:
                rows.append(parse(words))
        except ValueError:
            raise VprError(f"{path}, line {number}: expected {expected}, found {words[:80]!r}") from None
    return rows
