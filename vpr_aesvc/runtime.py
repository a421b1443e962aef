"""Threads, and sessions of ONNX Runtime or OpenVINO with a named provider.

By default an ONNX session has as many threads as cores are available to this process. ONNX Runtime's own default is the cores of the machine, including
those that a container or ``taskset`` excludes. Threads spin while they wait within a frame (34 instead of 43 ms for a ViT-S in int8 on
two free cores) and stop spinning after it. On overloaded cores spinning costs more than it gains: use fewer threads there.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from vpr_aesvc.errors import VprError, first_line
from vpr_aesvc.openvino_session import OpenVinoSession

if TYPE_CHECKING:
    import onnxruntime

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINO",  # the package itself, not ONNX Runtime's provider of that name
}
PROVIDER_HELP = "What runs the graph: cpu, cuda, tensorrt or openvino; of a list such as cuda,cpu the first available."
THREADS_HELP = "CPU threads; by default the number of cores available to this process."


def default_threads() -> int:
    """Number of cores available to this process."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def wait_passively() -> None:
    """Threads of OpenMP (torch, FAISS) and OpenBLAS (numpy) sleep while they wait for each other. By default they spin, and beside other
    work on the cores they then wait for a thread that cannot run. Call it before these libraries are imported; the user's own settings stay.

    https://gcc.gnu.org/onlinedocs/libgomp/OMP_005fWAIT_005fPOLICY.html
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")  # 2^4 cycles


@contextmanager
def bounded_threads(count: int) -> Iterator[None]:
    """Runs numpy, FAISS and torch, if it is imported, on at most ``count`` threads."""
    from threadpoolctl import threadpool_limits

    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else count
    with threadpool_limits(limits=count):
        if torch:
            torch.set_num_threads(count)
        try:
            yield
        finally:
            if torch:
                torch.set_num_threads(before)


@contextmanager
def timed(milliseconds: dict[str, float], name: str) -> Iterator[None]:
    """Sets ``milliseconds[name]`` to the duration of the block."""
    start = time.perf_counter()
    try:
        yield
    finally:
        milliseconds[name] = 1000 * (time.perf_counter() - start)


def median_ms(call: Callable[[int], object], times: int) -> float:
    """Median duration of ``call(0)`` to ``call(times - 1)``, milliseconds."""
    durations = []
    for at in range(times):
        start = time.perf_counter()
        call(at)
        durations.append(time.perf_counter() - start)
    return 1000 * statistics.median(durations)


def open_session(
    graph: bytes,
    name: str,
    provider: str = "cpu",
    threads: int | None = None,
    weights: Mapping[str, bytes] | None = None,
) -> onnxruntime.InferenceSession | OpenVinoSession:
    """A session of a graph in memory, so the bytes that run are the bytes that were checked.

    Args:
        graph: the bytes of the ONNX file.
        name: the file, for error messages.
        provider: one of ``PROVIDERS``, or several separated by commas, in order of preference. A single one must be available; of
            several the first available one is used, and a warning names the missing ones.
        threads: CPU threads; None for ``default_threads``.
        weights: the files of weights that the graph names, if they are not in it.

    Raises:
        VprError: an unknown or unavailable provider, fewer than one thread, or a graph that the provider cannot run.
    """
    import onnxruntime

    requested = [word.strip().lower() for word in provider.split(",")]
    unknown = [word for word in requested if word not in PROVIDERS]
    if unknown:
        raise VprError(f"provider {unknown[0]!r} is not known; expected {', '.join(PROVIDERS)}")
    if threads is not None and threads < 1:
        raise VprError(f"threads must be at least 1, found {threads}")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised, not logged
    options.intra_op_num_threads = threads or default_threads()
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if weights:
        if not hasattr(options, "add_external_initializers_from_files_in_memory"):
            version = onnxruntime.__version__
            problem = f"onnxruntime {version} cannot load weights from other files ({', '.join(weights)})"
            advice = "update it, or write the model as one file with onnx.save_model(onnx.load(PATH), NEW_PATH)"
            raise VprError(f"{name}: {problem}; {advice}")
        data = list(weights.values())
        options.add_external_initializers_from_files_in_memory(list(weights), data, list(map(len, data)))
    has_openvino = requested == ["openvino"] or find_spec("openvino") is not None
    built_in = onnxruntime.get_available_providers() + ["OpenVINO"] * has_openvino
    missing: list[str] = []
    for word in requested:
        if PROVIDERS[word] in built_in:
            session = _opened(graph, name, word, options)
            if session.get_providers()[0] == PROVIDERS[word]:
                if missing:
                    warnings.warn(f"{', '.join(missing)} is not available here; {name} runs on {word}", stacklevel=2)
                return session
        missing.append(word)
    available = [word for word, full in PROVIDERS.items() if full in built_in and word not in missing]
    offered = f"this onnxruntime offers {', '.join(available) or 'none'}. Choose one of these"
    advice = f"use {missing[0]},cpu to fall back, or install the onnxruntime package for that hardware"
    raise VprError(f"provider {', '.join(missing)} is not available here; {offered}, {advice}")


def _opened(graph: bytes, name: str, word: str, options: onnxruntime.SessionOptions) -> Any:
    """A session with the provider ``word`` of ``PROVIDERS``."""
    import onnxruntime

    if word == "openvino":
        return OpenVinoSession(graph, name, options.intra_op_num_threads)
    chain = [PROVIDERS[word]] + [PROVIDERS["cpu"]] * (word != "cpu")  # runs operators that a GPU does not have
    try:
        return onnxruntime.InferenceSession(graph, options, providers=chain)
    except Exception as error:  # ONNX Runtime has many exception types
        raise VprError(f"{name}: ONNX Runtime cannot load it ({first_line(error)})") from error
