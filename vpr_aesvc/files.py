"""Atomic output: written under a temporary name in the same folder, then renamed. It is complete or absent."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError


def check_free(path: Path, what: str) -> None:
    """Checks an output path before a long run. Raises VprError: the path exists, or its folder does not exist or cannot be
    written."""
    with os_errors_named(path, what):
        if path.exists() or path.is_symlink():
            raise VprError(f"{path}: exists already; choose another name for the {what} or remove it first")
        if not path.absolute().parent.is_dir():
            raise VprError(f"{path}: the folder {path.absolute().parent} does not exist; create it first")
        with tempfile.TemporaryFile(dir=path.absolute().parent):
            pass


@contextmanager
def new_folder(path: Path, what: str) -> Iterator[Path]:
    """A temporary folder, renamed to ``path`` when the block succeeds and removed when it fails. Raises VprError: a write
    fails."""
    with os_errors_named(path, what):
        partial = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.absolute().parent))
        try:
            partial.chmod(0o755)  # mkdtemp makes folders that only their owner can read
            yield partial
            partial.rename(path)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def write_file(path: Path, content: bytes, what: str) -> None:
    """Writes or replaces a file. After a failure the previous content is unchanged. Raises VprError: a write fails."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with os_errors_named(path, what):
            with partial.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())  # else a power failure after the rename could leave an empty file
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an ``.npz``, by name. A damaged file raises exceptions of many kinds."""
    file = np.load(path, allow_pickle=False)
    if not isinstance(file, np.lib.npyio.NpzFile):
        raise VprError(f"{path}: is one array, not an .npz archive; call it .npy")
    with file:
        arrays = {name: np.asarray(file[name]) for name in file.files}
    for name, array in arrays.items():
        if array.dtype.kind == "U" and array.size and array.dtype.itemsize:
            codes = np.ascontiguousarray(array).view(np.dtype("u4").newbyteorder(array.dtype.byteorder))
            if codes.max() > sys.maxunicode:  # numpy would make broken Python strings
                raise ValueError(f"{name} holds no text")
    return arrays


@contextmanager
def os_errors_named(path: Path, what: str) -> Iterator[None]:
    """Raises an OSError of the block as VprError, which says what cannot be written."""
    try:
        yield
    except OSError as error:
        raise VprError(f"{path}: the {what} cannot be written ({error.strerror or error})") from error
