"""Output that nobody reads, that cannot be written, or that the terminal cannot show: never a traceback."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.command import VPR


def shell(command, *words, **environment):
    """Runs ``command`` in bash, where ``"$@"`` is the vpr command with ``words``. A pipe fails if any part of it fails."""
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}", "bash", *VPR, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NO_COLOR": "1", **environment},
        timeout=300,
    )


@pytest.mark.parametrize("words", [("map", "info", "MAP"), ("query", "MAP", "INPUT", "--json"), ("--help",)])
def test_a_reader_that_stops_is_no_error(drawn, drawn_map, words):
    words = [{"MAP": drawn_map, "INPUT": drawn}.get(word, word) for word in words]
    for reader in ("head -c 0", "head -n 1"):
        done = shell(f'"$@" | {reader}', *words)
        assert done.returncode == 0 and "Traceback" not in done.stderr and "error" not in done.stderr, done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_one_line(drawn, drawn_map):
    for words in (("map", "info", drawn_map), ("query", drawn_map, drawn, "--json"), ("--help",)):
        done = shell('"$@" > /dev/full', *words)
        errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
        assert done.returncode == 1 and "Traceback" not in done.stderr
        assert errors == ["error: standard output cannot be written (No space left on device)"]


def test_closed_streams(drawn_map):
    for streams in (">&-", "2>&-", ">&- 2>&-"):
        done = shell(f'"$@" {streams}', "map", "info", drawn_map)
        assert done.returncode == 0 and "Traceback" not in done.stderr, streams
    assert shell('"$@" 2>&-', "map", "info", "no.vprmap").returncode == 1


def test_a_terminal_that_is_not_utf8(drawn, drawn_map, drawn_model, tmp_path):
    place_map = shutil.copy(drawn_map, tmp_path / "straße.vprmap")
    ascii_only = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"}
    for words in (("map", "info", place_map), ("query", place_map, drawn, "--top", "2"), ("map", "build", "-h")):
        done = shell('"$@"', *words, **ascii_only)
        assert done.returncode == 0 and "Traceback" not in done.stderr and done.stdout, done.stderr
    done = shell('"$@"', "map", "info", tmp_path / "größe.vprmap", **ascii_only)
    assert done.returncode == 1 and "no such map" in done.stderr and "Traceback" not in done.stderr
