"""A graph run by OpenVINO on the CPU.

https://docs.openvino.ai/2025/openvino-workflow/running-inference/inference-devices-and-modes/cpu-device.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Lock
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError, first_line, require_installed

_TYPES = {"f32": "float", "f16": "float16", "f64": "double", "u8": "uint8"}  # as ONNX Runtime calls them


class OpenVinoSession:
    """The part of ``onnxruntime.InferenceSession`` that a graph of images needs.

    A graph whose numbers are all float32 is computed in float32. With weights in fp16 or int8, the rest is computed as OpenVINO finds best:
    in bfloat16 on a CPU that has it, else in float32.

    Args:
        graph: the bytes of the ONNX file.
        name: the file, for error messages.
        threads: CPU threads.

    Raises:
        VprError: OpenVINO is not installed or cannot run the graph.
    """

    def __init__(self, graph: bytes, name: str, threads: int) -> None:
        require_installed(f"{name}: provider openvino", "openvino")
        import openvino

        core, options = openvino.Core(), {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
        try:
            model = core.read_model(graph)
            if not any(_is_short(node) for node in model.get_ops()):
                options["INFERENCE_PRECISION_HINT"] = "f32"
            self._inputs, self._outputs = (
                [_described(one) for one in model.inputs],
                [_described(one) for one in model.outputs],
            )
            self._compiled = core.compile_model(model, "CPU", options)
            self._request, self._lock = self._compiled.create_infer_request(), Lock()
        except RuntimeError as error:
            raise VprError(f"{name}: OpenVINO cannot load it ({first_line(error)})") from error

    @property
    def precision(self) -> str:
        """The type of what is not quantized, such as ``f32`` or ``bf16``."""
        return str(self._compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name())

    def get_providers(self) -> list[str]:
        return ["OpenVINO"]

    def get_inputs(self) -> list[SimpleNamespace]:
        """name, type and shape of each input."""
        return self._inputs

    def get_outputs(self) -> list[SimpleNamespace]:
        """name, type and shape of each output."""
        return self._outputs

    def run(self, names: Sequence[str], feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """The outputs ``names``, for any thread."""
        with self._lock:
            values = self._request.infer(dict(feeds))
        return [np.asarray(values[name]) for name in names]


def computes_bf16() -> bool:
    """Whether OpenVINO, which must be installed, computes in bfloat16 on this CPU."""
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _is_short(node: Any) -> bool:
    """Whether it is a constant of fewer than 32 bits that stands for real numbers."""
    return node.get_type_name() == "Constant" and node.get_element_type().get_type_name() in ("f16", "bf16", "i8", "u8")


def _described(port: Any) -> SimpleNamespace:
    kind = port.get_element_type().get_type_name()
    shape = [one.get_length() if one.is_static else None for one in port.get_partial_shape()]
    return SimpleNamespace(name=port.get_any_name(), type=f"tensor({_TYPES.get(kind, kind)})", shape=shape)
