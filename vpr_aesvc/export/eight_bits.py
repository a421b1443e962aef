"""The search for an eight-bit graph that still recognizes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.export.check import Reference
from vpr_aesvc.export.damage import most_damaged
from vpr_aesvc.export.precision import is_convolutional, quantizable, to_dynamic, to_static, to_stored
from vpr_aesvc.robot_model import Check
from vpr_aesvc.runtime import open_session

if TYPE_CHECKING:
    import onnx

Describe = Callable[[Sequence[NDArray[np.uint8]]], NDArray[np.float32]]
_QUICK, _HOPELESS = 50, 0.04  # a first look at so many images, and the changes that make a second look unnecessary
_GOOD = 0.98  # median cosine to stop at: among few images, far apart, even a spoilt descriptor finds its own
_FASTER = 1.1  # a graph that changes the arithmetic must earn it
_TIMED = 15


@dataclass(frozen=True)
class Attempt:
    """A graph, how it came about in words, and its check, where there were images."""

    graph: bytes
    how: str
    check: Check | None


def eight_bits(
    fused: Callable[[], onnx.ModelProto],
    tensors: Sequence[NDArray[np.float32]],
    reference: Reference | None,
    run: Callable[[bytes], Describe],
    progress: Callable[[str, int, int], None] | None = None,
) -> Attempt:
    """The first attempt that passes its check and is close to the original, or the last one.

    Transformers: all matrix products, then all but those that are hurt most, one, two, four, and so on. Convolutional networks: static
    ranges where the check allows them and they are faster here; else only the file is in eight bits.

    Args:
        fused: makes the float32 graph anew; the tools change what they are given.
        tensors: what to calibrate with, float32 [1, 3, H, W]; none without images.
        reference: images to check with; none: one attempt, unchecked.
        run: makes the bytes of a graph describe images.
    """
    if is_convolutional(fused()):
        return _convolutional(fused, tensors, reference, run)
    names = quantizable(fused())
    if reference is None:
        return Attempt(to_dynamic(fused(), ()).SerializeToString(), f"dynamic, {len(names)} matrix products", None)
    ranked = most_damaged(fused(), names, tensors)
    counts = [0, *(2**step for step in range(len(names).bit_length()) if 2**step < len(names))]
    for at, count in enumerate(counts):
        if progress:
            progress("choosing layers", at, len(counts))
        graph = to_dynamic(fused(), ranked[:count]).SerializeToString()
        how = f"dynamic, {len(names) - count} of {len(names)} matrix products; {count} stay in fp32"
        describe = run(graph)
        is_last = count == counts[-1]
        if not is_last and reference.first(_QUICK).check(describe).top1_changed > _HOPELESS:
            continue
        check = reference.check(describe)
        if (check.passed and check.cosine_median >= _GOOD) or is_last:
            break
    if progress:
        progress("choosing layers", len(counts), len(counts))
    return Attempt(graph, how, check)


def _convolutional(
    fused: Callable[[], onnx.ModelProto],
    tensors: Sequence[NDArray[np.float32]],
    reference: Reference | None,
    run: Callable[[bytes], Describe],
) -> Attempt:
    if reference is not None:
        static = to_static(fused(), tensors, ()).SerializeToString()
        times = [_milliseconds(graph, tensors[0]) for graph in (fused().SerializeToString(), static)]
        if times[0] > _FASTER * times[1]:
            check = reference.check(run(static))
            if check.passed:
                return Attempt(static, f"static, {len(quantizable(fused()))} convolutions", check)
    stored = to_stored(fused()).SerializeToString()
    check_or_none = None if reference is None else reference.check(run(stored))
    return Attempt(stored, "the file only; the arithmetic is fp32, which is as fast for this network", check_or_none)


def _milliseconds(graph: bytes, tensor: NDArray[np.float32]) -> float:
    session = open_session(graph, "the graph")
    name = session.get_inputs()[0].name
    taken = []
    for _ in range(_TIMED):
        start = time.perf_counter()
        session.run(None, {name: tensor})
        taken.append(time.perf_counter() - start)
    return 1000 * float(np.median(taken))
