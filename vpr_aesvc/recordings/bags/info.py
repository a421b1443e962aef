"""What ``vpr bag info`` tells of a bag: its topics of images and poses, and what a map would be built from."""

import shlex
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from vpr_aesvc.errors import VprError
from vpr_aesvc.frame_source import InputOptions
from vpr_aesvc.images import image_of
from vpr_aesvc.recordings.bags.reader import open_bag
from vpr_aesvc.recordings.bags.recording import BagRecording
from vpr_aesvc.recordings.bags.topics import COMPRESSED, KINDS, RAW, described
from vpr_aesvc.recordings.decoded import counted
from vpr_aesvc.types import Progress

_TRIED = 50  # images; more than a camera sends before its exposure or its stream is ready


@dataclass
class BagInfo:
    """``images`` and ``poses``: a line for each topic; ``used``: what a map would be built from, one sentence each; ``problem``: why no map can
    be built with these options."""

    path: str
    kind: str
    megabytes: float
    start: str
    seconds: float
    damage: str | None
    images: list[str]
    poses: list[str]
    used: list[str] = field(default_factory=list)
    problem: str | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def lines(self, options: str = "") -> list[str]:
        """For people. The last line is the next command, with the ``options`` that the user gave."""
        lines = [f"{self.path}: {self.kind}, {self.megabytes:,.1f} MB, {self.seconds:.1f} s from {self.start}"]
        if self.damage:
            lines.append(f"  {self.damage}")
        for name, topics in (("images", self.images), ("poses", self.poses)):
            lines += [f"{name}:", *(f"  {topic}" for topic in topics)] if topics else [f"{name}: none"]
        if self.problem is not None:
            return [*lines, f"no map can be built with these options: {self.problem}"]
        options += " --keep-good" if self.damage else ""
        lines += ["a map would be built from:", *(f"  {line}" for line in self.used)]
        return [*lines, f"next: vpr map build {shlex.quote(self.path)}{options} -m MODEL -o MAP.vprmap"]


def bag_info(path: Path, options: InputOptions, progress: Progress | None = None) -> BagInfo:
    """Reads the bag once as ``vpr map build`` does. Damage in the middle is reported in the result, not raised.

    Raises:
        VprError: it is no bag, or it cannot be opened.
    """
    files = [path] if path.is_file() else [file for file in path.iterdir() if file.is_file()]
    with closing(open_bag(path)) as bag:
        topics = sorted(bag.topics.values(), key=lambda topic: topic.name)
        info = BagInfo(
            path=str(path),
            kind=bag.kind,
            megabytes=sum(file.stat().st_size for file in files) / 1e6,
            start=datetime.fromtimestamp(bag.span[0] / 1e9, timezone.utc).isoformat(timespec="seconds"),
            seconds=(bag.span[1] - bag.span[0]) / 1e9,
            damage=bag.damage,
            images=[described(bag, topic) for topic in topics if topic.type in (RAW, COMPRESSED)],
            poses=[described(bag, topic) for topic in topics if topic.type in KINDS],
        )
    try:
        recording = BagRecording(path, replace(options, keep_good=True))
        info.problem = _read_images(recording, progress)
        info.used = [*recording.notes, *(f"left out: {line}" for line in recording.skip_counts.lines())]
        info.damage = recording.damage
    except VprError as error:
        info.problem = str(error)
    return info


def _read_images(recording: BagRecording, progress: Progress | None) -> str | None:
    """Reads all messages, so that the recording's notes and counts are complete. Why none of the first images can be decoded; None if one can."""
    reasons: list[str] = []
    can_decode = False
    for frame in counted(recording, progress):
        if not can_decode and len(reasons) < _TRIED:
            try:
                image_of(frame)
                can_decode = True
            except VprError as error:
                reasons.append(str(error))
    if can_decode:
        return None
    return f"none of the first {len(reasons)} images can be decoded: {next(iter(reasons), 'there is none')}"
