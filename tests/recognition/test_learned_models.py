"""Models that are learned from a map and stored in it."""

import subprocess
import sys

import numpy as np
import pytest

from tests.recognition.laps import new_map
from vpr_aesvc import Recognizer, VprError
from vpr_aesvc.recognition.settings import RecognizerSettings

_PROGRAM = """
import numpy as np
from vpr_aesvc.recognition.geometry.local_features import detect_keypoints
from vpr_aesvc.recognition.learned_models import start_in_background
noise = np.random.default_rng(0).integers(0, 255, (240, 320, 3)).astype(np.uint8)
detect_keypoints(noise)
start_in_background(lambda: {"count": [detect_keypoints(noise) for _ in range(50)]})
"""


def test_a_program_that_ends_during_learning_ends_well():
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0 and done.stderr == ""


def test_stored_models_are_read_and_damaged_ones_are_refused(described, tmp_path):
    describer, frames, descriptors = described
    with new_map(tmp_path / "map.vprmap", describer, frames[:30], descriptors[:30]) as place_map:
        settings = RecognizerSettings(geometry=False)
        learned = Recognizer(place_map, describer, settings)
        learned.prepare()
        name = f"similarities/{describer.dim}"
        stored = place_map.learned_parameters(name)
        old = {  # as an older version stored them, with fields that are no longer used
            "null": {**stored["worth"]["null"], "knots": []},
            "evidence": {**stored["worth"]["evidence"], "center": 0.0, "spread": 0.1},
        }
        place_map.store_learned_parameters(name, {**stored, "worth": old})
        read = Recognizer(place_map, describer, settings)
        read.prepare()
        assert read.learned.null == learned.learned.null and read.learned.likelihood == learned.learned.likelihood
        assert np.isfinite(read.learned.likelihood.sharpness)
        for key, value, words in (
            ("evidence", {**old["evidence"], "sharpness": "much"}, "similarity likelihood is damaged"),
            ("evidence", {"sharpness": 1.0}, "similarity likelihood is damaged"),
            ("null", {}, "null model is damaged"),
        ):
            place_map.store_learned_parameters(name, {**stored, "worth": {**old, key: value}})
            with pytest.raises(VprError, match=words):
                Recognizer(place_map, describer, settings).prepare()
