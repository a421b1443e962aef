"""Five crops of each image, averaged: an embedding that changes less with the viewpoint, for five times the work."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.backbones import Backbone
from vpr_aesvc.fingerprint import fingerprint

_SIDE = 0.8  # of the image's
_CROPS = 5


class Crops:
    """Embeds the image and its four corners, each of 0.8 of the sides; the embedding is their mean."""

    def __init__(self, backbone: Backbone) -> None:
        self._backbone = backbone
        self.spec = f"{backbone.spec}{'&' if '?' in backbone.spec else '?'}crops={_CROPS}"
        self.dim = backbone.dim
        self.fingerprint = fingerprint("crops", f"{_SIDE} {backbone.fingerprint}")
        self.preprocessing = f"mean of the image and its four corners; each: {backbone.preprocessing}"
        self.provider = getattr(backbone, "provider", "cpu")

    def embed(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """As ``Backbone.embed``."""
        crops = [crop for image in images for crop in _crops(image)]
        rows = self._backbone.embed(crops)
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.float32(1e-12))
        return np.asarray(rows.reshape(len(images), _CROPS, self.dim).mean(1))


def _crops(image: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    height, width = (max(1, round(_SIDE * side)) for side in image.shape[:2])
    return [image, image[:height, :width], image[:height, -width:], image[-height:, :width], image[-height:, -width:]]
