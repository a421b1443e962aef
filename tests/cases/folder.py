"""Where the cases are: inputs as users reported them, each in a folder with a README that says what the right outcome is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.conftest import DATA

CASES = Path(os.environ.get("VPR_TEST_CASES", DATA.parent / "cases"))


def case(name: str) -> Path:
    """The folder of a case; the test is skipped where it is absent."""
    if not (CASES / name).is_dir():
        pytest.skip(f"the case is absent: {CASES / name} (set VPR_TEST_CASES)")
    return CASES / name
