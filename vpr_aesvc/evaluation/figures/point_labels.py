"""Small labels at points of a figure, put where they cover nothing; a label without room is left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.evaluation.figures.style import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Box = tuple[float, float, float, float]  # left, bottom, right, top, pixels

_FONT = 8.0  # points
_REACH = 5.5  # points between a point and its label
_SIDES = ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1))  # tried in this order


@dataclass(frozen=True)
class PointLabel:
    x: float
    y: float
    text: str
    color: str


def place_labels(
    figure: Figure, axes: Axes, labels: Sequence[PointLabel], lines: Sequence[Sequence[tuple[float, float]]]
) -> None:
    """Writes each label beside its point, the first of them first.

    Args:
        labels: in the order of their weight, for a later one gives way to an earlier one.
        lines: what is drawn in these axes, as points joined by straight lines; labels keep off them.
    """
    figure.draw_without_rendering()  # the layout settles where the points are
    frame = axes.get_window_extent()
    inside = (frame.x0, frame.y0, frame.x1, frame.y1)
    unit = figure.dpi / 72  # pixels a point
    kept_off = [_along(axes.transData.transform(line), 3 * unit) for line in lines if line]
    obstacles = np.concatenate([np.zeros((0, 2)), *kept_off])
    placed: list[Box] = []
    for label in labels:
        x, y = axes.transData.transform((label.x, label.y))
        half_width, half_height = 0.32 * _FONT * len(label.text) * unit, 0.42 * _FONT * unit
        for right, up in _SIDES:
            reach = _REACH * unit * (0.75 if right and up else 1.0)
            cx, cy = x + right * (reach + half_width), y + up * (reach + half_height)
            box = (cx - half_width, cy - half_height, cx + half_width, cy + half_height)
            if _free(box, inside, obstacles, placed, 1.5 * unit):
                offset = ((cx - x) / unit, (cy - y) / unit)
                look: dict[str, Any] = {"color": label.color, "fontsize": _FONT, "ha": "center", "va": "center"}
                note = axes.annotate(plain(label.text), (label.x, label.y), offset, textcoords="offset points", **look)
                note.set_in_layout(False)  # else it would move the axes under the labels placed already
                placed.append(box)
                break


def _along(line: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    """Points of a line, no further apart than ``step``: float64 [n, 2], pixels."""
    parts = [line[:1]]
    for start, end in pairwise(line):
        count = max(int(np.hypot(*(end - start)) / step), 1)
        parts.append(start + (end - start) * np.linspace(0, 1, count + 1)[1:, None])
    return np.concatenate(parts)


def _free(box: Box, inside: Box, obstacles: NDArray[np.float64], placed: Sequence[Box], gap: float) -> bool:
    left, bottom, right, top = box
    if left < inside[0] or bottom < inside[1] or right > inside[2] or top > inside[3]:
        return False
    x, y = obstacles[:, 0], obstacles[:, 1]
    if ((x > left - gap) & (x < right + gap) & (y > bottom - gap) & (y < top + gap)).any():
        return False
    return not any(
        left < other[2] + gap and other[0] < right + gap and bottom < other[3] + gap and other[1] < top + gap
        for other in placed
    )
