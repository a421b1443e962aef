"""Help that teaches: every command and option explains itself, in 80 columns."""

import os
import re
import subprocess

import pytest
from cyclopts import App

import vpr_aesvc
from tests.command import VPR, vpr
from vpr_aesvc.cli.main import app


def commands(of: App, words: tuple[str, ...] = ()):
    """The words of every command below an app."""
    for name in of:
        if name.startswith("-"):
            continue
        found = of[name]
        if found.default_command is None:
            yield (*words, name)
            yield from commands(found, (*words, name))
        else:
            yield (*words, name)


COMMANDS = sorted(commands(app))


def text_of(*words):
    done = vpr(*words, columns=80)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_all_commands_are_found():
    names = {" ".join(words) for words in COMMANDS}
    assert {"train", "query", "eval", "replay", "export", "bench", "demo", "doctor", "map build", "bag info"} <= names


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_fits_80_columns_and_explains_every_option(words):
    text = text_of(*words, "-h")
    assert max(map(len, text.splitlines())) <= 80
    assert "None" not in text
    rows = re.findall(r"^│ (.*) │$", text, re.MULTILINE)
    for at, row in enumerate(rows):
        if re.match(r"(\* +)?(--?[a-z]|[A-Z]{2,})", row):
            following = rows[at + 1] if at + 1 < len(rows) else ""
            explained = re.search(r" {2,}\S", re.sub(r"^\* +", "", row).rstrip()) or following.startswith("  ")
            assert explained, f"{words}: {row}"


@pytest.mark.parametrize("words", [words for words in COMMANDS if words[0] not in ("doctor",)], ids=" ".join)
def test_commands_with_arguments_give_an_example(words):
    found = app[words[0]] if len(words) == 1 else app[words[0]][words[1]]
    if found.default_command is not None and found.default_command.__code__.co_posonlyargcount:
        assert "Example:" in text_of(*words, "--help") or "Examples:" in text_of(*words, "--help"), words


def test_without_arguments_help_is_shown():
    assert "vpr train" in text_of() and "build" in text_of("map")


def test_version():
    assert text_of("--version").strip() == vpr_aesvc.__version__


def test_completion_is_installed_for_the_shell(tmp_path):
    environment = {**os.environ, "HOME": str(tmp_path), "SHELL": "/bin/bash"}
    done = subprocess.run(
        [*VPR, "--install-completion"], capture_output=True, text=True, check=False, env=environment, timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert any("vpr" in path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file())


def test_a_misspelled_option_gets_a_hint():
    done = vpr("query", "map.vprmap", "images", "--topp", "3")
    assert done.returncode == 2 and "--top?" in done.stderr and "vpr query --help" in done.stderr
    assert len(done.stderr.splitlines()) == 1
