"""Output that is there whole or not at all: written beside its final name, then renamed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vpr_aesvc.errors import VprError


def check_free(path: Path, what: str) -> None:
    """Refuses an output path that exists, or whose folder does not or cannot be written: before a long run, not after it.

    Raises:
        VprError: so.
    """
    try:
        if path.exists() or path.is_symlink():
            raise VprError(f"{path}: exists already; choose another name for the {what} or remove it first")
        if not path.absolute().parent.is_dir():
            raise VprError(f"{path}: the folder {path.absolute().parent} does not exist")
        with tempfile.TemporaryFile(dir=path.absolute().parent):
            pass
    except OSError as error:
        raise VprError(f"{path}: the {what} cannot be written ({error.strerror or error})") from error


@contextmanager
def new_folder(path: Path, what: str) -> Iterator[Path]:
    """A folder to fill, which gets the name ``path`` when the block ends well and disappears when it does not.

    Raises:
        VprError: the disk refuses.
    """
    try:
        partial = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.absolute().parent))
        try:
            partial.chmod(0o755)  # mkdtemp makes folders that only their owner can read
            yield partial
            partial.rename(path)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise VprError(f"{path}: the {what} cannot be written ({error.strerror or error})") from error


def write_file(path: Path, content: bytes, what: str) -> None:
    """Writes or replaces a file; a failure leaves what was there.

    Raises:
        VprError: the disk refuses.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # else a power cut after the rename could leave an empty file under the final name
        partial.replace(path)
    except OSError as error:
        raise VprError(f"{path}: the {what} cannot be written ({error.strerror or error})") from error
    finally:
        partial.unlink(missing_ok=True)
