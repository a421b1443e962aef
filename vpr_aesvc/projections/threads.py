"""How many threads a fit uses."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from vpr_aesvc.projections.batches import BATCH
from vpr_aesvc.projections.data import TrainingData
from vpr_aesvc.runtime import bounded_threads, default_threads

_SMALL = 1e9  # multiply-adds of one product of a training step


@contextmanager
def fit_threads(data: TrainingData) -> Iterator[None]:
    """One thread for small steps: more threads gain nothing there, and beside other work on the cores they wait for each other.

    The result of a small fit is then the same on any number of cores.
    """
    with suppress(ImportError):  # some methods do not need it
        import torch  # noqa: F401  # its threads can be bounded only after it is imported

    rows, dim = data.embeddings.shape
    with bounded_threads(1 if min(rows, BATCH) * min(rows, dim) ** 2 < _SMALL else default_threads()):
        yield
