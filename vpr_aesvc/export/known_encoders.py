"""The encoders that ``vpr model fetch`` knows by a short name."""

from dataclasses import dataclass

TORCHHUB = "torchhub:"
_COSPLACE = f"{TORCHHUB}gmberton/CosPlace:33ce8d0d2f35a875887b2ef7f00b2dde6cc38dd3:get_trained_model"


@dataclass(frozen=True)
class KnownEncoder:
    """An encoder by name.

    Attributes:
        source: a Hugging Face hub id, or ``torchhub:REPOSITORY:FUNCTION?ARGUMENTS``.
        dim: length of an embedding.
        megabytes: of the download, 10^6 bytes.
        revision: the commit on the hub; None for the newest, where the safetensors are a conversion whose commit is not known here.
    """

    name: str
    source: str
    dim: int
    megabytes: int
    revision: str | None = None


ENCODERS = {
    one.name: one
    for one in (
        KnownEncoder("dinov2-small", "facebook/dinov2-small", 384, 88, "ed25f3a31f01632728cabb09d1542f84ab7b0056"),
        KnownEncoder("dinov2-base", "facebook/dinov2-base", 768, 346, "f9e44c814b77203eaa57a6bdbbd535f21ede1415"),
        KnownEncoder("dinov2-large", "facebook/dinov2-large", 1024, 1218, "47b73eefe95e8d44ec3623f8890bd894b6ea2d6c"),
        KnownEncoder("dino-vits8", "facebook/dino-vits8", 384, 87),
        KnownEncoder("dino-vitb16", "facebook/dino-vitb16", 768, 343),
        # The commit by which the hub converted the weights to safetensors.
        KnownEncoder("clip-b32", "openai/clip-vit-base-patch32", 768, 605, "c237dc49a33fc61debc9276459120b7eac67e7ef"),
        KnownEncoder("clip-b16", "openai/clip-vit-base-patch16", 768, 599),
        KnownEncoder(
            "clip-l14", "openai/clip-vit-large-patch14", 1024, 1711, "32bd64288804d66eefd0ccbe215aa642df71cc41"
        ),
        KnownEncoder(
            "vit-b16", "google/vit-base-patch16-224-in21k", 768, 346, "b4569560a39a0f1af58e3ddaf17facf20ab919b0"
        ),
        # The download includes torchvision's weights, which the code of CosPlace loads first.
        KnownEncoder("cosplace-resnet18-512", f"{_COSPLACE}?backbone=ResNet18&fc_output_dim=512", 512, 93),
        KnownEncoder("cosplace-resnet50-2048", f"{_COSPLACE}?backbone=ResNet50&fc_output_dim=2048", 2048, 214),
    )
}
