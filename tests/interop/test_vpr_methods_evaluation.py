"""gmberton/VPR-methods-evaluation: our models as modules of torch.hub, and its saved descriptors as embeddings."""

from pathlib import Path

import numpy as np
import pytest

from vpr_aesvc.backbones.given import read_embeddings
from vpr_aesvc.describer import Describer
from vpr_aesvc.errors import VprError
from vpr_aesvc.images import read_image
from vpr_aesvc.model import load_model
from vpr_aesvc.projections.artifact import prefix
from vpr_aesvc.types import Frame

torch = pytest.importorskip("torch")
ROOT = str(Path(__file__).parents[2])


def test_a_model_is_a_module_of_torch_hub(drawn, drawn_model):
    images = [read_image(path) for path in sorted(drawn.rglob("*.jpg"))[:3]]
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2) / 255  # as torchvision's ToTensor and Normalize
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    normalized = (pixels - mean[:, None, None]) / std[:, None, None]
    module = torch.hub.load(ROOT, "descriptor", source="local", folder=str(drawn_model), size=32).eval()
    expected = prefix(Describer.open(drawn_model).describe_batch(images), 32)
    assert np.allclose(module(normalized).numpy(), expected, atol=1e-6)


def test_a_projection_follows_another_method(drawn_model):
    module = torch.hub.load(ROOT, "projection", source="local", folder=str(drawn_model))
    _, projection = load_model(drawn_model)
    embeddings = torch.rand(5, projection.dim_in)
    both = torch.nn.Sequential(torch.nn.Identity(), module)
    assert np.allclose(both(embeddings).numpy(), projection(embeddings.numpy()), atol=1e-6)


def test_saved_descriptors_are_rows_in_the_order_of_the_paths(tmp_path):
    """The frames come in another order, as those of a set whose labels sort differently."""
    names = {"database": ["@1@2@b.jpg", "@1@2@a.jpg", "@0@9@.jpg"], "query": ["z/@5@5@.jpg", "a/@5@6@.jpg"]}
    frames = [
        Frame(label=f"{split}/{name}", path=Path("/set") / split / name, split=split)
        for split, some in names.items()
        for name in some
    ]
    np.save(tmp_path / "database_descriptors.npy", np.array([[0], [1], [2]], np.float32))
    np.save(tmp_path / "queries_descriptors.npy", np.array([[10], [11]], np.float32))
    found = read_embeddings(tmp_path, frames).look_up(frames)[:, 0]
    assert found.tolist() == [2, 1, 0, 11, 10]
    with pytest.raises(VprError, match=r"queries_descriptors\.npy: is \[2, 1\] for 1 images of this split"):
        read_embeddings(tmp_path, frames[:-1])
    np.save(tmp_path / "queries_descriptors.npy", np.zeros((2, 3), np.float32))
    with pytest.raises(VprError, match=r"is \[2, 3\] for 2 images"):
        read_embeddings(tmp_path, frames)
    (tmp_path / "queries_descriptors.npy").unlink()
    with pytest.raises(VprError, match=r"queries_descriptors\.npy: no such file"):
        read_embeddings(tmp_path, frames)
