"""FAISS, imported on first use, and its number of threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def load_faiss() -> Any:
    """The module, untyped: its stubs lack the keyword arguments that its Python layer adds."""
    import faiss

    return faiss


@contextmanager
def one_thread(wanted: bool = True) -> Iterator[None]:
    """FAISS distributes queries over threads, not places: for one query a second thread costs more than it saves."""
    faiss = load_faiss()
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1 if wanted else before)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
