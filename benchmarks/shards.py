"""Extraction in shards and what reads them: throughput on Ray, memory of a fit and of a benchmark.

    python benchmarks/shards.py ray IMAGES [--images 18000] [--rounds 1]     # needs Ray
    python benchmarks/shards.py fit [--rows 1000000] [--method aesvc]
    python benchmarks/shards.py bench [--rows 1000000]

`ray` repeats the images of a folder by symbolic links and extracts them (hog, no views) by two plain processes, each with half of them and one thread,
and by Ray with two CPUs, on a cluster of its own on 127.0.0.1 that runs already. Workers have the priority of the processes. The rows must be the same. `fit` and `bench` draw unit
vectors of 768 numbers in shards of 10,000 rows and run in a process of their own, whose peak of resident memory is printed. `bench` asks 100 queries by name, with a pose for each frame.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from vpr_aesvc import Local, Ray, Shards, open_backbone, open_input, sharding
from vpr_aesvc.backbones.given import GivenEmbeddings
from vpr_aesvc.backbones.shards import Part, ShardsManifest, shard_path, write_shard
from vpr_aesvc.images import IMAGE_SUFFIXES
from vpr_aesvc.projections.artifact import unit
from vpr_aesvc.projections.moments import Moments
from vpr_aesvc.types import Frame, Pose

DIM, _ROWS, _VIEWED = 768, 10_000, 20  # numbers of a row; rows of a drawn shard, and those of them with a view


def compare_ray(images: Path, count: int, rounds: int) -> None:
    os.environ |= {"RAY_worker_niceness": "0", "RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1"}
    found = sorted(path for path in images.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        for half in range(2):
            (root / "all" / str(half)).mkdir(parents=True)
        for at, path in enumerate(islice(cycle(found), count)):
            (root / "all" / str(2 * at // count) / f"{at:06}{path.suffix}").symlink_to(path.resolve())
        with ray_cluster() as cluster:
            for turn in range(rounds):
                start, before = time.perf_counter(), os.times()
                words = [sys.executable, __file__, "half", str(root / "all")]
                halves = [
                    subprocess.Popen([*words, "--half", str(half), "--out", str(root / f"p{turn}{half}")])
                    for half in (0, 1)
                ]
                codes = [process.wait() for process in halves]
                if any(codes):
                    raise SystemExit("a plain process failed")
                plain, after = time.perf_counter() - start, os.times()
                cpu = after.children_user + after.children_system - before.children_user - before.children_system
                print(
                    f"two processes: {count / plain:.1f} images/s ({plain:.1f} s, {cpu:.1f} s of CPU), load {os.getloadavg()[0]:.1f}"
                )
                frames = open_input(root / "all").frames
                done: list[tuple[float, float]] = []
                start, idle = time.perf_counter(), cpu_of_ray(cluster)

                def shard_done(
                    now: int, total: int, start: float = start, idle: float = idle, done: list = done
                ) -> None:  # type: ignore[type-arg]
                    done.append((time.perf_counter() - start, cpu_of_ray(cluster) - idle))

                sharding.extract(
                    frames, open_backbone("hog"), root / f"r{turn}", Ray("auto"), views=0, progress=shard_done
                )
                whole, cpu = done[-1]
                print(
                    f"Ray, two CPUs: {count / whole:.1f} images/s ({whole:.1f} s, first shard after {done[0][0]:.1f} s; "
                    f"{cpu:.1f} s of CPU with all of Ray), load {os.getloadavg()[0]:.1f}",
                    flush=True,
                )
                print(f"Ray / two processes: {plain / whole:.3f}")
                halves_files = [
                    path for half in (0, 1) for path in sorted((root / f"p{turn}{half}").glob("*.safetensors"))
                ]
                whole_files = sorted((root / f"r{turn}").glob("*.safetensors"))
                rows = [
                    [Shards(root / name)[:] for name in names] for names in ((f"p{turn}0", f"p{turn}1"), (f"r{turn}",))
                ]
                print(
                    f"{len(halves_files)} and {len(whole_files)} shards; same rows: {np.array_equal(*map(np.concatenate, rows))}"
                )


@contextmanager
def ray_cluster() -> Iterator[int]:
    """Two CPUs on 127.0.0.1. Yields the id of the process."""
    words = ["ray", "start", "--head", "--block", "--num-cpus", "2", "--node-ip-address", "127.0.0.1", "--port", "6399"]
    words += ["--include-dashboard", "false"]
    process = subprocess.Popen([str(Path(sys.executable).parent / words[0]), *words[1:]], stdout=subprocess.DEVNULL)
    try:
        time.sleep(20)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def cpu_of_ray(cluster: int) -> float:
    """Seconds of CPU of all processes of a cluster."""
    import psutil

    return sum(sum(process.cpu_times()[:2]) for process in psutil.Process(cluster).children(recursive=True))


def extract_half(root: Path, half: int, out: Path) -> None:
    frames = open_input(root).frames
    chosen = frames[: len(frames) // 2] if half == 0 else frames[len(frames) // 2 :]
    sharding.extract(chosen, open_backbone("hog"), out, Local(), views=0)


def draw_shards(folder: Path, rows: int) -> None:
    """Vectors with a spectrum like that of embeddings, a drive along x with a frame a meter."""
    scales = np.geomspace(1, 0.03, DIM).astype(np.float32)
    counts = [min(_ROWS, rows - at) for at in range(0, rows, _ROWS)]
    parts = [Part(split="database", frames=count) for count in counts]
    made = {"spec": "hog", "fingerprint": "0" * 16, "preprocessing": "", "dim": DIM, "views": 1, "seed": 0, "input": ""}
    folder.mkdir()
    (folder / "shards.json").write_text(ShardsManifest(**made, shards=parts).model_dump_json())
    for at, count in enumerate(counts):
        random = np.random.default_rng(at)
        drawn = unit(scales * random.standard_normal((count, DIM), np.float32) + scales)
        viewed = np.linspace(0, count - 1, _VIEWED).astype(np.int64)
        moments = Moments.of(drawn)
        frames = [Frame(f"{at * _ROWS + row:08}.jpg", pose=Pose(float(at * _ROWS + row), 0.0)) for row in range(count)]
        views = unit(drawn[viewed] + 0.02 * random.standard_normal((_VIEWED, DIM), np.float32))
        arrays = {
            "embeddings": drawn,
            "views": views,
            "view_rows": viewed,
            "mean": moments.mean,
            "covariance": moments.covariance,
        }
        write_shard(shard_path(folder, at), frames, [], **arrays)


def fit_from(folder: Path, method: str) -> None:
    from vpr_aesvc.training import train

    shards = Shards(folder)
    with tempfile.TemporaryDirectory() as out:
        train(shards, GivenEmbeddings(DIM, shards), Path(out) / "model", method=method)


def bench_from(folder: Path) -> None:
    from vpr_aesvc.datasets.frameset import FrameSet
    from vpr_aesvc.evaluation.bench import bench

    shards = Shards(folder)
    frames = shards.frames()
    print(f"frames listed: {peak_mb():.0f} MB", flush=True)
    rows = {frame.label: row for row, frame in enumerate(frames)}
    asked = [
        Frame(f"query {frame.label}", pose=frame.pose, split="query") for frame in frames[:: len(frames) // 100][:100]
    ]
    rows |= {frame.label: rows[frame.label.removeprefix("query ")] for frame in asked}
    source = FrameSet(folder, "drawn", (*frames, *asked))
    run = bench(source, "drawn", GivenEmbeddings(DIM, shards, rows), ("raw", "pca"), (64,))
    print({(one.method, one.size): one.recall[1] for one in run.evaluation.results}, run.evaluation.search_ms)


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_own_process(command: str, rows: int, method: str) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "shards"
        draw_shards(folder, rows)
        subprocess.run([sys.executable, __file__, f"{command}-one", str(folder), "--method", method], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command")
    parser.add_argument("input", type=Path, nargs="?")
    parser.add_argument("--images", type=int, default=18_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--method", default="aesvc")
    parser.add_argument("--half", type=int)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if args.command == "ray":
        compare_ray(args.input, args.images, args.rounds)
    elif args.command == "half":
        extract_half(args.input, args.half, args.out)
    elif args.command in ("fit", "bench"):
        in_own_process(args.command, args.rows, args.method)
    else:
        start = time.perf_counter(), time.process_time()
        fit_from(args.input, args.method) if args.command == "fit-one" else bench_from(args.input)
        wall, cpu = time.perf_counter() - start[0], time.process_time() - start[1]
        print(
            f"{args.command}: {wall:.0f} s, {cpu:.0f} s of CPU, peak resident memory {peak_mb():.0f} MB, load {os.getloadavg()[0]:.1f}"
        )


if __name__ == "__main__":
    main()
