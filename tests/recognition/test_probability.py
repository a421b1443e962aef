"""One number to act on: the probability of a match agrees with the decision, and frames from elsewhere get little."""

import numpy as np

from tests.recognition.laps import new_map
from vpr_aesvc import Recognizer, open_input


def answers(recognizer, frames, descriptors=None):
    recognizer.reset()
    rows = [None] * len(frames) if descriptors is None else descriptors
    return [recognizer.recognize(frame, descriptor=row) for frame, row in zip(frames, rows, strict=True)]


def test_the_probability_agrees_with_the_decision_and_frames_from_elsewhere_get_little(
    described, tmp_path, other_streets
):
    """Laps 2 and 3 of a corridor in the map of lap 1; streets, noise and a black picture in it."""
    describer, frames, descriptors = described
    first = sum(frame.split == "database" for frame in frames)
    random = np.random.default_rng(0)
    with new_map(tmp_path / "lap.vprmap", describer, frames[:first], descriptors[:first]) as place_map:
        recognizer = Recognizer(place_map, describer)
        recognizer.prepare()
        known = answers(recognizer, frames[first:], descriptors[first:])
        elsewhere = answers(recognizer, list(open_input(other_streets).frames))
        noise = [random.integers(0, 256, (384, 512, 3), dtype=np.uint8) for _ in range(5)]
        made = [*noise, np.zeros((384, 512, 3), np.uint8), np.full((384, 512, 3), 180, np.uint8)]
        nothing = [answers(recognizer, [image])[0] for image in made]
    accepted = [one.probability for one in known if one.accepted]
    refused = [one.probability for one in [*known, *elsewhere, *nothing] if not one.accepted]
    assert len(accepted) > 0.65 * len(known)
    pairs = np.array(refused)[None] > np.array(accepted)[:, None] + 0.1
    assert pairs.mean() < 0.02
    assert np.mean(accepted) > 0.85 and np.mean([one.probability for one in elsewhere]) < 0.2
    assert max(one.probability for one in nothing) <= 0.2
    assert not any(one.accepted for one in [*elsewhere, *nothing])
