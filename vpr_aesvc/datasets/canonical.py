"""One name and one order of the images in both layouts of a set, so that a run on either gives the same results.

The published sets name an image ``000/000829_pitch1_yaw1.jpg``; VPR-datasets-downloader renames it to
``@0584825.96@4476945.61@17@T@040.43600@-080.00000@000829@00@@@@@@pitch1_yaw1@.jpg``. Both become ``database/000829_pitch1_yaw1``.
Coordinates stay as they are in each layout: the names round them to centimeters. On Pitts30k and Tokyo 24/7 this changes no right answer
within 25 m (a test computes it from the published coordinates).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from vpr_aesvc.datasets.folder import natural, utm_pose
from vpr_aesvc.datasets.frameset import FrameSet
from vpr_aesvc.datasets.tokyo import cutout
from vpr_aesvc.datasets.vpr_layout import name_field
from vpr_aesvc.types import Frame


def canonical(frames: FrameSet) -> FrameSet:
    """Renamed; database before queries, then by name in natural order, which is the order of Pitts30k's published lists."""
    renamed = (replace(frame, label=f"{frame.split}/{canonical_name(frame.label)}") for frame in frames.frames)
    return replace(frames, frames=tuple(sorted(renamed, key=_order)))


def canonical_name(label: str) -> str:
    """The name of an image without folders, coordinates and suffix."""
    name = Path(label).name
    if utm_pose(name) is None:
        found = cutout(name)
        return f"{found[0]}_{found[1]:02d}" if found else Path(name).stem
    # The downloader leaves the suffix in the panorama of the queries of Tokyo 24/7: ...@00399.jpg@@@@@@@@.jpg.
    panorama = name_field(name, 7).removesuffix(".jpg")
    detail = name_field(name, 14) or name_field(name, 8)
    return "_".join(part for part in (panorama, detail) if part) or Path(name).stem


def _order(frame: Frame) -> tuple[object, ...]:
    place = (frame.pose.x, frame.pose.y) if frame.pose else (0.0, 0.0)
    return frame.split != "database", natural(frame.label), frame.label, place
