import pytest

from tests.datasets.images import photo, written
from vpr_aesvc import open_backbone, open_input, train


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    paths = [written(folder / "in" / f"{seed}.jpg", photo(seed)) for seed in range(12)]
    train(open_input(paths[0].parent).frames, open_backbone("hog"), folder / "m", method="raw")
    return folder / "m"
