"""ONNX Runtime as the robot wants it: the provider by name, the number of threads set and not guessed.

Threads are by default the cores that this process may run on: ONNX Runtime's own default counts the cores of the machine, also
those that a container or ``taskset`` keeps it from. They spin while they wait for each other within a frame, which is a fifth faster where
cores are free (34 against 43 ms, a ViT-S in int8 on two), and stop when the frame is done, so that the rest of the robot gets the cores.
On cores that are badly oversubscribed spinning costs more than it brings: give fewer threads there.
"""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING

from vpr_aesvc.errors import VprError

if TYPE_CHECKING:
    import onnxruntime

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}
PROVIDER_HELP = (
    "Where a graph runs: cpu, cuda, tensorrt or openvino. With commas between, the first that is there: cuda,cpu."
)
THREADS_HELP = "Threads of a graph on the CPU; by default the cores this process may run on."


def default_threads() -> int:
    """The cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def open_session(
    graph: bytes, name: str, provider: str = "cpu", threads: int | None = None
) -> onnxruntime.InferenceSession:
    """A session of a graph that is in memory already, so that what runs is what was checked.

    Args:
        graph: the ONNX file's bytes.
        name: the file, for errors.
        provider: one of ``PROVIDERS``, or several with commas between, in order of preference. One alone must be there; of
            several the first that is there is used, and a warning names those that are not.
        threads: for what runs on the CPU; None for :func:`default_threads`.

    Raises:
        VprError: an unknown or absent provider, a senseless number of threads, or a graph that ONNX Runtime cannot run.
    """
    import onnxruntime

    wanted = [word.strip().lower() for word in provider.split(",")]
    unknown = [word for word in wanted if word not in PROVIDERS]
    if unknown:
        raise VprError(f"provider {unknown[0]!r} is not known; expected {', '.join(PROVIDERS)}")
    if threads is not None and threads < 1:
        raise VprError(f"threads must be at least 1, found {threads}")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised, and said in one line
    options.intra_op_num_threads = threads or default_threads()
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.force_spinning_stop", "1")
    built_in = onnxruntime.get_available_providers()
    missing: list[str] = []
    for word in wanted:
        if PROVIDERS[word] in built_in:
            found = _session(graph, name, options, PROVIDERS[word])
            if found.get_providers()[0] == PROVIDERS[word]:
                if missing:
                    warnings.warn(f"{', '.join(missing)} is not available here; {name} runs on {word}", stacklevel=2)
                return found
        missing.append(word)
    available = [word for word, full in PROVIDERS.items() if full in built_in and word not in missing]
    raise VprError(
        f"provider {', '.join(missing)} is not available here; this onnxruntime offers {', '.join(available) or 'none'}. "
        f"Choose one of these, let {missing[0]},cpu fall back, or install the onnxruntime package of that hardware"
    )


def _session(
    graph: bytes, name: str, options: onnxruntime.SessionOptions, provider: str
) -> onnxruntime.InferenceSession:
    import onnxruntime

    chain = list(dict.fromkeys([provider, PROVIDERS["cpu"]]))  # what a provider cannot run, the CPU does
    try:
        return onnxruntime.InferenceSession(graph, options, providers=chain)
    except Exception as error:  # ONNX Runtime raises many kinds, all meaning: this file is not a graph it can run
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise VprError(f"{name}: ONNX Runtime cannot load it ({said[0][:300]})") from error
