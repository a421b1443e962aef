"""Small maps with exact answers: descriptors that any test can compute."""

from pathlib import Path

import numpy as np

from benchmarks.damage import DIM, META
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.types import Frame, Pose


def unit_rows(count, dim=DIM, seed=0):
    """float32 [count, dim], unit norm."""
    rows = np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def drive(count, name="monday", start=1000.0, step=0.5):
    """Frames half a meter and half a second apart, along x."""
    return [
        Frame(f"{name}/{i}.jpg", Path(f"/a/{i}.jpg"), None, start + i / 2, Pose(i * step, 0.0), name, index=i)
        for i in range(count)
    ]


def new_map(path, frames=(), rows=None, images=None):
    """An open map that holds the frames."""
    place_map = PlaceMap.create_like(path, META)
    if len(frames):
        place_map.add(frames, unit_rows(len(frames)) if rows is None else rows, images)
    return place_map
