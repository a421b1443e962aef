"""Entries for torch.hub: a model of `vpr train` or `vpr export` where other code expects a torch module, as gmberton/VPR-methods-evaluation does.

descriptor = torch.hub.load("FOLDER_OF_THIS_REPOSITORY", "descriptor", source="local", folder="model/", size=128)
"""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.append(
    str(Path(__file__).parent)
)  # torch.hub removes the folder after loading, and vpr_aesvc imports some parts later

from vpr_aesvc.describer import Describer
from vpr_aesvc.model import load_model
from vpr_aesvc.projections.artifact import prefix

dependencies = ["torch", "numpy", "cv2", "onnxruntime", "pydantic", "safetensors"]
_MEAN, _STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])  # of ImageNet


class _Descriptor(torch.nn.Module):
    def __init__(self, folder, size):
        super().__init__()
        self._describer, self._size = Describer.open(folder).of_size(None), size

    def forward(self, images):
        pixels = images.cpu() * _STD[:, None, None] + _MEAN[:, None, None]
        pixels = (255 * pixels).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
        descriptors = self._describer.describe_batch(list(pixels))
        return torch.from_numpy(np.ascontiguousarray(prefix(descriptors, self._size or descriptors.shape[1])))


class _Projection(torch.nn.Module):
    def __init__(self, folder, size):
        super().__init__()
        (_, self._projection), self._size = load_model(Path(folder)), size

    def forward(self, embeddings):
        descriptors = self._projection(embeddings.cpu().numpy())
        return torch.from_numpy(np.ascontiguousarray(prefix(descriptors, self._size or descriptors.shape[1])))


def descriptor(folder, size=None):
    """Images [B, 3, H, W], normalized as for ImageNet, of any size -> descriptors [B, size] of unit norm, on the CPU.

    ``folder``: a model of `vpr train` or `vpr export`. ``size``: a trained size; by default the full one. The images are returned to 8 bits and
    preprocessed as the model says, so do not resize them. Raises VprError: not a model folder, or its encoder is missing.
    """
    return _Descriptor(folder, size)


def projection(folder, size=None):
    """Embeddings [B, D] of another method -> descriptors [B, size] of unit norm, on the CPU: what follows that method in a ``torch.nn.Sequential``.

    ``folder``: a model of `vpr train INPUT --embeddings FILE`. Raises VprError: not a model folder.
    """
    return _Projection(folder, size)
