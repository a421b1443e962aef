"""foxglove/vpr.json names the topics that the node and `vpr replay` write. Foxglove itself was not at hand."""

import json
import re
from pathlib import Path

from vpr_aesvc.replay.bag_writer import DIAGNOSTICS_TOPIC, IMAGE_TOPIC, POSE_TOPIC

ROOT = Path(__file__).parents[1]
LAYOUT = json.loads((ROOT / "foxglove" / "vpr.json").read_text())
OTHERS = {"/diagnostics", "/initialpose", "/map"}


def panels(layout):
    if isinstance(layout, str):
        return {layout}
    return panels(layout["first"]) | panels(layout["second"])


def test_every_panel_is_placed_and_configured():
    tabs = LAYOUT["configById"][LAYOUT["layout"]]["tabs"]
    placed = set().union(*(panels(tab["layout"]) for tab in tabs))
    assert placed | {LAYOUT["layout"]} == set(LAYOUT["configById"])


def test_topics_are_those_of_the_node_and_of_replay():
    text = json.dumps(LAYOUT)
    used = set(re.findall(r'"(/[a-z_/]+)[."\[]', text))
    replay = {POSE_TOPIC, DIAGNOSTICS_TOPIC, IMAGE_TOPIC}
    source = "\n".join(path.read_text() for path in (ROOT / "vpr_aesvc" / "ros").glob("*.py"))
    node = {f"/vpr_node/{name}" for name in re.findall(r'"~/([a-z_/]+)"', source)}
    assert replay < used and used - replay - OTHERS <= node, used - replay - OTHERS - node


def test_plotted_fields_are_in_the_messages():
    message = (ROOT / "ros2_ws/src/vpr_aesvc_msgs/msg/PlaceMatches.msg").read_text()
    fields = set(re.findall(r"/vpr_node/matches\.([a-z_]+)", json.dumps(LAYOUT)))
    assert fields and all(re.search(rf"^\S+ {field}\b", message, re.M) for field in fields), fields
