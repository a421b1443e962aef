"""Stand-ins for `paper.py`: small encoders of random weights with the paper's architectures, and small sets with the folder layouts of the real ones.

The images of the sets are those of ie_tower; its clips serve as places and as products. Figures on stand-ins show that the run works. They say nothing
about the paper's encoders and sets.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.conftest import DATA
from tests.datasets.pitts_shaped import cut, make_pitts_shaped
from vpr_aesvc.inputs import open_input
from vpr_aesvc.types import Frame

SIDE, DIM = 112, 64
IMAGE_MEAN, IMAGE_STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
SPECIFIC = "cosplace-random"
REAL = {"vit-tiny": "vit_tiny_patch16_224", "mobilenet-v3": "mobilenet_v3_small"}


def make_backbones(folder: Path) -> dict[str, str]:
    """Name -> backbone: four of random weights, and the real ones that the shared data has."""
    import torch
    import transformers as t

    small = {"hidden_size": DIM, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": SIDE}
    made: dict[str, Any] = {
        "dinov2-random": lambda: t.Dinov2Model(t.Dinov2Config(**small, patch_size=14)),
        "dino-s8-random": lambda: t.ViTModel(t.ViTConfig(**small, patch_size=8, intermediate_size=4 * DIM)),
        "clip-random": lambda: t.CLIPVisionModel(t.CLIPVisionConfig(**small, patch_size=16, intermediate_size=4 * DIM)),
    }
    settings = {"size": {"height": SIDE, "width": SIDE}, "image_mean": IMAGE_MEAN, "image_std": IMAGE_STD}
    for name, make in made.items():
        torch.manual_seed(0)
        make().save_pretrained(folder / name)
        (folder / name / "preprocessor_config.json").write_text(json.dumps(settings))
    _write_cosplace(folder / SPECIFIC)
    real = {name: str(DATA / "models" / one) for name, one in REAL.items() if (DATA / "models" / one).is_dir()}
    return {**{name: str(folder / name) for name in (*made, SPECIFIC)}, **real}


def _write_cosplace(folder: Path) -> None:
    """A residual network, GeM pooling and a fully connected layer, as ONNX."""
    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self, inside: int, outside: int) -> None:
            super().__init__()
            self.path = nn.Sequential(
                nn.Conv2d(inside, outside, 3, 2, 1), nn.ReLU(), nn.Conv2d(outside, outside, 3, 1, 1)
            )
            self.short = nn.Conv2d(inside, outside, 1, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (self.path(x) + self.short(x)).relu()

    class CosPlaceShaped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.Sequential(nn.Conv2d(3, 16, 7, 2, 3), nn.ReLU(), Block(16, 32), Block(32, 64))
            self.last = nn.Linear(64, DIM)

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            pooled = self.blocks(image).clamp(min=1e-6).pow(3).mean((2, 3)).pow(1 / 3)
            return nn.functional.normalize(self.last(nn.functional.normalize(pooled)))

    folder.mkdir(parents=True)
    torch.manual_seed(0)
    names: dict[str, Any] = {"input_names": ["image"], "output_names": ["embedding"]}
    free = {"image": {0: "n"}, "embedding": {0: "n"}}
    shape = torch.zeros(2, 3, SIDE, SIDE)
    torch.onnx.export(
        CosPlaceShaped().eval(), (shape,), folder / "model.onnx", dynamo=False, dynamic_axes=free, **names
    )
    layout = {"name": "image", "size": [SIDE, SIDE], "colour": "RGB", "mean": IMAGE_MEAN, "std": IMAGE_STD}
    (folder / "preprocess.json").write_text(json.dumps({"input": layout, "output": {"name": "embedding", "size": DIM}}))


def make_sets(folder: Path, tower: Path, database: int = 120, queries: int = 40) -> dict[str, Path]:
    """Name -> folder of the four sets, each of about so many images; the images are links."""
    clips = _clips(tower)
    make_pitts_shaped(folder / "pitts30k", tower, database, queries, "published")
    _make_tokyo(folder / "tokyo247", clips, database, queries)
    _make_sop(folder / "sop", clips, database)
    _make_inshop(folder / "inshop", clips, database, queries)
    return {name: folder / name for name in ("pitts30k", "tokyo247", "sop", "inshop")}


def _make_tokyo(root: Path, clips: list[tuple[list[Path], list[Path]]], database: int, queries: int) -> None:
    """The layout of VPR-datasets-downloader: panoramas of twelve images; each query of the clip of its panorama."""
    east, north = 381_904.0, 3_946_329.0
    panoramas = database // 12
    for number in range(panoramas):
        place = f"@{cut(east + 40 * number)}@{cut(north)}@54@S@035.65375@0139.69540"
        frames, asked = clips[number % len(clips)]
        for tile in range(12):
            _link(root / f"images/test/database/{place}@pano{number:018d}@{tile:02d}@@@@@@@.jpg", frames[tile])
        for query in range(number, queries, panoramas):
            name = f"{query:05d}.jpg"
            source = asked[query // panoramas % len(asked)]
            _link(root / f"images/test/queries/{place}@{name}@@@@@@@@.jpg", source)
            _link(root / "247query_subset_v2" / name, source)
            row = f"{name},35.65,139.69,0,0,{'DSN'[query % 3]}\n"
            (root / "247query_subset_v2" / name).with_suffix(".csv").write_text(row)


def _make_sop(root: Path, clips: list[tuple[list[Path], list[Path]]], images: int) -> None:
    """Four images of each product."""
    lines = ["image_id class_id super_class_id path"]
    for product in range(images // 4):
        frames = clips[product % len(clips)][0]
        for view, source in enumerate(frames[4 * (product // len(clips)) :][:4]):
            name = f"chair_final/{product}_{view}.JPG"
            _link(root / name, source)
            lines.append(f"{len(lines)} {11_319 + product} 1 {name}")
    (root / "Ebay_test.txt").write_text("\n".join(lines) + "\n")


def _make_inshop(root: Path, clips: list[tuple[list[Path], list[Path]]], gallery: int, queries: int) -> None:
    """Four gallery images of each item and one query or two."""
    rows = []
    items = gallery // 4
    for item in range(items):
        frames, asked = clips[item % len(clips)]
        chosen = [("gallery", path) for path in frames[4 * (item // len(clips)) :][:4]]
        chosen += [("query", asked[at // items % len(asked)]) for at in range(item, queries, items)]
        for view, (status, source) in enumerate(chosen):
            name = f"img/WOMEN/id_{item:08d}/{view:02d}.jpg"
            _link(root / name, source)
            rows.append(f"{name} id_{item:08d} {status}")
    (root / "Eval").mkdir()
    header = f"{len(rows)}\nimage_name item_id evaluation_status\n"
    (root / "Eval" / "list_eval_partition.txt").write_text(header + "\n".join(rows) + "\n")


def _clips(tower: Path) -> list[tuple[list[Path], list[Path]]]:
    """Database and query images of each clip that has at least 12 and 1, those nearest to its middle query first."""
    found: dict[str | None, tuple[list[Frame], list[Frame]]] = {}
    for frame in open_input(tower).frames:
        found.setdefault(frame.sequence, ([], []))[frame.split == "query"].append(frame)
    clips = []
    for frames, asked in found.values():
        if len(frames) >= 12 and asked:
            center = float(np.median([frame.index or 0 for frame in asked]))
            near = [sorted(part, key=lambda frame: abs((frame.index or 0) - center)) for part in (frames, asked)]
            clips.append(tuple([Path(str(frame.path)).resolve() for frame in part] for part in near))
    return clips


def _link(path: Path, source: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(source)
