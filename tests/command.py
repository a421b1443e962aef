"""The `vpr` command as a process, for tests."""

import atexit
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
_servers: list[subprocess.Popen[str]] = []


def _environment(columns):
    given = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    return {**given, "COLUMNS": str(columns), "NO_COLOR": "1"}


@cache
def _server(columns):
    """``command_server`` and the environment that it has."""
    environment, command = _environment(columns), [sys.executable, "-m", "tests.command_server"]
    pipe = subprocess.PIPE
    server = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=_ROOT, env=environment)
    atexit.register(end_servers)
    _servers.append(server)
    return server, environment


def end_servers():
    """They end when nobody can ask them any more; their next command needs new ones."""
    _server.cache_clear()
    while _servers:
        _servers.pop().communicate()


def vpr(*words, cwd=None, columns=200):
    """The command has ended; its output is read."""
    words = list(map(str, words))
    server, environment = _server(columns)
    if environment != (now := _environment(columns)):  # libraries read it when they are imported
        return subprocess.run(
            [*VPR, *words], capture_output=True, text=True, check=False, cwd=cwd, env=now, timeout=_SECONDS
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
