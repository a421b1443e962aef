"""How each method looks: the same in every figure of a report, and from report to report.

Colors keep their contrast on a white and on a dark page and are told apart by the color-blind as far as so many can
be; every method has its own marker and line besides, so nothing is lost in gray.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class LineStyle:
    """The look of one method."""

    color: str
    marker: str
    line: Any  # a matplotlib line style
    width: float = 1.5


_STYLES = {
    "raw": LineStyle("#808080", "X", (0, (5, 2.5))),
    "PCA": LineStyle("#b07d00", "^", (0, (1, 1.4))),
    "whitening": LineStyle("#a0664a", "v", (0, (6, 1.5, 1.2, 1.5, 1.2, 1.5))),
    "VAE": LineStyle("#d0679d", "D", (0, (2.6, 1.4))),
    "AE-SVC": LineStyle("#2a86c8", "s", (0, (5, 1.6)), 2.0),
    "SSD": LineStyle("#0f9b77", "P", (0, (7, 1.8, 1.4, 1.8))),
    "(SS)2D rotation": LineStyle("#d55e00", "o", "-", 2.2),
    "(SS)2D free": LineStyle("#8a63d2", "<", (0, (4, 1.2, 1, 1.2)), 2.0),
    "(SS)2D pair": LineStyle("#c2373f", ">", (0, (12, 1.8)), 2.0),
}
_SAME = {"(SS)2D": "(SS)2D rotation"}  # looks like that, unless that one is there too
_MORE = (
    LineStyle("#5b8c00", "p", (0, (10, 1.5, 3, 1.5))),
    LineStyle("#00929e", "*", (0, (1, 2.6))),
    LineStyle("#7a7fd6", "h", (0, (3, 3))),
    LineStyle("#b5651d", "d", (0, (9, 3, 1, 3))),
)


def method_styles(names: Iterable[str]) -> dict[str, LineStyle]:
    """A style for each name. A method of the paper always has its own; others take the next that is free, and begin
    again when all are taken."""
    wanted = list(dict.fromkeys(names))
    styles: dict[str, LineStyle] = {}
    for name in wanted:
        known = name.replace(",", "")  # "(SS)2D, rotation" too
        if known not in _STYLES:
            known = _SAME.get(name, "")
            known = "" if known in wanted else known
        if known:
            styles[name] = _STYLES[known]
    taken = {style.marker for style in styles.values()}
    every = [*_MORE, *_STYLES.values()]
    free = [style for style in every if style.marker not in taken] or every
    for at, name in enumerate(name for name in wanted if name not in styles):
        styles[name] = free[at % len(free)]
    return {name: styles[name] for name in wanted}
