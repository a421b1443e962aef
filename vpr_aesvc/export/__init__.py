"""A trained model -> a robot model: one graph, in the precision asked for, checked on real images."""

from __future__ import annotations

from vpr_aesvc.export.model import export_model

__all__ = ["export_model"]
