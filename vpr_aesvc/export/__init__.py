"""Exports a trained model as a robot model: one graph, in the requested precision, checked on real images."""

from vpr_aesvc.export.fastest import export_fastest
from vpr_aesvc.export.model import export_model

__all__ = ["export_fastest", "export_model"]
