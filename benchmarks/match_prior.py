"""Makes the prior of the match model: what small maps take from other maps.

    python benchmarks/match_prior.py -m MODEL [-m MODEL] --of COLUMN INPUT [INPUT...] [-o match_prior.json]

Each INPUT, or each value of COLUMN in it, is a map of its own: database frames only. Runs are simulated in every map as recognition does
(`vpr_aesvc/recognition/simulated_runs.py`). The prior is the median over the maps of the mean exceedance in the tail, and the mean of the
coefficients of the probability, fitted to all maps together. How much it weighs (6 segments, 8 frames) is not learned: it is a choice.
No query is used. The command, the sets and the number of frames are written into the file.
"""

import argparse
import json
import re
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.recognition_variants import recording_order, write_map
from vpr_aesvc.describer import Describer
from vpr_aesvc.inputs import open_input
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.recognition.geometry.local_features import StoredKeypoints
from vpr_aesvc.recognition.learning import learn_similarities
from vpr_aesvc.recognition.map_snapshot import MapSnapshot
from vpr_aesvc.recognition.match_model import MatchModel
from vpr_aesvc.recognition.matching import CandidateMatcher
from vpr_aesvc.recognition.sequence.bayes_filter import SequenceSettings
from vpr_aesvc.recognition.sequence.likelihood import SimilarityLikelihood
from vpr_aesvc.recognition.settings import RecognizerSettings
from vpr_aesvc.recognition.simulated_runs import SimulatedAnswer, simulate_runs
from vpr_aesvc.types import Frame

_SEGMENTS, _FRAMES = 6.0, 8.0
_FEW = 20  # places: smaller maps are left out


def answers_of(frames: list[Frame], describer: Describer) -> list[SimulatedAnswer]:
    """The simulated answers in a map of the frames."""
    frames = [frames[at] for at in recording_order(frames)]
    rows = np.vstack([part for _, part, _ in describer.describe_frames(frames, [])])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "prior.vprmap"
        write_map(path, describer, frames, rows, with_images=True)
        with PlaceMap.open(path, describer) as place_map:
            snapshot = MapSnapshot(place_map, place_map.dim)
            snapshot.update()
            learned = learn_similarities(snapshot, lambda part: None)
            keypoints = StoredKeypoints(place_map)
            keypoints.ids = snapshot.ids
            matcher = CandidateMatcher(snapshot, RecognizerSettings(), keypoints, None, SequenceSettings().window)
            return list(simulate_runs(snapshot, matcher, SimilarityLikelihood(**learned["evidence"])))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", type=Path, nargs="+", metavar="INPUT")
    parser.add_argument("-m", "--model", type=Path, action="append", required=True)
    parser.add_argument("--of", default="", help="a column: each of its values is a map of its own")
    parser.add_argument("-o", "--output", type=Path, help="by default it is printed")
    args = parser.parse_args()
    scales: list[float] = []
    answers: list[SimulatedAnswer] = []
    maps = 0
    for model in args.model:
        describer = Describer.open(model)
        for path in args.inputs:
            frames = [frame for frame in open_input(path) if frame.split in (None, "database")]
            for value in sorted({frame.extra.get(args.of, "") for frame in frames}):
                part = [frame for frame in frames if frame.extra.get(args.of, "") == value]
                if len(part) < _FEW:
                    continue
                found = answers_of(part, describer)
                fitted = MatchModel.learn(found, _UNINFORMED)
                if fitted.segments > 1:
                    scales.append(fitted.scale / fitted.segments)
                answers += [one._replace(segment=maps * 1_000_000 + one.segment) for one in found]
                maps += 1
                print(
                    f"{path.name} {value}: {len(part)} places, {fitted.segments:.0f} segments",
                    file=sys.stderr,
                    flush=True,
                )
    together = MatchModel.learn(answers, _UNINFORMED)
    prior = {
        "source": f"{maps} maps cut from {', '.join(path.name for path in args.inputs)} with {len(args.model)} encoders; "
        f"{together.absent} absent and {together.present} present frames",
        "command": "python benchmarks/match_prior.py " + " ".join(("-m MODEL " * len(args.model)).split())
        + (f" --of {args.of}" if args.of else "") + " " + " ".join(path.name for path in args.inputs),
        "segments": _SEGMENTS,
        "scale": round(float(np.median(scales)), 2),
        "frames": _FRAMES,
        "curves": {name: np.round(getattr(together, name), 2).tolist() for name in ("with_sequence", "frame_alone")},
    }  # fmt: skip
    text = (
        re.sub(
            r"\[\s+(.*?)\s+\]",
            lambda found: "[" + re.sub(r"\s+", " ", found[1]) + "]",
            json.dumps(prior, indent=1),
            flags=re.DOTALL,
        )
        + "\n"
    )
    print(text)
    if args.output:
        args.output.write_text(text)


_UNINFORMED = {
    "segments": 1e-6,
    "scale": 1.0,
    "frames": 1e-3,
    "curves": {"with_sequence": [0, 0, 0], "frame_alone": [0, 0, 0]},
}

if __name__ == "__main__":
    main()
