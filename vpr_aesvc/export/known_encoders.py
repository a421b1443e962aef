"""The encoders that ``vpr model fetch`` knows by a short name, from ``encoders.toml``."""

import sys
from dataclasses import dataclass
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TORCHHUB = "torchhub:"


@dataclass(frozen=True)
class KnownEncoder:
    """An encoder by name.

    Attributes:
        source: a Hugging Face hub id, ``torchhub:REPOSITORY:FUNCTION?ARGUMENTS``, or the page of one that cannot be fetched.
        dim: length of an embedding.
        licence: of the weights.
        image: height and width in pixels.
        good_for: one sentence.
        megabytes: of the download, 10^6 bytes; None if not known here.
        revision: the commit on the hub; None for the newest, where the safetensors are a conversion whose commit is not known here.
        sha256: of ``model.safetensors``; None if not known here.
        gated: the licence must be accepted on the hub first.
        interpolation: of the resize of images for a torch.hub encoder.
        packages: that a torch.hub encoder imports, beside torch.
        by_hand: of one that cannot be fetched, what to do instead.
    """

    name: str
    source: str
    dim: int
    licence: str
    image: tuple[int, int]
    good_for: str
    megabytes: int | None = None
    revision: str | None = None
    sha256: str | None = None
    gated: bool = False
    interpolation: str = "linear"
    packages: str = "torchvision"
    by_hand: str | None = None

    @property
    def page(self) -> str:
        """Where it comes from, for people."""
        place, _, _ = self.source.removeprefix(TORCHHUB).partition(":")
        if self.by_hand:
            return self.source
        return f"github.com/{place}" if self.source.startswith(TORCHHUB) else f"huggingface.co/{self.source}"


ENCODERS = {
    name: KnownEncoder(name, **{**fields, "image": tuple(fields["image"])})
    for name, fields in tomllib.loads(Path(__file__).with_name("encoders.toml").read_text()).items()
}
