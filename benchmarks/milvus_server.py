"""A real Milvus for tests and benchmarks: `pip install milvus==2.3.5 pymilvus`, on x86-64.

Its files are in a temporary folder. It is killed at the end, since it takes more than a minute to end by itself.
"""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
from pathlib import Path


def missing() -> str | None:
    """Why no server can be started here; None if one can."""
    for module in ("milvus", "pymilvus"):
        if importlib.util.find_spec(module) is None:
            return f"{module} is not installed (pip install milvus==2.3.5 pymilvus)"
    return None


class MilvusServer:
    """Starts Milvus on free ports of 127.0.0.1; a context manager that stops it and removes its files.

    Attributes:
        address: ``milvus://127.0.0.1:PORT``.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="vpr-milvus-"))

    def __enter__(self) -> MilvusServer:
        from milvus import MilvusServer as Wrapper

        self._server = Wrapper()
        self._server.set_base_dir(str(self.folder))
        try:
            self._server.start()
        except BaseException:
            self.__exit__()
            raise
        self.address = f"milvus://127.0.0.1:{self._server.listen_port}"
        return self

    def signal(self, number: int) -> None:
        self._server.server_proc.send_signal(number)

    def stop(self) -> None:
        process = self._server.server_proc
        if process is not None:
            process.kill()
            process.wait()
        self._server.stop()

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
