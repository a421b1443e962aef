"""Foundation models from ``transformers``: DINOv2, DINOv3, DINO, ViT, the vision towers of CLIP and SigLIP. Needs ``[train]``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from vpr_aesvc.errors import VprError, first_line, require_installed
from vpr_aesvc.fingerprint import fingerprint, require_fingerprint
from vpr_aesvc.images import Preprocess
from vpr_aesvc.types import Image

if TYPE_CHECKING:
    import torch

POOLINGS = ("cls", "mean", "gem")
_RESAMPLE: tuple[Literal["nearest", "lanczos", "linear", "cubic"], ...] = ("nearest", "lanczos", "linear", "cubic")
_GEM_POWER = 3.0  # Radenovic et al., 2018, https://arxiv.org/abs/1711.02512


class HuggingFaceBackbone:
    """A vision transformer from a local folder or the local cache, never from the network.

    Args:
        name: a folder with ``config.json``, or a hub id whose files are in the local Hugging Face cache.
        pooling: ``cls`` token (of SigLIP, which has none, its attention pooling), ``mean`` of the patch tokens, or ``gem`` (generalized mean, power 3) of them.
        expected: the expected fingerprint, compared before the weights are loaded.

    Attributes:
        tower: the vision transformer, a torch module in evaluation mode: ``pixel_values`` -> ``last_hidden_state``.
        preprocess: the image preprocessing.

    Raises:
        VprError: torch or transformers is missing, or the weights are missing, damaged or not the expected ones.
    """

    def __init__(self, name: str, pooling: str = "cls", expected: str | None = None) -> None:
        if pooling not in POOLINGS:
            raise VprError(f"pooling {pooling!r} is not known; expected one of {', '.join(POOLINGS)}")
        require_installed(f"the Hugging Face backbone {name!r}", "torch", "transformers")
        import torch
        import transformers

        folder = _snapshot(name)
        try:
            config = json.loads((folder / "config.json").read_text())
            processor = json.loads((folder / "preprocessor_config.json").read_text())
        except (OSError, json.JSONDecodeError) as error:
            needed = "a Hugging Face folder needs config.json and preprocessor_config.json"
            raise VprError(f"{folder}: {error}; {needed}") from error
        self.preprocess = _preprocess_of(processor, folder)
        weights = sorted([*folder.glob("*.safetensors"), *folder.glob("pytorch_model*.bin")])
        described = json.dumps(config, sort_keys=True), self.preprocess.model_dump_json(), pooling
        self.fingerprint = fingerprint("hf", *described, *weights)
        require_fingerprint(folder, self.fingerprint, expected)
        transformers.utils.logging.set_verbosity_error()
        transformers.utils.logging.disable_progress_bar()
        kind = config.get("model_type", "")
        self._is_siglip = kind in ("siglip", "siglip_vision_model")
        vision = (
            "CLIPVisionModel" if kind.startswith("clip") else "SiglipVisionModel" if self._is_siglip else "AutoModel"
        )
        try:
            model = getattr(transformers, vision).from_pretrained(str(folder), local_files_only=True)
        except Exception as error:  # OSError, ValueError, SafetensorError and others
            raise VprError(f"{folder}: transformers cannot load it ({first_line(error)})") from error
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.tower = getattr(model, "vision_model", model).float().eval().to(self._device)
        settings = getattr(model.config, "vision_config", model.config)
        self._prefix = 0 if self._is_siglip else 1 + int(getattr(settings, "num_register_tokens", 0) or 0)
        self._pooling = pooling
        side = getattr(settings, "patch_size", None)
        height, width = self.preprocess.height, self.preprocess.width
        self.patch_grid = (height // side, width // side) if isinstance(side, int) else None
        self.dim = int(settings.hidden_size)
        self.preprocessing = str(self.preprocess)
        is_local = Path(name).expanduser().is_dir()
        self.spec = f"hf:{folder.resolve() if is_local else name}?pooling={pooling}"

    def embed(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """RGB uint8 images [H, W, 3] -> float32 [n, D], as one batch. Raises VprError: an embedding is not finite."""
        import torch

        with torch.inference_mode():
            return self._pooled(self._tokens(images))

    def embed_with_patches(self, images: Sequence[Image]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """As ``embed``, and the patch tokens float32 [n, h * w, D]."""
        import torch

        with torch.inference_mode():
            tokens = self._tokens(images)
            patches = self._normed(tokens)[:, self._prefix :].float().cpu().numpy()
            return self._pooled(tokens), np.asarray(patches, np.float32)

    def _tokens(self, images: Sequence[NDArray[np.uint8]]) -> torch.Tensor:
        """``last_hidden_state`` [n, 1 + registers + patches, D], as one batch."""
        import torch

        if not images:
            return torch.empty(0, self._prefix + 1, self.dim)
        pixels = torch.from_numpy(np.stack([self.preprocess(image) for image in images])).to(self._device)
        return self.tower(pixel_values=pixels).last_hidden_state  # type: ignore[no-any-return]

    def _pooled(self, tokens: torch.Tensor) -> NDArray[np.float32]:
        embeddings = self.pool(tokens).float().cpu().numpy()
        if not np.isfinite(embeddings).all():
            raise VprError(f"{self.spec}: the embedding is not finite; the weights may be damaged")
        return np.asarray(embeddings, np.float32)

    def pool(self, tokens: torch.Tensor) -> torch.Tensor:
        """``last_hidden_state`` [n, 1 + registers + patches, D] -> embeddings [n, D]."""
        tokens = self._normed(tokens)
        if self._pooling == "cls":
            return self.tower.head(tokens) if self._is_siglip else tokens[:, 0]
        patches = tokens[:, self._prefix :]
        if self._pooling == "mean":
            return patches.mean(1)
        return patches.clamp(min=1e-6).pow(_GEM_POWER).mean(1).pow(1 / _GEM_POWER)

    def _normed(self, tokens: torch.Tensor) -> torch.Tensor:
        """CLIP applies its final layer norm to the class token only, outside last_hidden_state; other models apply it to all tokens."""
        norm = None if self._is_siglip else getattr(self.tower, "post_layernorm", None)
        return tokens if norm is None else norm(tokens)  # type: ignore[no-any-return]


def _snapshot(name: str) -> Path:
    """The folder with the weights: ``name`` itself, or its folder in the local Hugging Face cache."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    from huggingface_hub import constants, snapshot_download

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except Exception as error:  # several types, all for: not in the cache
        raise VprError(
            f"{name!r} is not a folder here and is not in the Hugging Face cache {constants.HF_HUB_CACHE}. On a machine with "
            f"network run `vpr model fetch {name} -o encoder/`, copy encoder/ and give its path; or run `hf download {name}` and copy that "
            "cache; or give the path of a folder that holds config.json, preprocessor_config.json and model.safetensors"
        ) from error


def _preprocess_of(processor: dict[str, Any], folder: Path) -> Preprocess:
    """Converts the settings of ``preprocessor_config.json``."""
    size, crop = processor.get("size", 224), processor.get("crop_size")

    def pair(value: Any) -> tuple[int, int]:
        if isinstance(value, int):
            return value, value
        edge = value.get("shortest_edge")
        return (value.get("height", edge), value.get("width", edge))

    try:
        does_crop = bool(processor.get("do_center_crop")) and crop is not None
        height, width = pair(crop if does_crop else size)
        normalizes = processor.get("do_normalize", True)
        return Preprocess(
            height=height,
            width=width,
            resize="crop" if does_crop or (isinstance(size, dict) and "shortest_edge" in size) else "square",
            short_side=min(pair(size)) if does_crop else None,
            interpolation=dict(enumerate(_RESAMPLE)).get(processor.get("resample", 3), "cubic"),
            scale=processor.get("rescale_factor", 1 / 255) if processor.get("do_rescale", True) else 1.0,
            mean=tuple(processor["image_mean"]) if normalizes else (0.0, 0.0, 0.0),
            std=tuple(processor["image_std"]) if normalizes else (1.0, 1.0, 1.0),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise VprError(
            f"{folder / 'preprocessor_config.json'}: settings not understood ({error}); use the file of the original model"
        ) from error
