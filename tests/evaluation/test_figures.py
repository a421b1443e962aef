"""What the figures promise to the eye: methods told apart, the same look everywhere, no label over another."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from vpr_aesvc.evaluation.figures.method_styles import method_styles

pytest.importorskip("matplotlib")

_METHODS = ["raw", "PCA", "whitening", "VAE", "AE-SVC", "SSD", "(SS)2D rotation", "(SS)2D free", "(SS)2D pair"]


def test_no_two_methods_look_alike_in_gray() -> None:
    styles = method_styles([*_METHODS, "one more", "another"])
    for part in ("marker", "line", "color"):
        assert len({getattr(style, part) for style in styles.values()}) == 11, part


def test_a_method_looks_the_same_in_every_report() -> None:
    alone = {method: method_styles(["another", method])[method] for method in _METHODS}
    assert alone == {method: method_styles(_METHODS)[method] for method in _METHODS}
    assert (
        method_styles(["(SS)2D"])["(SS)2D"]
        == alone["(SS)2D rotation"]
        == method_styles(["(SS)2D, rotation"])["(SS)2D, rotation"]
    )
    both = method_styles(["(SS)2D", "(SS)2D rotation"])
    assert both["(SS)2D"] != both["(SS)2D rotation"]


def test_more_methods_than_styles() -> None:
    assert len(method_styles(f"method {at}" for at in range(40))) == 40


def test_colors_stand_out_on_white_and_on_dark() -> None:
    def light(color: str) -> float:
        parts = np.array([int(color[at : at + 2], 16) for at in (1, 3, 5)]) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ (0.2126, 0.7152, 0.0722))

    for name, style in method_styles([*_METHODS, "1", "2", "3", "4"]).items():
        assert 1.05 / (light(style.color) + 0.05) >= 3, name
        assert (light(style.color) + 0.05) / (light("#12161c") + 0.05) >= 3, name


def test_labels_cover_neither_each_other_nor_lines() -> None:
    from vpr_aesvc.evaluation.figures.point_labels import PointLabel, place_labels
    from vpr_aesvc.evaluation.figures.style import canvas, look

    rng = np.random.default_rng(0)
    with look():
        figure, [axes] = canvas()
        line = [(float(x), float(y)) for x, y in zip(np.linspace(0, 1, 30), rng.random(30), strict=True)]
        axes.plot(*zip(*line, strict=True))
        place_labels(figure, axes, [PointLabel(x, y, "1024", "#000000") for x, y in line], [line])
        figure.draw_without_rendering()
        boxes = [text.get_window_extent() for text in axes.texts]
        drawn = axes.transData.transform(line)
        frame = axes.get_window_extent()
    assert 5 <= len(boxes) < 30
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
    assert not any(box.count_contains(drawn) for box in boxes)
    assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1 for box in boxes)


def test_tick_labels_keep_apart() -> None:
    from vpr_aesvc.evaluation.figures.style import spaced

    assert spaced([16, 32, 64, 128, 250, 256]) == ["16", "32", "64", "128", "", "256"]
    assert spaced([8, 192, 256, 768, 1024]) == ["8", "", "256", "", "1024"]
    assert spaced([64]) == ["64"]


@pytest.mark.parametrize("values", [(0.13, 1.2), (3.0,), (0.02, 900.0), (1.0, 1.01), (2e-4, 5e-4)])
def test_a_log_axis_has_a_few_plain_ticks(values: tuple[float, ...]) -> None:
    from vpr_aesvc.evaluation.figures.style import canvas, log_axis, look

    with look():
        _, [axes] = canvas()
        log_axis(axes, "time [ms]", values)
    low, high = axes.get_xlim()
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert 2 <= len(labels) <= 7
    assert all(low <= float(label) <= high for label in labels)


def test_intervals_step_aside_only_where_they_meet() -> None:
    from vpr_aesvc.evaluation.figures.size import _steps_aside

    bars = {("a", 8): (0.1, 0.2), ("b", 8): (0.15, 0.25), ("c", 8): (0.5, 0.6), ("a", 16): (0.1, 0.2)}
    aside = _steps_aside(["a", "b", "c"], [8, 16], bars)
    assert aside["c", 8] == aside["a", 16] == 0
    assert aside["a", 8] == -aside["b", 8] < 0
