"""Frames -> a folder of shards of embeddings, by this process or by Ray. A shard is whole or absent: what was interrupted goes on where it was.

Both engines give the same bytes, because a shard depends on its frames alone and its moments are computed on one thread.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.backbones import Backbone, open_backbone
from vpr_aesvc.backbones import shards as stored
from vpr_aesvc.backbones.shards import Part, Shards, ShardsManifest
from vpr_aesvc.errors import VprError, first_line, require_installed
from vpr_aesvc.extraction import extract as extract_frames
from vpr_aesvc.extraction import viewed_positions
from vpr_aesvc.files import check_free, new_folder, write_file
from vpr_aesvc.fingerprint import fingerprint
from vpr_aesvc.projections.artifact import unit
from vpr_aesvc.projections.moments import Moments
from vpr_aesvc.runtime import bounded_threads
from vpr_aesvc.types import Frame, Progress

SHARD, MOST = 2048, 1000
"""Frames of a shard, at least, and shards of a split, at most: the time to merge their moments is bounded."""
VIEWS = 2  # augmented views of each image, to estimate how an embedding changes at another visit


@dataclass(frozen=True)
class Job:
    """A shard to write: its frames, and the positions among them that get ``views`` augmented views."""

    path: Path
    frames: Sequence[Frame]
    viewed: list[int]
    views: int
    seed: int

    def run(self, backbone: Backbone) -> int:
        """Writes the shard. Returns the number of frames done."""
        found = extract_frames(backbone, self.frames, self.views, self.seed, viewed=self.viewed)
        rows = unit(found.embeddings)
        with bounded_threads(1):
            moments = Moments.of(rows)
        arrays: dict[str, NDArray[Any]] = {"embeddings": rows, "views": unit(found.views), "view_rows": found.view_rows}
        arrays |= {"mean": moments.mean, "covariance": moments.covariance}
        stored.write_shard(self.path, found.frames, found.skipped, **arrays)
        return len(self.frames)


@dataclass(frozen=True)
class Local:
    """This process, one shard after the other."""

    def run(self, backbone: Backbone, jobs: Iterable[Job]) -> Iterator[int]:
        return (job.run(backbone) for job in jobs)


@dataclass(frozen=True)
class Ray:
    """A Ray cluster: one shard for each of its CPUs at a time. A shard whose worker dies is made again.

    Each machine needs vpr_aesvc, and the images, the encoder and the folder of the shards under the same paths. ``address``: of a running
    cluster, such as 127.0.0.1:6379; ``auto`` finds one on this machine, ``local`` starts one here.
    """

    address: str

    def run(self, backbone: Backbone, jobs: Iterable[Job]) -> Iterator[int]:
        require_installed("extraction on a cluster", "ray")
        import ray

        host, _, port = self.address.rpartition("/")[2].rpartition(":")
        try:
            if port.isdigit():  # Ray itself waits many minutes for a cluster that is not there
                socket.create_connection((host, int(port)), timeout=10).close()
            ray.init(self.address, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, OverflowError, ValueError, RuntimeError) as error:
            advice = "start one with `ray start --head`, or give `local`"
            raise VprError(f"no Ray cluster at {self.address} ({first_line(error)}); {advice}") from error
        try:
            remote = ray.remote(_run)
            places = 2 * int(ray.cluster_resources().get("CPU", 1))  # the next shard waits where it will be made
            running: list[Any] = []
            for job in chain(jobs, [None] * places):
                if job is not None:
                    frames = [one if one.path is None else replace(one, path=one.path.absolute()) for one in job.frames]
                    running.append(remote.remote(backbone.spec, backbone.fingerprint, replace(job, frames=frames)))
                if running and (job is None or len(running) >= places):
                    done, running = ray.wait(running)
                    yield _checked(ray.get(done[0]))
        except ray.exceptions.RayError as error:
            raise VprError(f"Ray at {self.address} failed ({first_line(error)}); whole shards are kept") from error
        finally:
            ray.shutdown()


def _run(spec: str, expected: str, job: Job) -> int | str:
    """A job in a worker. Returns the message of a VprError: Ray would add the traceback to it."""
    try:
        return job.run(_opened(spec, expected))
    except VprError as error:
        return str(error)


@lru_cache(maxsize=1)
def _opened(spec: str, expected: str) -> Backbone:
    backbone = open_backbone(spec, threads=1, expected=expected)
    if backbone.fingerprint != expected:
        raise VprError(f"a worker has another {spec}, with fingerprint {backbone.fingerprint}; expected {expected}")
    return backbone


def _checked(result: int | str) -> int:
    if isinstance(result, str):
        raise VprError(result)
    return result


def extract(
    frames: Sequence[Frame],
    backbone: Backbone,
    output: Path | str,
    engine: Local | Ray = Local(),
    views: int = VIEWS,
    seed: int = 0,
    progress: Progress | None = None,
) -> Shards:
    """Embeds frames into a folder of shards of at least 2,048 frames, if there are so many. A shard holds frames of one split.

    Args:
        frames: such as those of ``vpr_aesvc.open_input``.
        backbone: from ``vpr_aesvc.open_backbone``.
        output: a new folder, or that of an interrupted run with the same arguments, which then goes on.
        engine: ``Local()`` or ``Ray(address)``. Their results are the same bytes.
        views: augmented views of each database frame, for training; of more than 2,000 frames, of 2,000 evenly spaced ones.
        seed: of the views.
        progress: called with (frames done, frames to do).

    Returns:
        the opened folder.

    Raises:
        VprError: no frames, the output belongs to another run, none of the images of a shard can be read, the disk refuses, or the cluster fails.
    """
    output = Path(output)
    splits = {
        split: [one for one in frames if one.split == split] for split in dict.fromkeys(one.split for one in frames)
    }
    bounds = {split: _bounds(len(chosen)) for split, chosen in splits.items()}
    manifest = ShardsManifest(
        spec=backbone.spec,
        fingerprint=backbone.fingerprint,
        preprocessing=backbone.preprocessing,
        dim=backbone.dim,
        views=views,
        seed=seed,
        input=fingerprint("frames", *(frame.label for frame in frames)),
        shards=[Part(split=split, frames=end - at) for split, ends in bounds.items() for at, end in ends],
    )
    if stored.is_shards(output):
        if stored.read_shards_manifest(output).model_copy(update={"spec": manifest.spec}) != manifest:
            raise VprError(f"{output}: holds shards of another input, encoder or version; choose another name")
    else:
        check_free(output, "shards")
        with new_folder(output, "shards") as folder:
            write_file(folder / stored.MANIFEST, (manifest.model_dump_json(indent=1) + "\n").encode(), "shards")

    def jobs() -> Iterator[Job]:
        number = 0
        for split, chosen in splits.items():
            viewed = np.array(viewed_positions(len(chosen)) if split in (None, "database") else [], np.int64)
            for at, end in bounds[split]:
                path = stored.shard_path(output, number)
                number += 1
                if not path.exists():
                    own = viewed[(viewed >= at) & (viewed < end)] - at
                    yield Job(path.absolute(), chosen[at:end], own.tolist(), views, seed)

    to_do, done = sum(len(job.frames) for job in jobs()), 0
    for count in engine.run(backbone, jobs()) if to_do else ():
        done += count
        if progress:
            progress(done, to_do)
    for torn in output.glob(".*.partial"):  # of killed processes
        torn.unlink()
    return Shards(output)


def _bounds(count: int) -> list[tuple[int, int]]:
    """The shards of so many frames, of about the same size: the first of each, and the end."""
    shards = min(max(1, count // SHARD), MOST)
    return [(count * at // shards, count * (at + 1) // shards) for at in range(shards)]
