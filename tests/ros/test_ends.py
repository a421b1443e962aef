"""Signals at every moment of the node's life, once, twice, together: it always ends with exit code 0, and its map is intact.

``VPR_TEST_ENDS=300`` ends it 300 times.
"""

import os
import random
import re
import threading
import time
from collections import Counter
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from signal import SIGINT, SIGTERM

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not sourced")
pytest.importorskip("vpr_aesvc_msgs", reason="the ROS workspace is not built and sourced")

from tests.recordings.corridor import pose_at
from tests.ros import world
from tests.ros.patience import patience, wait_for
from tests.ros.processes import launch, vpr_node
from tests.ros.robot import Robot
from vpr_aesvc import read_image
from vpr_aesvc.placemap.repair import check_map

ENDS = int(os.environ.get("VPR_TEST_ENDS", "18"))
SIGNALS = [(SIGINT, SIGINT), (SIGINT, SIGTERM), (SIGTERM, SIGINT), (SIGINT,) * 5, (SIGTERM, SIGTERM)]
GAPS = [0.0, 0.0, 0.01, 0.05, 0.1, 0.3]  # seconds between two signals
# When the signals come; the number is the longest wait in seconds after it, the actual one is random.
MOMENTS = {
    "starting": 1.5,  # imports, configuration
    "configured": 0.0,
    "active": 1.0,
    "two writers": 1.0,
    "launch": 1.0,  # signals to `ros2 launch`, which sends SIGINT to the node
    "launch in a terminal": 1.0,  # Ctrl-C: SIGINT to the node too
}


@pytest.fixture(scope="module")
def driving():
    """A robot that drives and sends images all the time."""
    with closing(Robot()) as robot:
        images = [read_image(frame.path) for frame in world.corridor()[:40]]
        ending = threading.Event()

        def drive():
            number = 0
            while not ending.wait(0.05):
                number += 1
                stamp = time.time()
                robot.publish_odometry(stamp, pose_at(number))
                robot.publish_image(images[number % len(images)], stamp)

        thread = threading.Thread(target=drive)
        thread.start()
        yield robot
        ending.set()
        thread.join()


def has_handlers(process):
    """Whether the process is past the interpreter's start, the only moment when a signal has its default action."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) >> (SIGTERM - 1) & 1)
    return False


def code_of_launched(process):
    """Exit code of the node that `ros2 launch` has started. Launch itself, interrupted twice, may wait for its timers or never end."""
    node, states = int(re.search(r"started with pid \[(\d+)\]", process.output)[1]), []

    def has_ended():
        with suppress(OSError):  # launch has collected it
            states[:] = Path(f"/proc/{node}/stat").read_text().rsplit(")", 1)[1].split()
            return states[0] == "Z"
        return True

    wait_for(has_ended, what=lambda: f"the end of the node; {process.report()}")
    if states[:1] == ["Z"]:
        return os.waitstatus_to_exitcode(int(states[-1]))
    process.wait_for_output("[vpr_node-1]: process has ")
    return 0 if "[vpr_node-1]: process has finished cleanly" in process.output else "died"


def test_the_node_ends_cleanly_at_every_moment(driving, tmp_path):
    chance, ends, failed = random.Random(ENDS), Counter(), []
    for number in range(ENDS):
        moment = list(MOMENTS)[number % len(MOMENTS)]
        launched = moment.startswith("launch")
        # ros2 launch may lose the first of two signals that come at once: then it ignores both.
        signals = {"launch": (SIGINT,), "launch in a terminal": (SIGINT, SIGINT)}.get(moment) or chance.choice(SIGNALS)
        modes = ["mapping", "slam", "localization"]
        mode = chance.choice(modes[:2] if moment == "two writers" else modes)
        path = tmp_path / f"{number}.vprmap"
        path.write_bytes(world.lap_map().read_bytes())
        values = {"model": world.model(), "map": path, "mode": mode, "autostart": "true"}
        with ExitStack() as stack:
            start = launch if launched else vpr_node
            words = ["vpr.launch.py"] if launched else []
            nodes = [stack.enter_context(start(*words, **values)) for _ in range(1 + (moment == "two writers"))]
            for node in nodes:
                if moment == "starting":
                    wait_for(lambda node=node: has_handlers(node), what="the node's handlers")
                else:
                    node.wait_for_output(" places in ")
            delay, gap = chance.uniform(0.0, MOMENTS[moment]) * patience(), chance.choice(GAPS)
            time.sleep(delay)
            for one in signals:
                for node in nodes:
                    node.send(one, group=moment == "launch in a terminal")
                time.sleep(gap)
            for node in nodes:
                code = code_of_launched(node) if launched else node.wait()
                ends[moment, code] += 1
                if code or "Traceback" in node.output:
                    failed.append(
                        f"{moment}, {mode}, {signals}, after {delay:.2f} s, {gap} s apart: {code}\n{node.output}"
                    )
        assert not check_map(path).problems
    print(dict(ends))
    assert not failed, "\n".join(failed)
