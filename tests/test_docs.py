"""The documentation and the parameter file agree with the settings."""

import json
from pathlib import Path

from vpr_aesvc.ros.parameter_specs import all_parameter_specs

ROOT = Path(__file__).resolve().parents[1]


def parameter_table():
    """The node's parameters as a Markdown table."""
    lines = ["| parameter | default | |", "|---|---|---|"]
    for spec in all_parameter_specs():
        default = "not set" if spec.default is None else "`" + json.dumps(spec.default) + "`"
        description = spec.field.description or ""
        description += f" (one of {', '.join(spec.choices)})" if spec.choices and ":" not in description else ""
        lines.append(f"| `{spec.name}` | {default} | {description}{' *' if spec.live else ''} |")
    return "\n".join(lines) + "\n"


def test_the_parameter_table_agrees_with_the_settings():
    assert parameter_table() in (ROOT / "docs" / "ros.md").read_text()


def test_every_setting_has_a_description_and_a_parameter_type():
    for spec in all_parameter_specs():
        assert spec.field.description, spec.name
        assert spec.kind in (bool, int, float, str, list[str]) or spec.choices, spec.name
        bounds = spec.bounds()
        assert bounds is None or bounds[0] < bounds[1], spec.name


def test_the_parameter_file_has_no_unknown_parameter():
    names, groups = {spec.name for spec in all_parameter_specs()}, []
    for line in (ROOT / "config" / "vpr.yaml").read_text().splitlines():
        words = line.split("#")[0].rstrip()
        if words.startswith("    ") and ":" in words:
            depth, (name, value) = (len(words) - len(words.lstrip())) // 2 - 2, words.strip().split(":", 1)
            groups = [*groups[:depth], name]
            assert not value.strip() or ".".join(groups) in names, line
