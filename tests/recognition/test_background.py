"""Learning beside the frames: the program may end at any time."""

import subprocess
import sys

_PROGRAM = """
import numpy as np
from vpr_aesvc.recognition.background import Background
from vpr_aesvc.recognition.geometry.local_features import detect_keypoints
noise = np.random.default_rng(0).integers(0, 255, (240, 320, 3)).astype(np.uint8)
detect_keypoints(noise)
Background().begin(lambda: [detect_keypoints(noise) for _ in range(50)])
"""


def test_a_program_that_ends_while_something_is_learned_ends_well():
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0 and done.stderr == ""
