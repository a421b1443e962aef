"""The torch version of ``Projection``, for training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vpr_aesvc.projections.artifact import Array, Projection

if TYPE_CHECKING:
    import torch


class Network:
    """A trainable linear path plus one hidden layer. The hidden layer's output weights are initially zero: training starts exactly at ``start``."""

    def __init__(self, start: Projection, hidden: int, input_scale: float, seed: int) -> None:
        import torch

        generator = torch.Generator().manual_seed(seed)
        self._start = start
        self._scale = input_scale  # entries of centered unit vectors are a few hundredths; scaled to about 1
        self.linear = torch.from_numpy(start.linear.copy()).requires_grad_()
        bound = start.dim_in**-0.5
        self.hidden_in = ((torch.rand(start.dim_in, hidden, generator=generator) * 2 - 1) * bound).requires_grad_()
        self.hidden_bias = ((torch.rand(hidden, generator=generator) * 2 - 1) * bound).requires_grad_()
        self.hidden_out = torch.zeros(hidden, start.dim_out, requires_grad=True)

    @property
    def parameters(self) -> list[torch.Tensor]:
        return [self.linear, self.hidden_in, self.hidden_bias, self.hidden_out]

    def __call__(self, centered: torch.Tensor) -> torch.Tensor:
        hidden = (centered * self._scale) @ self.hidden_in + self.hidden_bias
        return centered @ self.linear + hidden.relu() @ self.hidden_out

    def projection(self) -> Projection:
        """The current weights in numpy."""

        def numpy(tensor: torch.Tensor) -> Array:
            return np.ascontiguousarray(tensor.detach().numpy(), np.float32)

        return Projection(
            self._start.mean,
            numpy(self.linear),
            numpy(self.hidden_in * self._scale),
            numpy(self.hidden_bias),
            numpy(self.hidden_out),
        )
