"""``vpr live`` on a video that plays as a camera would: the corridor's later lap against the map of its first."""

import re

import cv2
import pytest

from tests.command import refused, vpr
from tests.recordings.corridor_bags import corridor_bags  # noqa: F401
from vpr_aesvc import read_image


@pytest.fixture(scope="module")
def film(corridor_bags, tmp_path_factory):  # noqa: F811
    """Twelve frames of the later lap, a quarter of a second each."""
    path = tmp_path_factory.mktemp("live") / "camera.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 4.0, (512, 384))
    for frame in corridor_bags.later_frames[:12]:
        writer.write(cv2.resize(read_image(frame.path), (512, 384))[:, :, ::-1])
    writer.release()
    return path


def test_a_line_for_each_place(corridor_bags, film):  # noqa: F811
    done = vpr("live", corridor_bags.map, "--camera", film)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert 3 <= len(lines) <= 12
    assert all(re.match(r"\d\d:\d\d:\d\d  (accepted|refused) +\d+ ms  \S", line) for line in lines)
    assert any("accepted" in line and "probability" in line for line in lines)


def test_cameras_that_cannot_be_used(corridor_bags, film, tmp_path):  # noqa: F811
    refused(vpr("live", corridor_bags.map, "--camera", "97"), "camera 97: cannot be opened; `ls")
    refused(vpr("live", corridor_bags.map, "--camera", tmp_path / "none.avi"), "cannot be opened; expected a stream")
    refused(vpr("live", tmp_path / "no.vprmap", "--camera", film), "no such map")
