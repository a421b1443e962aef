"""A run aligned with the map in which it was recognized."""

import math
from dataclasses import replace

import numpy as np

from vpr_aesvc.evaluation.drive import Drive
from vpr_aesvc.pose_graph.alignment import Transform
from vpr_aesvc.types import Pose


def matched_poses(drive: Drive) -> list[tuple[Pose, Pose, bool]]:
    """Poses of the frames and of their accepted matches, and whether these were measured, of the variant that accepts most. Of a match without a
    metric pose only the position of its place is known.
    """
    name = max(drive.frames[0].answers, key=lambda name: int(drive.column("accepted", name).sum()))
    answers = [(frame, frame.answers[name]) for frame in drive.frames if frame.answers[name].accepted]
    return [
        (frame.pose or Pose(*frame.position), one.metric or Pose(*one.position), bool(frame.pose and one.metric))
        for frame, one in answers
    ]


def aligned_drive(drive: Drive, transform: Transform) -> Drive:
    """The drive in a map as if its poses had been in the map's frame."""
    places = drive.places[np.isfinite(drive.places[:, 0])]
    frames = []
    for frame, position in zip(drive.frames, transform.positions(drive.column("position")), strict=True):
        nearest = float(np.linalg.norm(places - position, axis=1).min(initial=np.inf))
        answers = {}
        for name, one in frame.answers.items():
            error = float(np.linalg.norm(position - one.position))
            answers[name] = replace(one, error=np.inf if math.isnan(error) else error)
        xyz = (float(position[0]), float(position[1]), float(position[2]))
        driven = transform.scale * frame.driven
        pose = frame.pose and transform.moved(frame.pose)
        frames.append(replace(frame, position=xyz, driven=driven, nearest=nearest, answers=answers, pose=pose))
    return replace(drive, frames=frames)
