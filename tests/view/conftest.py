"""A served page, and a browser to look at it."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import urllib.request
from contextlib import contextmanager
from importlib.util import find_spec

import pytest

from tests.command import VPR

HOSTILE = "<img src=x onerror=hacked()>.jpg"
MOVED = 3  # the evening frame that is said to be elsewhere


@pytest.fixture(scope="session")
def run(drawn, tmp_path_factory):
    """The drawn route; one evening frame has a hostile name, and one has the position of another, so that its right match counts as wrong."""
    folder = tmp_path_factory.mktemp("view") / "evening & <b>rain"
    shutil.copytree(drawn, folder)
    rows = list(csv.DictReader((folder / "frames.csv").open()))
    queries = [row for row in rows if row["split"] == "query"]
    renamed = folder / "images" / HOSTILE
    (folder / queries[0]["path"]).rename(renamed)
    queries[0]["path"] = f"images/{HOSTILE}"
    queries[MOVED] |= {name: queries[-1][name] for name in ("easting", "northing")}
    with (folder / "frames.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


@contextmanager
def viewed(*words):
    """The address of a page that ``vpr view`` serves, as it prints it."""
    if find_spec("starlette") is None or find_spec("uvicorn") is None:
        pytest.skip("starlette and uvicorn are not installed")
    command = [*VPR, "view", *map(str, words), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "COLUMNS": "200"})
    try:
        line = process.stdout.readline()
        yield re.search(r"http://\S+/\S*", line)[0]
    finally:
        process.terminate()
        assert process.wait(20) == 143


@pytest.fixture(scope="session")
def address(run, drawn_map):
    with viewed(drawn_map, run, "--no-sequence", "--false-positive-rate", "0.2") as found:
        yield found


@pytest.fixture(scope="session")
def scene(address):
    with urllib.request.urlopen(f"{address}scene") as answer:
        return json.load(answer)


@pytest.fixture(scope="session")
def browser():
    """Chromium, headless."""
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no chromium on this machine")
    with playwright.sync_playwright() as one:
        started = one.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def open_page(browser):
    """Opens an address; afterwards no script failed and nothing was said on the console."""
    opened, said = [], []

    def open_one(address, width=1280, scheme="light"):
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, bypass_csp=False)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(address)
        page.wait_for_selector("body[data-ready]")
        page.wait_for_selector("#detail[data-shown]")
        opened.append(context)
        return page

    yield open_one
    for context in opened:
        context.close()
    assert not said
