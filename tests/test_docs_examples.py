"""Every code block of README and the pages runs: shell commands line by line and Python, in the order of the page."""

import os
import shlex
import shutil
from importlib.util import find_spec

import pytest

from tests.pages import PAGES, blocks, name_of
from tests.workspace import make_inputs, make_models_and_maps
from vpr_aesvc.cli.main import app

NOT_RUN = (  # installation, other programs, and what needs a robot or data that are not in the repository
    "cd ros2_ws",
    "colcon build",
    "docker compose",
    "echo ",
    "evo_ape",
    "export PGPASSWORD",
    "git clone",
    "make ",
    "mkdir -p ~/ws",
    "pip install",
    "ray start",
    "vpr extract my_building/ -o shards/ --ray",
    "python benchmarks/",
    "python3 -m venv",
    "ros2 ",
    "rosdep ",
    "source ",
    "sudo apt",
    "vpr bench pitts30k",
    "vpr data check pitts30k",
    "vpr doctor",
    "vpr fleet",
    "hf auth login",
    "vpr model fetch",
    "vpr model pull",
    "vpr model push",
    "vpr live",
    "vpr view",
)
GIVEN = {  # what a page says that the reader has, beyond the inputs
    "docs/benchmark.md": (),
    "docs/embedded.md": ("model", "building.vprmap", "annex.vprmap", "damaged.vprmap"),
    "docs/evaluate_a_drive.md": ("model", "office.vprmap"),
    "docs/index.md": ("demo",),
    "docs/interop.md": ("building.vprmap",),
    "docs/metric_poses.md": ("model", "office.vprmap"),
    "docs/pose_graph.md": ("model", "office.vprmap", "second_office.vprmap"),
    "docs/recognition.md": ("model", "building.vprmap"),
    "docs/view.md": ("model", "office.vprmap"),
    "docs/search.md": ("model", "building.vprmap"),
}
OTHERS = ("gtsam", "cslam_common_interfaces")  # programs that some blocks are for
INPUTS = ("my_building", "new_images", "new.jpg", "drive", "another_drive", "encoder")
RUN = [page for page in PAGES if any(block.language in ("sh", "python") for block in blocks(page))]


@pytest.fixture(scope="session")
def made(drawn, tmp_path_factory):
    """The inputs, and the models and maps that some pages start from."""
    folder = tmp_path_factory.mktemp("documentation")
    make_inputs(drawn, folder)
    make_models_and_maps(folder)
    (folder / "demo").mkdir()
    (folder / "demo" / "route").symlink_to(folder / "my_building")
    for copy in ("demo/place.vprmap", "annex.vprmap", "damaged.vprmap"):
        shutil.copy(folder / "building.vprmap", folder / copy)
    shutil.copy(folder / "office.vprmap", folder / "second_office.vprmap")
    return folder


@pytest.fixture
def workspace(made, tmp_path, monkeypatch):
    """An empty working directory, with a cache of its own and training of a few steps in place of hundreds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for module in ("paper", "ss2d"):
        monkeypatch.setattr(f"vpr_aesvc.projections.{module}.steps_for", lambda *sizes, **named: 3)
    return tmp_path


def place(made, workspace, names):
    """Inputs as links, maps as copies: a page may change a map."""
    for name in names:
        if name.endswith(".vprmap"):
            shutil.copy(made / name, workspace / name)
        else:
            (workspace / name).symlink_to(made / name)


def run_shell(line, where):
    """One line of a shell block, the `vpr` command in this process."""
    if not line.strip() or line.lstrip().startswith("#") or line.startswith(NOT_RUN):
        return
    words = shlex.split(line, comments=True)
    assert words[0] == "vpr", f"{where}: neither run nor listed as not run: {line}"
    assert not {"&&", "|", ">", ";"} & set(words), f"{where}: {line}"
    if words[1:] == ["--help"]:
        return
    assert app(words[1:], exit_on_error=False) in (None, 0), f"{where}: {line}"


@pytest.mark.parametrize("page", RUN, ids=name_of)
def test_every_example_runs(page, made, workspace):
    pytest.importorskip("torch")
    place(made, workspace, (*INPUTS, *GIVEN.get(name_of(page), ())))
    namespace = {"__name__": "__main__"}
    for block in blocks(page):
        where = f"{name_of(page)}:{block.line}"
        if block.language == "sh":
            for line in block.text.replace("\\\n", " ").splitlines():
                run_shell(line, where)
        elif "postgresql://" in block.text or any(one in block.text and not find_spec(one) for one in OTHERS):
            continue  # needs a server, or another program
        elif block.language == "python":
            exec(compile("\n" * (block.line - 1) + block.text, os.fspath(page), "exec"), namespace)
