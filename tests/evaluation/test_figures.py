"""The figures: methods differ in style, colors have contrast, tick labels do not overlap."""

from __future__ import annotations

import numpy as np
import pytest

from vpr_aesvc.evaluation.drive import VARIANTS
from vpr_aesvc.evaluation.figures.style import METHOD_STYLES, VARIANT_STYLES, method_style
from vpr_aesvc.evaluation.methods import NAMES

pytest.importorskip("matplotlib")


def test_methods_differ_in_gray() -> None:
    for part in ("marker", "dashes", "color"):
        assert len({getattr(style, part) for style in METHOD_STYLES.values()}) == len(METHOD_STYLES), part


def test_every_method_and_variant_has_a_style() -> None:
    assert set(METHOD_STYLES) == set(NAMES.values())
    assert set(VARIANT_STYLES) == {variant.name for variant in VARIANTS}


def test_colors_stand_out_on_white_and_on_dark() -> None:
    def light(color: str) -> float:
        parts = np.array([int(color[at : at + 2], 16) for at in (1, 3, 5)]) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ (0.2126, 0.7152, 0.0722))

    for name, style in {**METHOD_STYLES, **VARIANT_STYLES, "other": method_style("other")}.items():
        assert 1.05 / (light(style.color) + 0.05) >= 3, name
        assert (light(style.color) + 0.05) / (light("#12161c") + 0.05) >= 3, name


def test_tick_labels_keep_apart() -> None:
    from vpr_aesvc.evaluation.figures.style import canvas, figure_style, size_axis

    def labels(*sizes: int) -> list[str]:
        with figure_style():
            _, axes = canvas()
            size_axis(axes, sizes)
        return [label.get_text() for label in axes.get_xticklabels()]

    assert labels(16, 32, 64, 128, 250, 256) == ["16", "32", "64", "128", "", "256"]
    assert labels(8, 192, 256, 768, 1024) == ["8", "", "256", "", "1024"]
    assert labels(64) == ["64"]
