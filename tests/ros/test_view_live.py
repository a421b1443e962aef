"""``vpr view --live`` beside the real node: the page's content grows with what the node answers."""

import json
import re
import shutil
import signal
import time
import urllib.request
from contextlib import closing

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not sourced")
pytest.importorskip("vpr_aesvc_msgs", reason="the ROS workspace is not built and sourced")
pytest.importorskip("starlette", reason="starlette and uvicorn are not installed (extra: view)")

from tests.command import VPR, refused, vpr
from tests.ros.patience import patience, wait_for
from tests.ros.processes import Process, running_node
from tests.ros.robot import Robot
from vpr_aesvc import PlaceMap, open_input, read_image
from vpr_aesvc.describer import Describer
from vpr_aesvc.types import Frame


def test_the_page_follows_the_node(drawn, drawn_model, drawn_map, tmp_path):
    place_map, other = tmp_path / "street.vprmap", tmp_path / "other.vprmap"
    shutil.copy(drawn_map, place_map)
    with PlaceMap.open(place_map) as opened, PlaceMap.create(other, Describer.open(drawn_model)) as made:
        labels = [place.label for place in opened.places().values()]
        made.add([Frame(f"another {label}") for label in labels], opened.descriptors()[1].astype("f4"))
    refused(
        vpr("view", place_map, "--live", "--port", 0),
        "nobody publishes vpr_aesvc_msgs/msg/PlaceMatches: start and configure",
    )
    options = {"pose_source": "none", "publish_descriptors": True, "model": drawn_model, "map": place_map}
    frames = list(open_input(drawn).split("query"))[:3]
    words = [*VPR, "view", place_map, "--live", "--port", 0]
    with running_node(**options), closing(Robot()) as robot, Process(*words, COLUMNS="300") as viewer:
        viewer.wait_for_output("Ctrl-C ends it")
        with Process(*VPR, "view", other, "--live", "--port", 0, COLUMNS="300") as wrong:
            wrong.wait_for_output("Ctrl-C ends it")
            for topic in ("/camera/image_raw", "/vpr_node/matches", "/vpr_node/descriptor"):  # both, and node or robot
                wait_for(lambda topic=topic: robot.node.count_subscribers(topic) >= 3, what=topic)
            time.sleep(0.5 * patience())  # each publisher has to find both viewers, too
            for number, frame in enumerate(frames, 1):
                robot.publish_image(read_image(frame.path), time.time())
                robot.wait_for_matches(number)
            wrong.wait_for_output("/vpr_node: not shown: it answers with another map")
        address = re.search(r"http://\S+/", viewer.output)[0]

        def asked(path):
            with urllib.request.urlopen(f"{address}{path}") as answer:
                return answer.read()

        wait_for(lambda: json.loads(asked("runs/99"))[0]["frames"] == len(frames), what="the frames")
        (shown,) = json.loads(asked("runs/99"))
        for at, message in enumerate(robot.matches):
            detail, best = json.loads(asked(f"frame/0/{at}")), message.candidates[0]
            assert detail["why"] == message.why and shown["probability"][at] == round(message.probability, 4)
            assert (
                labels[shown["best"][at]] == best.label and detail["candidates"][0].get("inliers", -1) == best.inliers
            )
            assert (shown["verdict"][at] == "accepted") == message.accepted
            assert asked(f"frame/0/{at}.jpg")[:3] == b"\xff\xd8\xff"
            assert len(asked(f"frame/0/{at}/cosines")) == 4 * len(labels)
        viewer.send(signal.SIGINT)
        assert viewer.wait() == 0
