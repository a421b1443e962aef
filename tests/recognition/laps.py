"""What the tests of a robot's laps share."""

from dataclasses import replace

import numpy as np

from vpr_aesvc import PlaceMap, Pose


def posed(frame):
    """As if the loop were a circle, two meters and a half a frame."""
    angle = 2 * np.pi * frame.index / 39.5
    radius = 2.5 * 39.5 / (2 * np.pi)
    return replace(frame, pose=Pose.planar(radius * np.cos(angle), radius * np.sin(angle), angle + np.pi / 2))


def new_map(path, describer, frames, descriptors):
    place_map = PlaceMap.create(path, describer)
    if frames:
        place_map.add(frames, descriptors, [frame.image for frame in frames])
    return place_map


def is_right(recognition, frame):
    return abs(float(recognition.best.place.extra["index"]) - frame.index) <= 3


def recognized(recognizer, frames, descriptors):
    return [recognizer.recognize(frame, descriptor=row) for frame, row in zip(frames, descriptors, strict=True)]


def same_numbers(one, other):
    """Two learned models agree up to the rounding of floats, which the number of threads changes."""
    return np.allclose(_numbers(one.model_dump()), _numbers(other.model_dump()), rtol=1e-3, atol=1e-4, equal_nan=True)


def _numbers(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return np.concatenate([_numbers(one) for one in value])
    return np.array([np.nan if value is None else value], np.float64)
