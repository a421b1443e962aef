"""Recognition in small maps: of frames of a few clips, asked with the other frames of the same clips.

    python benchmarks/recognition_small_maps.py INPUT -m MODEL [--clips NAME ...] [--places 30 60] [--elsewhere COLUMN] [--outside INPUT]

A map has so many places, spread evenly over the frames of the clips (sequences); without --clips over all frames. The queries are the other
frames. Outside are the frames of INPUT that differ from the clips in COLUMN (such as the other floors), and all frames of another INPUT.
`accepted` is the part of the queries with a right place whose match is accepted at the default rate, with all stages.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.recognition import Part, Task, answer
from benchmarks.recognition_variants import VARIANTS, write_map
from vpr_aesvc.datasets.positives import positives
from vpr_aesvc.describer import Describer
from vpr_aesvc.inputs import open_input
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.types import Frame


def frames_of(path: Path, seconds: bool) -> tuple[list[Frame], float | None]:
    """All frames, with their index as stamp if ``seconds``, and the tolerance of the input."""
    inputs = open_input(path)
    frames = [replace(frame, stamp=frame.index) if seconds else frame for frame in inputs]
    return frames, getattr(inputs, "tolerance", None)


def measure(everything: Part, outside: Part, count: int, describer: Describer, tolerance: float | None) -> str:
    """The line of a map of so many of the frames."""
    chosen = np.unique(np.linspace(0, len(everything.frames) - 1, count).astype(np.int64))
    others = np.setdiff1d(np.arange(len(everything.frames)), chosen)
    stored = [everything.frames[at] for at in chosen]
    queries = Part([everything.frames[at] for at in others], everything.descriptors[others])
    known = positives(queries.frames, stored, tolerance)
    if known is None:
        raise SystemExit("the frames have no positions, indices or categories, so right places are unknown")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "small.vprmap"
        write_map(path, describer, stored, everything.descriptors[chosen], with_images=True)
        task = Task(path, len(stored), queries, known, outside)
        answers, elsewhere = answer(task, describer, VARIANTS[-1], None)
    rate = RecognizerSettings().false_positive_rate
    accepted, has_place = answers.accepted(rate), known.counts > 0
    right = int((accepted & task.hits(answers)).sum())
    part = float(accepted[has_place].mean()) if has_place.any() else 0.0
    line = f"{len(stored):4} places: accepted {part:.2f} of {int(has_place.sum())} ({right} right of {int(accepted.sum())})"
    return f"{line}, outside {int(elsewhere.accepted(rate).sum())} of {len(outside.frames)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", type=Path)
    parser.add_argument("-m", "--model", type=Path, required=True)
    parser.add_argument("--clips", nargs="+", help="sequences that the map is made of")
    parser.add_argument("--places", type=int, nargs="+", default=[30])
    parser.add_argument("--elsewhere", metavar="COLUMN", help="frames that differ in it are outside")
    parser.add_argument("--outside", type=Path, help="an input whose frames are outside")
    parser.add_argument("--seconds", action="store_true", help="use the index of a frame as its stamp, in seconds")
    args = parser.parse_args()
    describer = Describer.open(args.model)
    frames, tolerance = frames_of(args.input, args.seconds)
    inside = [frame for frame in frames if not args.clips or frame.sequence in args.clips]
    outside = [] if args.outside is None else frames_of(args.outside, False)[0]
    if args.elsewhere:
        values = {frame.extra[args.elsewhere] for frame in inside}
        outside += [frame for frame in frames if frame.extra[args.elsewhere] not in values]
    parts = Part.of(inside, describer), Part.of(outside, describer)
    for count in args.places:
        print(measure(*parts, count, describer, tolerance), flush=True)


if __name__ == "__main__":
    main()
