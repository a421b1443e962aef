"""What a robot needs: the memory of a process that answers queries, and the time of `import vpr_aesvc`.

    python benchmarks/memory.py MODEL --images FOLDER [--places 10000] [--queries 50] [--json FILE]

MODEL should be a robot model (`vpr export`). The map has --places places with the images' descriptors, repeated with added noise. A new
process opens the model and the map and answers queries; its resident and peak memory are read from the system. The import time is the
median of ten new interpreters.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from vpr_aesvc.describer import Describer
from vpr_aesvc.images import read_image
from vpr_aesvc.inputs import open_input
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.projections.artifact import unit
from vpr_aesvc.types import Frame

_NOISE = 0.3  # norm of the noise added to a unit descriptor; two visits of one place differ more
_IMAGES = 200
_ROBOT = """
import sys, time
start = time.perf_counter()
from vpr_aesvc import Describer, PlaceMap, read_image
describer = Describer.open(sys.argv[1])
describer.warm_up()
with PlaceMap.open(sys.argv[2], describer) as place_map:
    ready = 0.0
    for path in sys.argv[3:]:
        assert place_map.search(describer.describe(read_image(path)))
        ready = ready or time.perf_counter() - start
words = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
print(*(int(words[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM")), ready)
print(*sorted({"torch", "transformers"} & set(sys.modules)))
"""
_IMPORT = "import time; start = time.perf_counter(); import vpr_aesvc; print(time.perf_counter() - start)"


def make_map(path: Path, describer: Describer, frames: list[Frame], places: int) -> None:
    """A map of ``places`` places with descriptors near real ones."""
    random = np.random.default_rng(0)
    rows = describer.describe_batch([read_image(frame.path) for frame in frames if frame.path])
    with PlaceMap.create(path, describer) as place_map:
        for start in range(0, places, 1000):
            chosen = rows[(start + np.arange(min(1000, places - start))) % len(rows)]
            noise = unit(random.standard_normal(chosen.shape).astype(np.float32))
            labels = [Frame(label=f"{start + at}") for at in range(len(chosen))]
            place_map.add(labels, unit(chosen + _NOISE * noise))


def import_seconds() -> float:
    """Of ``import vpr_aesvc`` in a new interpreter, the median of ten."""
    runs = [
        subprocess.run([sys.executable, "-c", _IMPORT], capture_output=True, text=True, check=True) for _ in range(10)
    ]
    return float(np.median([float(run.stdout) for run in runs]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--places", type=int, default=10_000)
    parser.add_argument("--queries", type=int, default=50)
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    args = parser.parse_args()
    frames = open_input(args.images).frames
    frames = [frames[int(at)] for at in np.linspace(0, len(frames) - 1, min(_IMAGES, len(frames)))]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "places.vprmap"
        make_map(path, Describer.open(args.model), frames, args.places)
        queries = [str(frame.path) for frame in frames[: args.queries]]
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", _ROBOT, str(args.model), str(path), *queries],
            capture_output=True,
            text=True,
            check=True,
        )
        process = time.perf_counter() - start
    numbers, modules = done.stdout.splitlines()
    resident, peak, first = map(float, numbers.split())
    results = {
        "places": args.places, "resident MB": resident, "peak MB": peak, "first answer s": first, "process s": process,
        "import s": import_seconds(), "training modules": modules,
    }  # fmt: skip
    print(f"{args.places} places, {len(queries)} queries: {resident:.0f} MB resident, {peak:.0f} MB peak")
    print(f"first answer {first:.2f} s after the start of the program: import, model, warm-up and map")
    print(f"import vpr_aesvc: {results['import s']:.3f} s; torch or transformers imported: {modules or 'no'}")
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
