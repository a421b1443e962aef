"""An export checked on a bag answers queries of the map that was built from the bag."""

from tests.command import vpr
from tests.recordings.bags.bags import write_bag
from tests.recordings.corridor import corridor_frames


def test_a_bag_calibrates_an_export_that_uses_the_map_of_the_original(loop_folder, loop_model, tmp_path):
    frames = [frame for frame in corridor_frames(loop_folder) if frame.lap == 1]
    bag, robot, place_map = tmp_path / "drive", tmp_path / "robot", tmp_path / "m.vprmap"
    write_bag(bag, frames, compressed=True)
    done = vpr("export", loop_model, "-o", robot, "--precision", "int8", "--calibrate", bag)
    assert done.returncode == 0 and "top-1 of" in done.stdout, done.stderr
    assert vpr("map", "build", bag, "-m", loop_model, "-o", place_map).returncode == 0
    answered = vpr("query", place_map, frames[10].path, "-m", robot, "--json")
    assert answered.returncode == 0 and '"place": 11,' in answered.stdout, answered.stdout
    assert {path.stat().st_mode & 0o044 for path in loop_model.iterdir()} == {0o044}, "others must read a model"
