"""The page with a run in one file, without a server and without references to other files."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from vpr_aesvc.images import decode_image, encode_jpeg, thumbnail
from vpr_aesvc.placemap.interface import OpenMap
from vpr_aesvc.view.places import DrawnPlaces
from vpr_aesvc.view.recognized_run import RecognizedRun
from vpr_aesvc.view.server import page_files

_LONGEST = 240  # pixels of a picture
_CANDIDATES = 3  # of a frame, with pictures
_MOST_SIMILARITIES = 10_000_000  # bytes; a larger table is left out


def report_page(place_map: OpenMap, run: RecognizedRun) -> bytes:
    """The page; mostly pictures, about 10 kB for each frame and each place that is a candidate. Raises VprError if the map is damaged."""
    drawn, frames = DrawnPlaces.of(place_map), range(len(run))
    details: list[dict[str, Any]] = [json.loads(run.details[at]) for at in frames]
    for one in details:
        one["candidates"] = one["candidates"][:_CANDIDATES]
    shown = {candidate["id"] for one in details for candidate in one["candidates"]}
    has_similarities = len(run) * len(drawn.places) <= _MOST_SIMILARITIES
    content = {
        "map": drawn.content(Path(place_map.path).name),
        "runs": [run.content(drawn)],
        "details": details,
        "frames": [_picture(run.pictures[at]) for at in frames],
        "places": {place: _picture(place_map.thumbnail_jpeg(place)) for place in sorted(shown)},
        "similarities": [_in_bytes(run.similarities(at)) for at in frames] if has_similarities else [],
    }
    return _one_file(page_files(), json.dumps(content)).encode()


def _picture(jpeg: bytes | None) -> str:
    """Scaled down, as base64; empty without one."""
    small = encode_jpeg(thumbnail(decode_image(jpeg), _LONGEST), 70) if jpeg else b""
    return base64.b64encode(small).decode()


def _in_bytes(similarities: bytes) -> str:
    """float32 [n], -1 to 1 -> uint8 [n], 0 to 255, as base64."""
    values = np.rint(127.5 * (np.frombuffer(similarities, np.float32) + 1))
    return base64.b64encode(np.clip(values, 0, 255).astype(np.uint8).tobytes()).decode()


def _one_file(page: dict[str, str], content: str) -> str:
    """All modules become one script, and no other script can run on the page. They share one scope, so their names differ; only the last, ``main.js``,
    does something when it is read."""
    modules = [page[name] for name in sorted(page, key=lambda name: name == "main.js") if name.endswith(".js")]
    script = "(() => {\n" + re.sub(r"^import .*\n|^export ", "", "\n".join(modules), flags=re.MULTILINE) + "})();"
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; script-src 'sha256-{allowed}'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    data = content.replace("<", "\\u003c")
    replaced = {
        '<link rel="stylesheet" href="page/style.css">': f"<style>{page['style.css']}</style>",
        '<meta name="referrer"': f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n<meta name="referrer"',
        '<script type="module" src="page/main.js"></script>': f'<script type="application/json" id="content">{data}</script>\n<script>{script}</script>',
    }
    return re.sub("|".join(map(re.escape, replaced)), lambda found: replaced[found[0]], page["index.html"])
