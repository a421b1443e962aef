"""What a robot would pay: the frames that are dropped, and a measured plan."""

import numpy as np
import pytest

from tests.command import refused, vpr
from vpr_aesvc.onboard.plan import STAGES, dropped_part, measure_plan


@pytest.mark.parametrize(("period", "part"), [(0.02, 0.0), (0.011, 0.0), (0.005, 0.5), (0.002, 0.8)])
def test_frames_that_come_faster_than_they_are_done_are_dropped(period, part):
    assert dropped_part(np.full(1000, 0.01), period) == pytest.approx(part, abs=0.01)


def test_a_slow_frame_drops_those_that_come_meanwhile():
    seconds = np.full(100, 0.01)
    seconds[50] = 0.1
    assert dropped_part(seconds, 0.1) == dropped_part(seconds, 0.06) == 0  # one frame may wait
    assert dropped_part(seconds, 0.02) == pytest.approx(0.035, abs=0.006)


def test_a_plan_is_measured(drawn_map, drawn_model):
    plan = measure_plan(drawn_model, drawn_map, hz=200)
    total = plan.milliseconds["total"]
    assert set(plan.milliseconds) == {*STAGES, "total"} and (total > 0).all()
    assert (sum(plan.milliseconds[stage] for stage in STAGES) <= total + 1e-6).all()
    assert plan.milliseconds["geometry"].min() > 0 and plan.milliseconds["describe"].min() > 0
    assert 0.4 / total.max() <= plan.highest_hz / 1000 <= 2 / total.min()
    assert plan.places == 40 and plan.disk >= drawn_map.stat().st_size and 0.06 < plan.kilometers < 0.08
    assert plan.verdict().startswith("yes" if not plan.dropped else "no")


def test_the_command(drawn_map, drawn_model):
    done = vpr("plan", drawn_model, drawn_map, "--hz", "50", "--cores", "1")
    assert done.returncode == 0, done.stderr
    assert "geometry" in done.stdout and "MB a kilometer" in done.stdout
    assert done.stdout.splitlines()[-1].startswith(("yes: 50 Hz", "no: at 50 Hz"))
    refused(vpr("plan", drawn_model, drawn_map, "--cores", "5000"), "--cores 5000: this machine gives")
