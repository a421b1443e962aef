"""The `vpr` command as a process, for tests."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from functools import cache
from pathlib import Path

VPR = [sys.executable, "-c", "from vpr_aesvc.cli.main import main; main()"]
_ROOT = Path(__file__).parents[1]
_SECONDS = 900
_one_at_a_time = threading.Lock()


def _environment():
    left_out = ("PYTEST_CURRENT_TEST",)
    return {
        **{name: value for name, value in os.environ.items() if name not in left_out},
        "COLUMNS": "200",
        "NO_COLOR": "1",
    }


@cache
def _server():
    """``command_server`` and the environment that it has."""
    environment = _environment()
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.command_server"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=_ROOT,
        env=environment,
    )
    return server, environment


def vpr(*words, cwd=None):
    """The command has ended; its output is read."""
    words = list(map(str, words))
    server, environment = _server()
    if environment != _environment():  # libraries read it when they are imported
        return subprocess.run(
            [*VPR, *words], capture_output=True, text=True, check=False, cwd=cwd, env=_environment(), timeout=_SECONDS
        )
    with _one_at_a_time, tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        out.touch(), err.touch()
        given = {"words": words, "cwd": str(cwd or Path.cwd()), "out": str(out), "err": str(err)}
        print(json.dumps(given), file=server.stdin, flush=True)
        process = int(server.stdout.readline())
        alarm = threading.Timer(_SECONDS, os.kill, (process, signal.SIGKILL))
        alarm.start()
        code = int(server.stdout.readline())
        alarm.cancel()
        return subprocess.CompletedProcess(words, code, out.read_text(), err.read_text())


def refused(done, words, code=1):
    """Exit code, exactly one line that starts with `error:`, and no traceback."""
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(errors) == 1 and words in errors[0], done.stderr
