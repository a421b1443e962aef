import pytest

from vpr_aesvc.backbones import open_backbone
from vpr_aesvc.training import train


@pytest.fixture(scope="module")
def trained(encoder, frames, tmp_path_factory):
    """A model of the test module's frames."""
    path = tmp_path_factory.mktemp("trained") / "model"
    train(frames, open_backbone(str(encoder)), path, method="aesvc")
    return path
