"""The stored form of every projection: an affine map and, for trained projections, one hidden layer.

    y = (x / |x| - mean) @ linear  +  relu((x / |x| - mean) @ hidden_in + hidden_bias) @ hidden_out

Rotating the output of a projection gives a projection of the same form.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError

Array = NDArray[np.float32]
_LARGEST = 1e9  # of a weight: descriptors of larger ones overflow
_CHUNK = 8192  # rows projected at once: bounds the memory of the hidden layer


def unit(rows: NDArray[np.floating]) -> Array:
    """Rows scaled to unit length, float32; a zero row stays zero."""
    rows = np.asarray(rows, np.float32)
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), np.float32(1e-12))


def prefix(descriptors: NDArray[np.floating], size: int) -> Array:
    """The first ``size`` components of descriptors [n, d], renormalized: float32 [n, size]."""
    return unit(descriptors[:, :size])


@dataclass(frozen=True)
class Projection:
    """Weights of a fitted projection.

    Attributes:
        mean: float32 [D].
        linear: float32 [D, d].
        hidden_in: float32 [D, h]; h is 0 for a purely linear projection.
        hidden_bias: float32 [h].
        hidden_out: float32 [h, d].
    """

    mean: Array
    linear: Array
    hidden_in: Array
    hidden_bias: Array
    hidden_out: Array

    @classmethod
    def of(cls, mean: Array, linear: Array) -> Projection:
        """A purely linear projection."""
        dim, size = linear.shape
        return cls(
            np.ascontiguousarray(mean, np.float32),
            np.ascontiguousarray(linear, np.float32),
            np.zeros((dim, 0), np.float32),
            np.zeros(0, np.float32),
            np.zeros((0, size), np.float32),
        )

    @property
    def dim_in(self) -> int:
        return self.linear.shape[0]

    @property
    def dim_out(self) -> int:
        return self.linear.shape[1]

    def __call__(self, embeddings: NDArray[np.floating]) -> Array:
        """float32 [n, D] -> descriptors float32 [n, d], unit norm."""
        parts = [self.raw(embeddings[at : at + _CHUNK]) for at in range(0, len(embeddings), _CHUNK)]
        return unit(np.concatenate(parts)) if parts else np.empty((0, self.dim_out), np.float32)

    def raw(self, embeddings: NDArray[np.floating]) -> Array:
        """float32 [n, D] -> float32 [n, d], not normalized."""
        return self.of_centered(unit(embeddings) - self.mean)

    def of_centered(self, centered: Array) -> Array:
        """As ``raw``, for unit-norm embeddings with ``mean`` already subtracted."""
        projected = centered @ self.linear
        if len(self.hidden_bias):
            projected += np.maximum(centered @ self.hidden_in + self.hidden_bias, 0) @ self.hidden_out
        return np.asarray(projected, np.float32)

    def first(self, size: int) -> Projection:
        """Keeps the first ``size`` outputs."""
        return Projection(self.mean, self.linear[:, :size], self.hidden_in, self.hidden_bias, self.hidden_out[:, :size])

    def rotated(self, rotation: Array) -> Projection:
        """Multiplies the outputs by ``rotation`` [d, d']."""
        return Projection(
            self.mean, self.linear @ rotation, self.hidden_in, self.hidden_bias, self.hidden_out @ rotation
        )

    def lifted(self, basis: Array) -> Projection:
        """This projection of coordinates [r] as a projection of embeddings [D]; ``basis`` [D, r] has orthonormal columns."""
        return Projection(
            basis @ self.mean, basis @ self.linear, basis @ self.hidden_in, self.hidden_bias, self.hidden_out
        )

    def with_outputs(self, directions: Array) -> Projection:
        """Appends linear outputs; ``directions`` is [D, k]."""
        hidden = np.zeros((len(self.hidden_bias), directions.shape[1]), np.float32)
        return Projection(
            self.mean,
            np.concatenate([self.linear, directions], 1),
            self.hidden_in,
            self.hidden_bias,
            np.concatenate([self.hidden_out, hidden], 1),
        )

    def tensors(self) -> dict[str, Array]:
        """The stored arrays by name."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def save(self, path: Path) -> None:
        """Writes the arrays as safetensors."""
        from safetensors.numpy import save

        # save_file makes files that only their owner can read; a model is copied to robots.
        path.write_bytes(save({name: np.ascontiguousarray(array) for name, array in self.tensors().items()}))

    @classmethod
    def load(cls, path: Path) -> Projection:
        """Reads a file of ``save``.

        Raises:
            VprError: the file is missing or damaged, or the shapes do not fit together.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        remedy = "copy the model folder again or train again"
        try:
            arrays = load_file(str(path))
            loaded = cls(**{name: np.asarray(arrays[name], np.float32) for name in cls.__dataclass_fields__})
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise VprError(f"{path}: the model's weights are missing or damaged ({error}); {remedy}") from error
        dim, size, hidden = loaded.dim_in, loaded.linear.shape[-1], loaded.hidden_bias.size
        expected = [(dim,), (dim, size), (dim, hidden), (hidden,), (hidden, size)]
        if [array.shape for array in loaded.tensors().values()] != expected:
            raise VprError(f"{path}: the shapes of the model's weights do not fit together; {remedy}")
        if not all((np.abs(array) < _LARGEST).all() for array in loaded.tensors().values()):  # also False for NaN
            raise VprError(f"{path}: the model's weights hold numbers that are not finite or too large; {remedy}")
        return loaded
