"""The repository as a user builds it: cloned into the empty ``src`` of a workspace, and in ``ros2_ws``."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not sourced")

from ament_index_python.packages import get_package_prefix

from tests.pages import ROOT

COLCON = [sys.executable, "-m", "colcon", "--log-base", "log"]
MANIFESTS = ["package.xml", "ros2_ws/src/vpr_aesvc_msgs/package.xml"]
CMAKE = ["CMakeLists.txt", "ros2_ws/src/vpr_aesvc_msgs/CMakeLists.txt"]


@pytest.fixture
def clone(tmp_path):
    """A workspace with nothing but a clone in ``src``; changes that are not committed yet are in it."""
    if find_spec("colcon_core") is None:
        pytest.skip("colcon is not installed")
    source = tmp_path / "src" / "vpr_aesvc"
    git = ["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT)]
    files = subprocess.run([*git, "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True)
    if files.returncode:
        pytest.skip(f"not a git repository: {files.stderr.strip()}")
    for name in files.stdout.splitlines():
        if (ROOT / name).exists():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name, follow_symlinks=False)
    return tmp_path


def run(script, folder):
    """Output of a shell script in an environment of its own, in which nothing but ROS is sourced."""
    setup = Path(get_package_prefix("rclpy")) / "setup.bash"
    kept = {
        name: os.environ[name] for name in ("HOME", "LANG", "ROS_DOMAIN_ID", "ROS_LOCALHOST_ONLY") if name in os.environ
    }
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    compilers = {f"CMAKE_{name}_COMPILER_LAUNCHER": "ccache" for name in ("C", "CXX") if shutil.which("ccache")}
    done = subprocess.run(
        ["bash", "-e", "-c", f"source {setup}\n{script}"],
        cwd=folder,
        env=kept | compilers | {"PATH": path, "ROS_LOG_DIR": str(folder / "log")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_a_clone_in_an_empty_workspace_gives_package_and_messages(clone):
    assert "vpr_aesvc_msgs: built here" in run(f"{' '.join(COLCON)} build --event-handlers console_direct+", clone)
    checks = """
        source install/setup.bash
        ros2 interface show vpr_aesvc_msgs/msg/PlaceMatches
        ros2 launch vpr_aesvc vpr.launch.py --show-args
        ros2 run vpr_aesvc vpr --version
        python3 -c 'import vpr_aesvc, vpr_aesvc_msgs.srv as srv; print(vpr_aesvc.__file__, srv.QueryPlace.__name__, srv.__file__)'
        timeout 60 install/vpr_aesvc/lib/vpr_aesvc/vpr_node & node=$!
        until ros2 node list --no-daemon --spin-time 1 | grep -q /vpr_node; do kill -0 $node; done
        kill $node
        wait $node
    """
    output = run(checks, clone)
    prefix = f"{clone}/install/vpr_aesvc/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
    assert f"{prefix}/vpr_aesvc/__init__.py QueryPlace {prefix}/vpr_aesvc_msgs/srv/__init__.py" in output
    assert "PlaceMatch[] candidates" in output and "'model':" in output
    # Built again with the result sourced: the messages of the earlier build are its own, not those of another package.
    again = (
        "source install/setup.bash\n"
        + f"{' '.join(COLCON)} build --cmake-force-configure --event-handlers console_direct+"
    )
    assert "vpr_aesvc_msgs: built here" in run(again, clone)


def test_the_workspace_of_the_repository_has_both_packages(clone):
    listed = run(f"{' '.join(COLCON)} list --topological-order --names-only", clone / "src" / "vpr_aesvc" / "ros2_ws")
    assert listed.split() == ["vpr_aesvc_msgs", "vpr_aesvc"]


@pytest.mark.parametrize(("linter", "files"), [("ament_lint_cmake", CMAKE), ("ament_xmllint", MANIFESTS)])
def test_ament_lint(linter, files):
    if not shutil.which(linter):
        pytest.skip(f"{linter} is not installed")
    done = subprocess.run([linter, *files], cwd=ROOT, capture_output=True, text=True)
    output = done.stdout + done.stderr
    if "Failed to locate the main schema" in output or "Could not find 'xmllint'" in output:
        pytest.skip("xmllint is not installed, or download.ros.org cannot be reached")
    assert done.returncode == 0, output
