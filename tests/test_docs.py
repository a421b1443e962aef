"""The documentation agrees with the settings and the commands, its links resolve, and its pages keep to their length."""

import ast
import json
import re
import string

import pytest

from tests.pages import PAGES, ROOT, blocks, code_spans, commands, name_of, without_blocks
from vpr_aesvc.ros.parameter_specs import all_parameter_specs

COMMANDS = commands()
OPTIONS = set().union(*COMMANDS.values(), {"--version", "--install-completion"})
OTHER_OPTIONS = {  # of other programs
    "--break-system-packages",
    "--child-frame-id",
    "--clock",
    "--constraint",
    "--frame-id",
    "--from-paths",
    "--head",
    "--ignore-src",
    "--local-dir",
    "--merge-install",
    "--qos-profile-overrides-path",
    "--revision",
    "--symlink-install",
}
DESIGN_PAGES = ("docs/design.md",)
MOST_WORDS = {"README.md": 1000, "docs/recognition.md": 1800}


def parameter_table():
    """The node's parameters as a Markdown table."""
    lines = ["| parameter | default | meaning |", "|---|---|---|"]
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
        assert spec.kind in (bool, int, float, str, list[str], list[float]) or spec.choices, spec.name
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


@pytest.mark.parametrize("name", MOST_WORDS)
def test_a_page_keeps_to_its_length(name):
    assert len((ROOT / name).read_text().split()) <= MOST_WORDS[name]


def anchors(page):
    """The anchors of a page's headings, as Python-Markdown makes them."""
    slugs = []
    for heading in re.findall(r"^#+ (.+)$", without_blocks(page), re.MULTILINE):
        words = re.sub(r"[^\w\s-]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)).strip().lower()
        slugs.append(re.sub(r"[-\s]+", "-", words))
    return slugs


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_resolves(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", without_blocks(page)):
        if target.startswith(("https://", "http://")):
            continue
        file, _, anchor = target.partition("#")
        path = (page.parent / file).resolve() if file else page
        assert path.is_file(), target
        assert not anchor or anchor in anchors(path), target


def test_every_page_is_in_the_navigation():
    listed = set(re.findall(r"[\w/]+\.md", (ROOT / "mkdocs.yml").read_text()))
    assert listed == {page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_examples_import_only_the_public_names(page):
    if name_of(page) in DESIGN_PAGES:
        return
    for block in blocks(page):
        assert not re.search(r"(from|import) vpr_aesvc\.(?!sklearn )", block.text), f"{name_of(page)}:{block.line}"


def check_command(text, where):
    """``vpr ...``: the command exists, and it has each option that the text gives it."""
    words = re.split(r"&&|[|;#\n]", text)[0].split()[1:]
    if not words or words[0].startswith("-"):
        return
    if words[0].strip(string.punctuation).isupper():  # vpr COMMAND --help
        return
    groups = {one[0] for one in COMMANDS if len(one) == 2}
    parts = tuple(word.strip(".,:`'\")") for word in words[: 2 if words[0] in groups else 1])
    if len(parts) == 1 and parts[0] in groups:
        return
    assert parts in COMMANDS, f"{where}: no command {text!r}"
    for option in re.findall(r"(?<=\s)(--[a-z][a-z-]*|-[a-z])\b", " ".join(words)):
        assert option in COMMANDS[parts], f"{where}: {' '.join(parts)} has no option {option}: {text!r}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_pages_name_only_commands_and_options_that_exist(page):
    lines = [line for block in blocks(page) if block.language == "sh" for line in block.text.splitlines()]
    spans = [" ".join(span.split()) for span in code_spans(page)]
    for text in (*lines, *spans):
        if text.startswith("vpr "):
            check_command(text, name_of(page))
    benchmarks = "".join(file.read_text() for file in (ROOT / "benchmarks").glob("*.py"))
    for span in spans:
        if span.startswith("--"):
            option = re.match(r"--[a-z-]+", span)[0]
            known = option in OPTIONS | OTHER_OPTIONS or f'"{option}"' in benchmarks
            assert known, f"{name_of(page)}: {span}"


def messages(file):
    """The strings of a Python file, docstrings included; an embedded expression becomes X."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


SOURCES = sorted(file for folder in ("vpr_aesvc", "launch", "benchmarks") for file in (ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("file", SOURCES, ids=name_of)
def test_messages_name_only_commands_and_options_that_exist(file):
    names = {words[0] for words in COMMANDS}
    for message in messages(file):
        text = re.sub(r"\[/?[a-z]*\]", "", message)  # rich markup
        for match in re.finditer(r"(?<![\w/.-])vpr ([a-z]+)\b[^`\n,;:()]*", text):
            if match[1] in names or match.string[match.start() - 1 : match.start()] == "`":
                check_command(match[0], name_of(file))
        for group, command in re.findall(r"`(map|bag|data) ([a-z-]+)", text):  # the same without "vpr"
            assert (group, command) in COMMANDS, f"{name_of(file)}: {text!r}"
        if file.is_relative_to(ROOT / "vpr_aesvc"):  # benchmarks have options of their own
            for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z](?![\w-])", text):
                assert option in OPTIONS | OTHER_OPTIONS, f"{name_of(file)}: {text!r}"


@pytest.mark.parametrize("file", [*SOURCES, *PAGES], ids=name_of)
def test_the_package_is_installed_from_the_clone_only(file):
    """It is on no index; a missing library is named as the index names it."""
    assert not re.search(r"vpr[_-]aesvc\[|pip install '?vpr", file.read_text())
