"""The worker processes the latest frame of each camera and every job."""

import threading
import time
from concurrent.futures import CancelledError

import pytest

from vpr_aesvc.onboard.latest_frame_worker import LatestFrameWorker


def test_a_slow_worker_processes_the_latest_frame_and_counts_the_others():
    processed, busy, go = [], threading.Event(), threading.Event()

    def work(camera, item):
        processed.append(item)
        busy.set()
        go.wait(5)

    worker = LatestFrameWorker(work)
    assert not worker.offer("", 0)
    assert busy.wait(5)
    assert [worker.offer("", number) for number in range(1, 10)] == [True, *[False] * 8]
    go.set()
    worker.submit(lambda: None).result(5)
    while len(processed) < 2:
        time.sleep(0.01)
    worker.submit(lambda: None).result(5)
    assert not worker.offer("", 10)
    worker.stop()
    assert processed[:2] == [0, 9]
    assert worker.dropped == {"": 8}


def test_a_fast_camera_does_not_delay_a_slow_one():
    processed, first, go = [], threading.Event(), threading.Event()

    def work(camera, item):
        processed.append((camera, item))
        first.set()
        go.wait(5)

    worker = LatestFrameWorker(work)
    worker.offer("front", 0)
    assert first.wait(5)
    worker.offer("front", 1)
    worker.offer("rear", 0)
    worker.offer("front", 2)
    go.set()
    while len(processed) < 3:
        time.sleep(0.01)
    worker.stop()
    assert processed == [("front", 0), ("front", 2), ("rear", 0)]


def test_jobs_return_or_raise_and_stop_cancels_waiting_jobs():
    hold = threading.Event()
    worker = LatestFrameWorker(lambda camera, item: None)
    assert worker.submit(lambda: 42).result(5) == 42
    with pytest.raises(ZeroDivisionError):
        worker.submit(lambda: 1 / 0).result(5)
    assert worker.submit(lambda: "after an exception").result(5) == "after an exception"
    worker.submit(lambda: hold.wait(5))
    late = worker.submit(lambda: None)
    threading.Timer(0.1, hold.set).start()
    worker.stop()
    with pytest.raises(CancelledError):
        late.result(5)
    with pytest.raises(CancelledError):
        worker.submit(lambda: None).result(5)
