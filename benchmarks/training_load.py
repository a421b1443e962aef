"""`vpr train` alone and beside two busy processes, in turn; prints medians and their ratio.

    python benchmarks/training_load.py IMAGES --backbone SPEC [--images 200] [--runs 3]

The processes spin on as many cores as they get. Without a bound on its threads, training waits there for threads that cannot run.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from vpr_aesvc.inputs import open_input
from vpr_aesvc.runtime import default_threads

VPR = [sys.executable, "-c", "from vpr_aesvc.cli.main import main; main()"]
SPIN = [sys.executable, "-c", "while True: pass"]
BUSY = 2


def train(images: Path, backbone: str, output: Path) -> float:
    start = time.perf_counter()
    done = subprocess.run(
        [*VPR, "train", str(images), "-o", str(output), "--backbone", backbone],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(done.stderr)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", type=Path)
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    frames = list(open_input(options.input).split("database"))[: options.images]
    alone, beside = [], []
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "images"
        images.mkdir()
        for number, frame in enumerate(frames):
            if frame.path is not None:
                (images / f"{number:04d}{frame.path.suffix}").symlink_to(frame.path.resolve())
        for run in range(options.runs):
            alone.append(train(images, options.backbone, Path(folder) / f"alone{run}"))
            busy = [subprocess.Popen(SPIN) for _ in range(BUSY)]
            try:
                beside.append(train(images, options.backbone, Path(folder) / f"busy{run}"))
            finally:
                for process in busy:
                    process.kill()
    medians = statistics.median(alone), statistics.median(beside)
    print(f"vpr train, {len(frames)} images, {options.backbone}, {default_threads()} cores, median of {options.runs}")
    print(
        f"alone {medians[0]:.1f} s, beside {BUSY} busy processes {medians[1]:.1f} s: {medians[1] / medians[0]:.2f} times"
    )


if __name__ == "__main__":
    main()
