"""Damage to valid files: bits, blocks, lengths, numbers of headers, and parts of other files. The same seed gives the same damage."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from random import Random

from tests.fuzz.damage_text import NUMBER, NUMBERS, REALS, TEXT_DAMAGE, WORDS, TextDamage

_BYTES = (b"\0", b"\xff", b"\x7f", b"\x80", b"\x01")
_WHOLE = (0, 1, 2, 3, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1)
Damage = Callable[[bytes, Random, Sequence[bytes]], bytes]


def damaged(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """One to three changes.

    Args:
        others: files of other formats, to take parts of.
    """
    kinds = _TEXT if _is_text(data) and random.random() < 0.9 else _BINARY
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        data = random.choice(kinds)(data, random, others)
    return data


def damaged_name(name: str, random: Random) -> str:
    """A name of a file with an absurd number or word in it."""
    found = list(NUMBER.finditer(name))
    if found and random.random() < 0.8:
        one = random.choice(found)
        name = f"{name[: one.start()]}{random.choice(NUMBERS)}{name[one.end() :]}"
    else:
        at = random.randrange(len(name) + 1)
        name = name[:at] + random.choice(WORDS) + name[at + random.randrange(3) :]
    name = (
        name.replace("/", "_")
        .replace("\0", "_")
        .encode("utf-8", "surrogateescape")[:200]
        .decode("utf-8", "surrogateescape")
    )
    return name if name.strip(".") else "_"


def _is_text(data: bytes) -> bool:
    try:
        return "\0" not in data.decode()
    except UnicodeDecodeError:
        return data[:2] in (b"\xff\xfe", b"\xfe\xff")


def _flipped(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    changed = bytearray(data or b"\0")
    for _bit in range(random.choice((1, 1, 2, 8))):
        changed[_place(changed, random)] ^= 1 << random.randrange(8)
    return bytes(changed)


def _overwritten(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    """A number of 1 to 8 bytes becomes an absurd one, where a header may hold a length, a size or a real number."""
    form = random.choice("<>") + random.choice("BHHIIIQQfd")
    value = random.choice(REALS) if form[1] in "fd" else random.choice(_WHOLE)
    if form[1] == "f" and abs(value) > 3e38:
        value = float("inf")
    size = struct.calcsize(form)
    new = struct.pack(form, value if form[1] in "fd" else value % 256**size)
    at = _place(data or b"\0", random)
    return data[:at] + new + data[at + size :]


def _truncated(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    return data[: random.choice((0, 1, len(data) // 2, len(data) - 1, random.randrange(len(data) + 1)))]


def _without_block(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    start, end = _block(data, random)
    return data[:start] + data[end:]


def _repeated(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    start, end = _block(data, random)
    return data[:end] + data[start:end] * random.choice((1, 2, 50)) + data[end:]


def _filled(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    start, end = _block(data, random)
    return data[:start] + random.choice(_BYTES) * (end - start) + data[end:]


def _moved(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    start, end = _block(data, random)
    rest = data[:start] + data[end:]
    at = random.randrange(len(rest) + 1)
    return rest[:at] + data[start:end] + rest[at:]


def _spliced(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """Its beginning, and the end of a file of another format."""
    other = random.choice(others)
    return data[: random.randrange(len(data) + 1)] + other[random.randrange(len(other) + 1) :]


def _exchanged(_data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    return random.choice(others)


def _png_chunk(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """The header of a PNG with an absurd value and a right checksum; another file is flipped."""
    if data[:8] != b"\x89PNG\r\n\x1a\n" or len(data) < 33:
        return _overwritten(data, random, others)
    header = bytearray(data[12:29])
    at = random.choice((4, 8, 12, 13, 16))
    if at < 12:
        header[at : at + 4] = struct.pack(">I", random.choice((0, 1, 4, 2**14, 2**16, 10**6, 2**31 - 1, 2**32 - 1)))
    else:
        header[at] = random.randrange(256)
    return data[:12] + bytes(header) + struct.pack(">I", zlib.crc32(header)) + data[33:]


def _on_text(change: TextDamage) -> Damage:
    def on_bytes(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
        code = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
        errors = "surrogateescape" if code == "utf-8" else "replace"
        return change(data.decode(code, errors), random).encode(code, errors)

    return on_bytes


def _place(data: bytes | bytearray, random: Random) -> int:
    """Headers are hit more often than what they describe."""
    return random.randrange(min(len(data), random.choice((16, 64, 512, len(data)))))


def _block(data: bytes, random: Random) -> tuple[int, int]:
    start = random.randrange(len(data) + 1)
    return start, min(len(data), start + random.choice((1, 2, 4, 8, 16, 64, 512, 4096)))


_ANY = (_flipped, _truncated, _without_block, _repeated, _filled, _moved, _spliced, _exchanged)
_BINARY: Sequence[Damage] = (*_ANY, *(_flipped,) * 4, *(_overwritten,) * 5, *(_png_chunk,) * 2)
_TEXT: Sequence[Damage] = (*_ANY[1:], *map(_on_text, TEXT_DAMAGE))
