"""Damage to text: absurd numbers and words, lines and columns out of order, values and keys of JSON, other separators and line ends."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from random import Random

NUMBERS = (
    *("nan", "inf", "-inf", "-0", "0", "-1", "1", "1e308", "-1e308", "1e-320", "1e400", "0x10", "1_000", "", " "),
    *("255", "256", "65535", "65536", str(2**31 - 1), str(2**31), str(2**32), str(2**53 + 1), str(2**63), str(2**64)),
    *("9" * 400, "0." + "0" * 400 + "1", "1,5", "1;2", "١٢", "NaN", "Infinity", "None", "null", "true", "1e", "--1", "²"),
)  # fmt: skip
WORDS = (
    *("", " ", "\t", "\r", "\n", "\r\n", "\0", "\x1b[31m", "\ufeff", "\u2028", "\x85", "\udcff", "é", "日本", "🤖", "a" * 5000, '"', "'"),
    *(",", ";", ",,,,", "#", "%", "@", "..", "../..", "/", "\\", "/dev/zero", "/proc/self/mem", "{}", "[]", "[[[[", "{" * 3000, "<!--"),
    *("database", "query", "stamp", "x", "&a [*a]", "!!python/object:os.system ls", "*a", "%s%n", "NULL", "-", "--", "."),
)  # fmt: skip
REALS = (float("nan"), float("inf"), -float("inf"), 1e308, -1e308, 1e-320, -0.0, 1e19, 1e38)
NUMBER = re.compile(r"[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?")
_VALUES = (None, True, False, "", [], {}, [[]], 0, -1, 1, 0.5, 3, 2**31, 2**63, 10**30, *REALS, *WORDS[:30], [1] * 1000)
TextDamage = Callable[[str, Random], str]


def one_number(text: str, random: Random) -> str:
    found = list(NUMBER.finditer(text))
    if not found:
        return text + random.choice(NUMBERS)
    one = random.choice(found)
    value = random.choice(NUMBERS)
    if random.random() < 0.3:  # the same number in another unit, or another sign
        value = random.choice((f"-{one[0]}", f"{one[0]}000", f"{one[0]}e9", one[0][::-1]))
    return text[: one.start()] + value + text[one.end() :]


def column(text: str, random: Random) -> str:
    """One number of every line becomes the same absurd one."""
    which, value = random.randrange(12), random.choice(NUMBERS)
    lines = []
    for line in text.split("\n"):
        found = list(NUMBER.finditer(line))
        if which < len(found):
            line = line[: found[which].start()] + value + line[found[which].end() :]
        lines.append(line)
    return "\n".join(lines)


def one_word(text: str, random: Random) -> str:
    at = random.randrange(len(text) + 1)
    return text[:at] + random.choice(WORDS) + text[at + random.choice((0, 0, 1, 5)) :]


def line_order(text: str, random: Random) -> str:
    lines = text.splitlines(keepends=True) or [""]
    at = random.randrange(len(lines))
    what = random.randrange(6)
    if what == 0:
        del lines[at]
    elif what == 1:
        lines.insert(at, random.choice(lines))
    elif what == 2:
        random.shuffle(lines)
    elif what == 3:
        lines[at] *= random.choice((2, 300))
    elif what == 4:
        lines = lines[:1]
    else:
        lines[at] = " ".join(reversed(lines[at].split())) + "\n"
    return "".join(lines)


def json_value(text: str, random: Random) -> str:
    """One value of a JSON document becomes an absurd one, or its key is renamed; other text gets an absurd number."""
    try:
        content = json.loads(text)
    except ValueError:
        return one_number(text, random)
    places: list[tuple[dict | list, str | int]] = []

    def walk(value: object) -> None:
        for key, inner in (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        ):
            places.append((value, key))
            walk(inner)

    walk(content)
    if not places:
        return one_word(text, random)
    holder, key = random.choice(places)
    what = random.random()
    if what < 0.1:
        del holder[key]
    elif what < 0.2 and isinstance(holder, dict):
        holder[random.choice(WORDS)] = holder.pop(key)
    else:
        holder[key] = random.choice(_VALUES)
    return json.dumps(content)


def mark(text: str, random: Random) -> str:
    """A byte order mark, other line ends, or other separators."""
    what = random.randrange(5)
    if what == 0:
        return "\ufeff" + text
    if what == 1:
        return text.replace("\n", random.choice(("\r\n", "\r", "\n\n", "\x0b")))
    if what == 2:
        return text.replace(",", random.choice(";\t |"))
    if what == 3:
        return text.replace(" ", random.choice((",", ";", "\t", "  ", ", ")))
    return text.replace(".", ",")


TEXT_DAMAGE: tuple[TextDamage, ...] = (
    *(one_number,) * 3, *(column,) * 2, *(one_word,) * 2, *(line_order,) * 2, *(json_value,) * 3, mark
)  # fmt: skip
