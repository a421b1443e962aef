"""Made inputs with the layout of the real ones: a loop of drawn images, an ONNX encoder and a transformer of random weights."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.recordings.corridor import LAP, SMEARED

WIDTH, HEIGHT = 512, 384
LAP_FRAMES = 40
CLIP_FRAMES, CLIP_QUERIES, CLIP_SECONDS = 1518, 265, 27
_SIDE, _FILTERS, _CELLS, _KERNEL, _STRIDE = 96, 36, 4, 8, 4


def write_loop(route: Path, folder: Path) -> Path:
    """Writes ``frames.csv`` and 84 images like ``corridor_loop``: lap 1 is the first 40 images of a drawn route.

    Laps 2 and 3 show lap 1 again, from a little farther ahead (a crop), darker and with noise. Frame 40 is smeared.
    """
    images = [cv2.imread(str(path)) for path in sorted((route / "images" / "morning").glob("*.jpg"))[:LAP_FRAMES]]
    images = [cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC) for image in images]
    (folder / "frames").mkdir(parents=True)
    rows = [("path", "split", "sequence", "index", "lap")]
    for number in range(1, 85):
        lap = 1 if number <= 40 else 2 if number <= 80 else 3
        index = number - (0, LAP, 80)[lap - 1]
        image = images[int(index) - 1]
        if number == SMEARED:
            image = cv2.blur(image, (41, 1))
        if lap > 1:
            image = _seen_again(image, number)
        path = f"frames/{number:03d}.jpg"
        cv2.imwrite(str(folder / path), image, [cv2.IMWRITE_JPEG_QUALITY, 92])
        rows.append((path, "database" if lap == 1 else "query", "loop", f"{index:g}", str(lap)))
    with (folder / "frames.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder


def _seen_again(image: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    random = np.random.default_rng(seed)
    x, y = random.integers(4, 14, 2)
    closer = cv2.resize(image[y : HEIGHT - 18 + y, x : WIDTH - 24 + x], (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.clip(random.uniform(0.75, 0.95) * closer + random.normal(0, 3, closer.shape), 0, 255).astype(np.uint8)


def write_clips(route: Path, folder: Path) -> Path:
    """Writes ``frames.csv`` and 1,518 images like ``ie_tower``: each clip pans over one drawn image. Queries are noisier."""
    drawn = [cv2.imread(str(path)) for path in sorted((route / "images").rglob("*.jpg"))]
    noise = np.random.default_rng(0).normal(0, 3, (180, 320, 3))
    rows = [("path", "split", "sequence", "index", "floor", "area")]
    for number in range(CLIP_FRAMES):
        clip, second = divmod(number, CLIP_SECONDS)
        image = drawn[clip % len(drawn)]
        image = image[:, ::-1] if clip % 2 else image
        x, y = 3 * second, (5 * clip + second) % 100
        image = cv2.resize(image[y : y + 135, x : x + 240], (320, 180), interpolation=cv2.INTER_CUBIC)
        is_query = (number + 1) * CLIP_QUERIES // CLIP_FRAMES > number * CLIP_QUERIES // CLIP_FRAMES
        shifted = np.roll(noise, 997 * number) * (2 if is_query else 1)
        path = folder / f"floor{clip % 13}" / f"{clip:02d}_{second:02d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.clip(image + shifted, 0, 255).astype(np.uint8))
        split, floor = "query" if is_query else "database", path.parent.name
        rows.append((f"{floor}/{path.name}", split, f"clip{clip}", str(second), floor, "street"))
    with (folder / "frames.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder


def write_encoder(folder: Path) -> Path:
    """Writes ``model.onnx`` and ``preprocess.json``: a convolution of random weights and its mean in 4 x 4 cells, 576 numbers."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    folder.mkdir(parents=True)
    kernels = np.random.default_rng(0).normal(0, 0.2, (_FILTERS, 3, _KERNEL, _KERNEL)).astype(np.float32)
    kernels -= kernels.mean((1, 2, 3), keepdims=True)  # brightness does not matter
    window = ((_SIDE - _KERNEL) // _STRIDE + 1) // _CELLS
    crop = _KERNEL + (window * _CELLS - 1) * _STRIDE  # what the cells cover
    nodes = [
        helper.make_node("Conv", ["image", "kernels"], ["edges"], "convolution", strides=[_STRIDE] * 2),
        helper.make_node("Relu", ["edges"], ["rectified"]),
        helper.make_node("AveragePool", ["rectified"], ["cells"], kernel_shape=[window] * 2, strides=[window] * 2),
        helper.make_node("Flatten", ["cells"], ["embedding"]),
    ]
    dim = _FILTERS * _CELLS**2
    graph = helper.make_graph(
        nodes,
        "encoder",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, crop, crop])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", dim])],
        [numpy_helper.from_array(kernels, "kernels")],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "model.onnx"
    )
    description = {
        "input": {
            "name": "image",
            "size": [crop, crop],
            "colour": "RGB",
            "mean": [0.485, 0.456, 0.406],
            "std": [0.229, 0.224, 0.225],
        },
        "output": {"name": "embedding", "size": dim},
    }
    (folder / "preprocess.json").write_text(json.dumps(description))
    return folder


def write_transformer(folder: Path) -> Path:
    """Writes a small ViT of random weights as transformers saves it: 224 x 224 pixels, 192 numbers."""
    import torch
    from transformers import ViTConfig, ViTModel

    torch.manual_seed(0)
    config = ViTConfig(hidden_size=192, num_hidden_layers=2, num_attention_heads=3, intermediate_size=384)
    ViTModel(config, add_pooling_layer=False).save_pretrained(folder)
    settings = {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": 224, "width": 224},
        "resample": 3,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    return folder


def write_dinov2(folder: Path) -> Path:
    """Writes a Hugging Face folder of a small DINOv2 of random weights."""
    import torch
    import transformers

    torch.manual_seed(0)
    config = transformers.Dinov2Config(
        hidden_size=48, num_hidden_layers=2, num_attention_heads=3, image_size=70, patch_size=14
    )
    transformers.Dinov2Model(config).save_pretrained(folder)
    settings = {"do_center_crop": True, "crop_size": {"height": 70, "width": 70}, "size": {"shortest_edge": 80}}
    settings |= {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225], "resample": 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    return folder
