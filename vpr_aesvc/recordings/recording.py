"""What bags, videos and folders with a trajectory have in common as frame sources."""

from pathlib import Path
from typing import TypeVar

from vpr_aesvc.backbones.given import GivenEmbeddings
from vpr_aesvc.frame_source import InputOptions, SkipCounts
from vpr_aesvc.types import Intrinsics

Source = TypeVar("Source", bound="Recording")


class Recording:
    """Base of the ``FrameSource`` that one camera recorded in one go. Poses are those of the camera (x forward,
    y left, z up) in the frame of the pose source; a frame's label is unique within the recording.
    """

    is_recording = True
    is_run = True
    embeddings: GivenEmbeddings | None = None

    def __init__(self, path: Path, options: InputOptions, kind: str) -> None:
        self.path = path
        self.options = options
        self.kind = kind
        self.images = 0  # expected number of images
        self.intrinsics: Intrinsics | None = None
        self.image_size: tuple[int, int] | None = None
        self.notes: list[str] = []
        self.skip_counts = SkipCounts()

    def __len__(self) -> int:
        return self.images

    def split(self: Source, name: str) -> Source:
        """The recording itself: it has no splits."""
        return self
