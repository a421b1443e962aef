"""A robot's laps, described once."""

from dataclasses import replace

import pytest

from tests.recognition.laps import new_map, posed
from vpr_aesvc import Describer, open_backbone, open_input, read_image, train


@pytest.fixture(scope="session")
def described(loop_folder, encoder, tmp_path_factory):
    """A describer trained on lap 1, all 84 frames with their images, and their descriptors."""
    inputs = open_input(loop_folder)
    model = tmp_path_factory.mktemp("model") / "model"
    train(inputs.split("database").frames, open_backbone(str(encoder)), model, method="aesvc")
    describer = Describer.open(model)
    frames = [replace(frame, image=read_image(frame.path)) for frame in inputs.frames]
    return describer, frames, describer.describe_batch([frame.image for frame in frames])


@pytest.fixture(scope="session")
def lap(described, tmp_path_factory):
    """The file of a map of lap 1, with poses on a circle, and how many places it has."""
    describer, frames, descriptors = described
    first = sum(frame.split == "database" for frame in frames)
    path = tmp_path_factory.mktemp("map") / "lap.vprmap"
    with new_map(path, describer, [posed(frame) for frame in frames[:first]], descriptors[:first]):
        pass
    return path, first
