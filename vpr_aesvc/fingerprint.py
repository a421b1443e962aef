"""Short content hashes: objects with the same fingerprint give the same numbers."""

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError


def fingerprint(*parts: str | bytes | Path | NDArray[np.generic]) -> str:
    """The first 16 hex digits of SHA-256 over the parts in order. A Path stands for the bytes of its file, an array for its dtype, shape
    and bytes. The length precedes each part, so different lists of parts cannot give the same bytes."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            inner = hashlib.sha256()
            with part.open("rb") as file:
                while block := file.read(1 << 20):
                    inner.update(block)
            data = inner.digest()
        elif isinstance(part, np.ndarray):
            data = f"{part.dtype.str}{part.shape}".encode() + np.ascontiguousarray(part).tobytes()
        else:
            data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.hexdigest()[:16]


def require_fingerprint(path: Path, found: str, expected: str | None) -> None:
    """Raises VprError if a file or folder has not the expected fingerprint; None expects nothing."""
    if expected not in (None, found):
        advice = f"it was changed or damaged; restore the original {'folder' if path.is_dir() else 'file'}"
        raise VprError(f"{path}: has fingerprint {found}, expected {expected}; {advice}")
