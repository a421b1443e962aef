"""Readers that do what no reader may do, so that a test sees that it is found."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.fuzz.campaign import HANG
from tests.fuzz.checks import Wrong
from tests.fuzz.readers import Reader
from vpr_aesvc.errors import VprError


def _write(folder: Path) -> None:
    (folder / "file").write_bytes(b"12")


def _raises(folder: Path) -> object:
    raise KeyError("an exception that is no VprError")


def _says_nothing(folder: Path) -> object:
    raise VprError(" ")


def _wrong(folder: Path) -> object:
    raise Wrong("nonsense")


def _crashes(folder: Path) -> object:
    os.abort()


def _hangs(folder: Path) -> object:
    time.sleep(60)
    return None


def _fills(folder: Path) -> object:
    return len(bytearray(b"1") * (1200 << 20))


BROKEN = {
    "raises": ("KeyError", Reader("raises", {"file": _write}, _raises, None, 1)),
    "says nothing": ("not one line", Reader("says nothing", {"file": _write}, _says_nothing, None, 1)),
    "wrong": ("wrong result: nonsense", Reader("wrong", {"file": _write}, _wrong, None, 1)),
    "crashes": ("the process ended with code", Reader("crashes", {"file": _write}, _crashes, None, 1)),
    "hangs": (HANG, Reader("hangs", {"file": _write}, _hangs, None, 1)),
    "fills": ("GB of memory", Reader("fills", {"file": _write}, _fills, None, 1)),
}
