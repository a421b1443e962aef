"""Recognizes published splits by their counts and their place on Earth, to refuse the wrong set."""

from __future__ import annotations

from dataclasses import dataclass

from vpr_aesvc.datasets.frameset import FrameSet
from vpr_aesvc.errors import VprError

# Database and query images (Arandjelovic et al., NetVLAD, CVPR 2016, and Torii et al., CVPR 2015).
SPLITS = {
    (10_000, 7_416): "the train split of Pitts30k",
    (10_000, 7_608): "the val split of Pitts30k",
    (10_000, 6_816): "the test split of Pitts30k",
    (91_464, 7_824): "the train split of Pitts250k",
    (78_648, 7_608): "the val split of Pitts250k",
    (83_952, 8_280): "the test split of Pitts250k",
    (49_104, 7_277): "the train split of Tokyo Time Machine",
    (49_056, 7_186): "the val split of Tokyo Time Machine",
    (75_984, 315): "Tokyo 24/7",
}


@dataclass(frozen=True)
class Area:
    """A rectangle in UTM meters."""

    west: float
    east: float
    south: float
    north: float


def refuse_another_set(frames: FrameSet, title: str, area: Area, counts: tuple[int, int], which: str = "test") -> None:
    """A part of the set is accepted, also with missing images.

    Raises:
        VprError: the frames are another published split, or are in another city.
    """
    queries = sum(frame.split == "query" for frame in frames.frames)
    found = len(frames) - queries, queries
    if found != counts and found in SPLITS:
        raise VprError(f"{frames.path}: expected {title}, {_words(counts)}; found {SPLITS[found]}, {_words(found)}")
    if which in ("train", "val"):
        raise VprError(f"{frames.path}: expected {title}, found a {which} split (whichSet) of {_words(found)}")
    for frame in frames.frames:
        pose = frame.pose
        if pose and not (area.west <= pose.x <= area.east and area.south <= pose.y <= area.north):
            raise VprError(
                f"{frames.path}: expected {title}, which is within UTM {area.west:.0f} to {area.east:.0f} east and "
                f"{area.south:.0f} to {area.north:.0f} north; {frame.label} is at {pose.x:.0f}, {pose.y:.0f}"
            )


def _words(counts: tuple[int, int]) -> str:
    return f"{counts[0]} database images and {counts[1]} queries"
