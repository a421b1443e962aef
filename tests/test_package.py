"""What says the same thing in several files says it alike: version, maintainer, addresses, dependencies."""

import re
from xml.etree import ElementTree

from tests.pages import ROOT
from vpr_aesvc import __version__

MANIFESTS = [ROOT / "package.xml", ROOT / "ros2_ws" / "src" / "vpr_aesvc_msgs" / "package.xml"]
PROJECT = (ROOT / "pyproject.toml").read_text()
KEYS = {  # dependency in pyproject.toml -> rosdep key
    "faiss-cpu": "python3-faiss",
    "numpy": "python3-numpy",
    "onnxruntime": "python3-onnxruntime-pip",
    "opencv-python-headless": "python3-opencv",
    "pydantic": "python3-pydantic",
    "pymap3d": "python3-pymap3d",
    "rich": "python3-rich",
    "rosbags": "python3-rosbags-pip",
    "utm": "python-utm-pip",
}


def test_one_version_everywhere():
    versions = [re.search(r'^version = "(.*)"$', PROJECT, re.MULTILINE)[1]]
    versions += [ElementTree.parse(path).findtext("version") for path in MANIFESTS]
    versions.append(re.search(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)[1])
    versions += [
        re.search(r"^(\d+\.\d+\.\d+) \(", (path.parent / "CHANGELOG.rst").read_text(), re.MULTILINE)[1]
        for path in MANIFESTS
    ]
    assert set(versions) == {__version__}


def test_both_packages_name_the_same_maintainer_and_addresses():
    said = [
        [
            (item.tag, item.attrib, item.text)
            for tag in ("maintainer", "license", "url")
            for item in ElementTree.parse(path).iter(tag)
        ]
        for path in MANIFESTS
    ]
    assert said[0] == said[1] and len(said[0]) == 5


def test_every_dependency_has_a_rosdep_key_or_is_named_as_one_without():
    requirements = re.search(r"^dependencies = \[\n(.*?)^\]", PROJECT, re.MULTILINE | re.DOTALL)[1]
    names = set(re.findall(r'"([\w-]+)>', requirements))
    manifest = MANIFESTS[0].read_text()
    without = set(re.search(r"Without a rosdep key: ([^.]*)\.", manifest)[1].split(", "))
    assert names == set(KEYS) | without
    listed = {item.text for item in ElementTree.parse(MANIFESTS[0]).iter("exec_depend")}
    assert set(KEYS.values()) <= listed


def test_what_the_node_and_the_launch_files_import_is_declared():
    listed = {
        item.text
        for item in ElementTree.parse(MANIFESTS[0]).iter()
        if item.tag in ("depend", "exec_depend", "group_depend")
    }
    files = [*(ROOT / "vpr_aesvc" / "ros").glob("*.py"), *(ROOT / "launch").glob("*.py")]
    imported = {
        name for file in files for name in re.findall(r"^ *(?:from|import) (\w+)", file.read_text(), re.MULTILINE)
    }
    of_ros = {
        name for name in imported if re.search(r"(_msgs|_interfaces|_srvs)$|^(ament|bond|launch|rclpy|tf2)", name)
    }
    assert {"bond", "launch_ros", "rclpy", "tf2_ros"} <= of_ros
    packages = {"tf2_ros": "tf2_ros_py", "vpr_aesvc_msgs": "vpr_aesvc_interfaces"}
    optional = {"rtabmap_msgs"}  # of a bridge that says what to install
    assert {packages.get(name, name) for name in of_ros} - optional <= listed


def test_constraints_of_each_target_name_every_dependency():
    requirements = re.search(r"^dependencies = \[\n(.*?)^\]", PROJECT, re.MULTILINE | re.DOTALL)[1]
    least = dict(re.findall(r'"([\w-]+)>=([\d.]+)', requirements))
    files = sorted((ROOT / "docker" / "constraints").glob("*.txt"))
    assert {file.stem for file in files} == {"humble", "jazzy", "jetson", "raspberrypi5"}
    for file in files:
        pinned = dict(re.findall(r"^([\w.-]+)==([\d.]+)$", file.read_text(), re.MULTILINE))
        elsewhere = {"onnxruntime"} if file.stem == "jetson" else set()
        elsewhere |= set() if file.stem in ("humble", "jetson") else {"tomli"}  # for Python 3.10
        assert set(least) - {name.replace("_", "-") for name in pinned} == elsewhere, file
        for name in set(least) - elsewhere:
            assert [int(n) for n in pinned[name].split(".")] >= [int(n) for n in least[name].split(".")], (file, name)
