"""The line style of each method and each variant of recognition, the same in every figure.

Colors have enough contrast on a white and on a dark page. Each also has its own marker and line, to be told apart in gray and by color-blind readers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class LineStyle:
    color: str
    marker: str
    dashes: Any  # a matplotlib line style
    width: float = 1.5

    @property
    def line(self) -> dict[str, Any]:
        """Arguments of ``Axes.plot``."""
        return {"color": self.color, "linestyle": self.dashes, "linewidth": self.width}


METHOD_STYLES = {
    "raw": LineStyle("#808080", "X", (0, (5, 2.5))),
    "PCA": LineStyle("#b07d00", "^", (0, (1, 1.4))),
    "whitening": LineStyle("#a0664a", "v", (0, (6, 1.5, 1.2, 1.5, 1.2, 1.5))),
    "VAE": LineStyle("#d0679d", "D", (0, (2.6, 1.4))),
    "AE-SVC": LineStyle("#2a86c8", "s", (0, (5, 1.6)), 2.0),
    "SSD": LineStyle("#0f9b77", "P", (0, (7, 1.8, 1.4, 1.8))),
    "(SS)2D": LineStyle("#8a63d2", "<", (0, (4, 1.2, 1, 1.2)), 2.0),
    "(SS)2D rotation": LineStyle("#d55e00", "o", "-", 2.2),
    "(SS)2D pair": LineStyle("#c2373f", ">", (0, (12, 1.8)), 2.0),
}
_OTHER = LineStyle("#5b8c00", "p", (0, (10, 1.5, 3, 1.5)))

_PROBABILITY = LineStyle("#b07d00", "^", (0, (1, 1.4)), 2.0)
_SEQUENCE = LineStyle("#2a86c8", "s", (0, (5, 1.6)), 2.0)
_GEOMETRY = LineStyle("#0f9b77", "P", (0, (7, 1.8, 1.4, 1.8)), 2.0)
_ALL = LineStyle("#d55e00", "o", "-", 2.2)
VARIANT_STYLES = {
    "similarity": LineStyle("#808080", "X", (0, (5, 2.5))),
    **dict.fromkeys(("+ probability", "single frame"), _PROBABILITY),
    **dict.fromkeys(("+ sequence", "with sequence"), _SEQUENCE),
    **dict.fromkeys(("+ geometry", "with geometry"), _GEOMETRY),
    **dict.fromkeys(("all", "with both"), _ALL),
}


def method_style(method: str) -> LineStyle:
    return METHOD_STYLES.get(method, _OTHER)
