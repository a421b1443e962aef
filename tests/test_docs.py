"""What the documentation says of the program is what the program is."""

from pathlib import Path

from vpr_aesvc.ros.parameter_specs import all_parameter_specs, table

ROOT = Path(__file__).resolve().parents[1]


def test_the_table_of_the_nodes_parameters_is_that_of_its_settings():
    assert table() in (ROOT / "docs" / "ros.md").read_text()


def test_every_setting_is_explained_and_of_a_kind_that_a_parameter_can_have():
    for setting in all_parameter_specs():
        assert setting.field.description, setting.name
        assert setting.kind in (bool, int, float, str, list[str]) or setting.choices, setting.name
        bounds = setting.bounds()
        assert bounds is None or bounds[0] < bounds[1], setting.name


def test_the_parameter_file_names_only_parameters_that_there_are():
    names, groups = {setting.name for setting in all_parameter_specs()}, []
    for line in (ROOT / "config" / "vpr.yaml").read_text().splitlines():
        words = line.split("#")[0].rstrip()
        if words.startswith("    ") and ":" in words:
            depth, (name, value) = (len(words) - len(words.lstrip())) // 2 - 2, words.strip().split(":", 1)
            groups = [*groups[:depth], name]
            assert not value.strip() or ".".join(groups) in names, line
