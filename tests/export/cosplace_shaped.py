"""A repository of torch.hub with the interface and the kinds of layers of CosPlace's: convolutions, L2 norm, GeM, linear, L2 norm."""

from __future__ import annotations

from pathlib import Path

HUBCONF = """
dependencies = ["torch"]
import torch
from shaped_network import Network

def get_trained_model(backbone="ResNet50", fc_output_dim=2048):
    print(f"a model with {backbone} and {fc_output_dim} numbers")
    model = Network(fc_output_dim)
    url = f"https://github.com/gmberton/CosPlace/releases/download/v1.0/{backbone}_{fc_output_dim}_cosplace.pth"
    model.load_state_dict(torch.hub.load_state_dict_from_url(url, map_location="cpu"))
    return model
"""
NETWORK = """
import torch
from torch import nn
from torch.nn import functional

class Unit(nn.Module):
    def forward(self, x):
        return functional.normalize(x, p=2.0, dim=1)

class Gem(nn.Module):
    def __init__(self):
        super().__init__()
        self.power = nn.Parameter(torch.full((1,), 3.0))

    def forward(self, x):
        size = (x.size(-2), x.size(-1))
        return functional.avg_pool2d(x.clamp(min=1e-6).pow(self.power), size).pow(1.0 / self.power)

class Network(nn.Module):
    def __init__(self, numbers):
        super().__init__()
        layers = []
        for taken, given in ((3, 16), (16, 32), (32, 64)):
            layers += [nn.Conv2d(taken, given, 3, 4, 1, bias=False), nn.BatchNorm2d(given), nn.ReLU()]
        self.backbone = nn.Sequential(*layers)
        self.aggregation = nn.Sequential(Unit(), Gem(), nn.Flatten(), nn.Linear(64, numbers), Unit())

    def forward(self, x):
        return self.aggregation(self.backbone(x))
"""


def write_repository(folder: Path) -> Path:
    """Writes ``hubconf.py`` and the network."""
    folder.mkdir(parents=True)
    (folder / "hubconf.py").write_text(HUBCONF)
    (folder / "shaped_network.py").write_text(NETWORK)
    return folder


def network(numbers: int):
    """The network in evaluation mode, with random weights and statistics of its batch norms that are not the initial ones."""
    import torch

    names: dict[str, type] = {}
    exec(NETWORK, names)
    torch.manual_seed(0)
    made = names["Network"](numbers)
    made(torch.rand(4, 3, 96, 128))
    return made.eval()
