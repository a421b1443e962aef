"""FAISS, loaded on first use, and how many threads it takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def load_faiss() -> Any:
    """The module, untyped: its stubs know nothing of the keyword arguments that its Python layer adds."""
    import faiss

    return faiss


@contextmanager
def one_thread(wanted: bool = True) -> Iterator[None]:
    """For work in small pieces: FAISS shares out queries, not places, and waking a second thread costs more than it brings."""
    faiss = load_faiss()
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1 if wanted else before)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
