"""The ROS tests need a real ROS 2; without it they are skipped with the reason. They use DDS on loopback and their own domain."""

import os
import signal

import pytest

from tests import command
from tests.ros import processes

os.environ.setdefault("ROS_DOMAIN_ID", str(os.getpid() % 100 + 1))
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"  # ROS's own setup script says SUBNET
if os.environ.get("ROS_DISTRO") == "humble":  # it does not know the other; Jazzy warns about this one
    os.environ.setdefault("ROS_LOCALHOST_ONLY", "1")


def pytest_configure(config):
    if hasattr(config, "workerinput"):
        return  # a worker of pytest-xdist
    processes.mark_session()
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # programs inherit that a shell in the background ignores it
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a killed test session, too, ends what it started


@pytest.hookimpl(wrapper=True)
def pytest_pycollect_makemodule(module_path, parent):
    """launch_testing imports each file while pytest collects their folder: a file that skips itself would skip the folder."""
    try:
        return (yield)
    except pytest.skip.Exception:
        return pytest.Module.from_parent(parent, path=module_path)


def pytest_sessionfinish(session):
    """A process that a test leaves behind is a failure. `ros2 topic` and its like start a daemon: give them --no-daemon."""
    command.end_servers()
    if killed := processes.kill_left_over():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        print("\nFAILED: the tests left processes behind:", *killed, sep="\n  ")
