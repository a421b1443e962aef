import os

import numpy as np
import pytest

from vpr_aesvc.projections.data import TrainingData
from vpr_aesvc.projections.fit import fit
from vpr_aesvc.projections.threads import fit_threads
from vpr_aesvc.runtime import bounded_threads, wait_passively
from vpr_aesvc.types import Frame

torch = pytest.importorskip("torch")
threadpoolctl = pytest.importorskip("threadpoolctl")


def made(rows, dim):
    random = np.random.default_rng(0)
    return TrainingData.of(random.normal(size=(rows, 12)) @ random.normal(size=(12, dim)))


def threads():
    return {one["num_threads"] for one in threadpoolctl.threadpool_info()} | {torch.get_num_threads()}


def test_a_small_fit_uses_one_thread_and_gives_the_others_back():
    with bounded_threads(2):
        with fit_threads(made(100, 64)):
            assert threads() == {1}
        assert torch.get_num_threads() == 2 and max(threads()) == 2


def test_a_large_fit_uses_the_cores(monkeypatch):
    monkeypatch.setattr("vpr_aesvc.projections.threads.default_threads", lambda: 3)
    monkeypatch.setattr("vpr_aesvc.projections.threads._SMALL", 1000)
    with fit_threads(made(100, 64)):
        assert torch.get_num_threads() == 3


def test_the_same_bytes_with_any_number_of_cores():
    data, frames = made(60, 24), [Frame(str(number)) for number in range(60)]
    results = []
    for count in (1, 2):
        with bounded_threads(count), fit_threads(data):
            results.append(fit(data, frames, method="rotation").projection.linear.tobytes())
    assert results[0] == results[1]


def test_settings_of_the_user_stay(monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    monkeypatch.delenv("OPENBLAS_THREAD_TIMEOUT", raising=False)
    wait_passively()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE" and os.environ["OPENBLAS_THREAD_TIMEOUT"] == "4"
    monkeypatch.delenv("OPENBLAS_THREAD_TIMEOUT")
