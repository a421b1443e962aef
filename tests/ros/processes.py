"""Processes of the tests. Each has its own process group, which is killed at the end with everything that it started.

All processes of a test session, those of ``launch_testing`` too, carry its mark in their environment: so none is overlooked.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.ros.patience import TIMEOUT, wait_for

_MARK = "VPR_ROS_TEST_SESSION"


class Process:
    """A process, with ``with``. Its output and errors are in ``output``."""

    def __init__(self, *words: Any, **environment: str) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed by __exit__)
        self._process = subprocess.Popen(
            list(map(str, words)),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "PYTHONFAULTHANDLER": "1", **environment},
        )
        self.pid = self._process.pid

    @property
    def output(self) -> str:
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, 0).decode(errors="replace")  # keeps the position at which it writes

    @property
    def code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._process.poll()

    def send(self, *signals: signal.Signals, group: bool = False) -> None:
        """Sends signals to the process, or to its group, as a terminal does."""
        for number in signals:
            (os.killpg if group else os.kill)(self.pid, number)

    def wait(self, timeout: float = TIMEOUT) -> int:
        """The exit code, once the process has ended."""
        wait_for(lambda: self.code is not None, timeout, lambda: f"the end of {self._process.args}; {self.report()}")
        return self._process.returncode

    def wait_for_output(self, words: str, timeout: float = TIMEOUT, times: int = 1) -> None:
        """Waits until the output has these words."""

        def found() -> bool:
            ended = self.code is not None  # before the output is read
            if self.output.count(words) >= times:
                return True
            assert not ended, f"ended with {self.code} without {words!r}; output:\n{self.output}"
            return False

        wait_for(found, timeout, lambda: f"{words!r}; {self.report()}")

    def report(self) -> str:
        """Aborts the group; its output, with the Python stacks of what was still running."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGABRT)
        time.sleep(1.0)
        return f"output:\n{self.output}"

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self._log.close()


def run(*words: Any, timeout: float = 2 * TIMEOUT) -> tuple[int, str]:
    """Exit code and output of a command."""
    with Process(*words) as process:
        return process.wait(timeout), process.output


def launch(file: str, **arguments: Any) -> Process:
    """``ros2 launch`` of a launch file of the package; it is patient before it kills what it started."""
    words = [f"{name}:={value}" for name, value in {"sigterm_timeout": 15, **arguments}.items()]
    return Process("ros2", "launch", "vpr_aesvc", file, *words)


def vpr_node(*remappings: str, **parameters: Any) -> Process:
    """The node's executable. ``__`` in a parameter name stands for a dot."""
    from ament_index_python.packages import get_package_prefix

    words = [word for name, value in parameters.items() for word in ("-p", f"{name.replace('__', '.')}:={value}")]
    words += [word for remapping in (*remappings, "image:=/camera/image_raw") for word in ("-r", remapping)]
    return Process(Path(get_package_prefix("vpr_aesvc")) / "lib" / "vpr_aesvc" / "vpr_node", "--ros-args", *words)


@contextlib.contextmanager
def running_node(*remappings: str, says: str = "subscribed to", **parameters: Any) -> Iterator[Process]:
    """The node with the model and the map of the first lap, active unless ``autostart`` is False. ``says`` is waited for in its log."""
    from tests.ros import world

    values = {"model": world.model(), "map": world.lap_map(), "autostart": True, "diagnostics_period": 0.2} | parameters
    with vpr_node(*remappings, **values) as process:
        if values["autostart"]:
            process.wait_for_output(says)
        yield process


def mark_session() -> None:
    """Processes that are started from now on carry the mark of this one."""
    os.environ[_MARK] = str(os.getpid())


def left_over() -> dict[int, str]:
    """Command lines by process id: what carries the mark of this process and still runs."""
    mark, found = f"{_MARK}={os.getpid()}".encode(), {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if int(folder.name) != os.getpid() and mark in (folder / "environ").read_bytes().split(b"\0"):
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (OSError, ProcessLookupError):
            continue  # it has ended, or it is another user's
    return found


def kill_left_over() -> list[str]:
    """Waits for the end of processes that are ending, then kills the others; returns their command lines."""
    try:
        wait_for(lambda: not left_over(), 2.0)
    except TimeoutError:
        killed = left_over()
        for number in killed:
            os.kill(number, signal.SIGKILL)
        return list(killed.values())
    return []
