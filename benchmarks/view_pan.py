"""How smoothly the page of `vpr view` moves over a large map, in a browser without a GPU.

    python benchmarks/view_pan.py [--places 50000] [--seconds 4] [--window 1280 800]     # needs chromium, and: pip install playwright starlette uvicorn

The places lie in rows and all are in view. The mouse drags the map in circles. Frames a second are those that the browser draws meanwhile; `longest` is the time
between two of them; `processor` is the time of all processes of the browser for a frame.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import cos, sin
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

from vpr_aesvc import PlaceMap, Pose
from vpr_aesvc.types import Frame

META = {
    "dim": "64",
    "sizes": "[64]",
    "model_fingerprint": "0123456789abcdef",
    "model_family": "0123456789abcdef",
    "model_precision": "fp32",
    "model_path": "/a/model",
}
COUNT_FRAMES = """() => { window.drawn = []; const next = at => { window.drawn.push(at); requestAnimationFrame(next); }; requestAnimationFrame(next); }"""


def rows_of_places(path: Path, count: int) -> None:
    frames = [
        Frame(str(at), None, None, float(at), Pose(4.0 * (at % 250), 3.0 * (at // 250)), f"traverse {at // 2000}")
        for at in range(count)
    ]
    descriptors = np.random.default_rng(0).standard_normal((count, 64)).astype(np.float32)
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    with PlaceMap.create_like(path, META) as place_map:
        place_map.add_stored(frames, descriptors.astype(np.float16), [None] * count)


@contextmanager
def served(path: Path) -> Iterator[str]:
    command = [sys.executable, "-c", "from vpr_aesvc.cli.main import main; main()", "view", str(path), "--port", "0"]
    environment = {**os.environ, "COLUMNS": "200"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+/\S*", process.stdout.readline())
        assert found
        yield found[0]
    finally:
        process.terminate()
        process.wait(20)


def processor_seconds(browser: str) -> float:
    """Of all processes of the browser; those that ended are missing."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if browser in (stat.parent / "exe").readlink().name:
                words = stat.read_text().rsplit(")", 1)[1].split()
                total += int(words[11]) + int(words[12])
        except OSError:  # it has just ended
            continue
    return total / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--places", type=int, default=50_000)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--window", nargs=2, type=int, default=[1280, 800])
    options = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("chromium was not found")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "large.vprmap"
        rows_of_places(path, options.places)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        width, height = options.window
        with served(path) as address:
            page = browser.new_page(viewport={"width": width, "height": height})
            page.goto(address)
            page.wait_for_function("document.getElementById('summary').innerText.includes('places')")
            box = page.locator("#overlay").bounding_box()
            assert box is not None
            x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
            page.mouse.move(x, y)
            page.mouse.down()
            page.evaluate(COUNT_FRAMES)
            before, start = processor_seconds("chrom"), time.monotonic()
            while (now := time.monotonic() - start) < options.seconds:
                page.mouse.move(x + 60 * cos(3 * now), y + 60 * sin(3 * now))
            seconds = processor_seconds("chrom") - before
            drawn = np.array(page.evaluate("window.drawn"))
            page.mouse.up()
        browser.close()
    steps = np.diff(drawn)
    print(f"{options.places:,} places, {width} x {height}, {len(steps)} frames in {options.seconds:g} s")
    print(
        f"frames a second: {1000 * len(steps) / steps.sum():.1f}; longest {steps.max():.0f} ms, 95 % within {np.quantile(steps, 0.95):.0f} ms"
    )
    print(f"processor: {1000 * seconds / len(steps):.1f} ms a frame")


if __name__ == "__main__":
    main()
