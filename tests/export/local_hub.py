"""A Hugging Face hub on loopback: the part of its protocol by which huggingface_hub downloads a snapshot, creates a repository and commits to it."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit


@dataclass
class Hub:
    """What is served.

    Attributes:
        revisions: folder of a repository's files, by ``OWNER/NAME`` and revision (``main``, a commit, ``refs/pr/1``).
        damaged: name of a file that arrives with a wrong byte.
        cut: name of a file whose connection breaks half-way.
        stalled: name of a file that stays half-way until the hub ends. ``reached`` is then set.
        gated: every model asks for its licence to be accepted.
        bot_pull: number of the pull request with the conversion to safetensors.
        written: folder for repositories that are created.
        token: that of a user who may write to repositories of ``someone``; None if nobody may.
        stalled_upload: the upload of a large file is never answered. ``reached`` is then set.
        objects: large files that were uploaded, by their SHA-256; a commit puts them into a repository.
        created: what was asked for with each new repository.
    """

    revisions: dict[tuple[str, str], Path] = field(default_factory=dict)
    damaged: str | None = None
    cut: str | None = None
    stalled: str | None = None
    reached: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    gated: bool = False
    bot_pull: int | None = None
    written: Path | None = None
    token: str | None = None
    stalled_upload: bool = False
    objects: dict[str, bytes] = field(default_factory=dict)
    created: list[dict[str, object]] = field(default_factory=list)
    url: str = ""
    requests: list[str] = field(default_factory=list)

    def find(self, repository: str, revision: str) -> tuple[Path, str] | None:
        """The folder and the commit of a revision, which may be a commit itself."""
        for (name, reference), folder in self.revisions.items():
            commit = reference if len(reference) == 40 else hashlib.sha1(f"{name}@{reference}".encode()).hexdigest()
            if name == repository and revision in (reference, commit):
                return folder, commit
        return None


@contextmanager
def serve(hub: Hub) -> Iterator[Hub]:
    """Serves ``hub`` at ``hub.url``."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.answer(False)

        def do_GET(self) -> None:
            self.answer(True)

        def do_PUT(self) -> None:
            """A large file, at the address that the answer to ``objects/batch`` gave."""
            hub.requests.append(f"PUT {self.path}")
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if hub.stalled_upload:
                hub.reached.set()
                hub.ended.wait(240)
                return
            oid = self.path.rpartition("/")[2]
            assert hashlib.sha256(body).hexdigest() == oid
            hub.objects[oid] = body
            self.send_json({})

        def do_POST(self) -> None:
            path = unquote(urlsplit(self.path).path)
            hub.requests.append(f"POST {path}")
            body = self.body()
            if path == "/api/validate-yaml":
                return self.send_json({"errors": [], "warnings": []})
            if self.headers.get("Authorization") != f"Bearer {hub.token}":
                return self.send_json({"error": "Invalid username or password."}, 401)
            if path == "/api/repos/create":
                asked = json.loads(body)
                if asked["organization"] != "someone":
                    return self.send_json({"error": "You don't have the rights to create a model"}, 403)
                name = f"someone/{asked['name']}"
                if (name, "main") in hub.revisions:
                    return self.send_json(
                        {"error": "You already created this model repo", "url": f"{hub.url}/{name}"}, 409
                    )
                hub.created.append(asked)
                hub.revisions[name, "main"] = folder = hub.written / asked["name"]
                folder.mkdir()
                (folder / ".gitattributes").write_text("*.onnx filter=lfs\n")
                return self.send_json({"url": f"{hub.url}/{name}"})
            words = path.strip("/").split("/")
            if words[2:] == ["info", "lfs", "objects", "batch"]:
                return self.send_json(
                    {"transfer": "basic", "objects": [self.place(one) for one in json.loads(body)["objects"]]}
                )
            folder = hub.revisions["/".join(words[2:4]), "main"]
            if words[4] == "preupload":
                return self.send_json({"files": [upload_mode(folder, one) for one in json.loads(body)["files"]]})
            assert words[4:] == ["commit", "main"], path
            for line in map(json.loads, body.splitlines()):
                change(hub, folder, line["key"], line["value"])
            return self.send_json(
                {"commitUrl": f"{hub.url}/{'/'.join(words[2:4])}/commit/{'0' * 40}", "commitOid": "0" * 40}
            )

        def body(self) -> bytes:
            """The request's body, of known length or in chunks."""
            if "Content-Length" in self.headers:
                return self.rfile.read(int(self.headers["Content-Length"]))
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        def place(self, one: dict[str, object]) -> dict[str, object]:
            """Where a large file is to be put; no place if it is there."""
            known = one["oid"] in hub.objects
            return one if known else {**one, "actions": {"upload": {"href": f"{hub.url}/objects/{one['oid']}"}}}

        def answer(self, with_body: bool) -> None:
            path = unquote(urlsplit(self.path).path)
            hub.requests.append(f"{self.command} {path}")
            words = path.strip("/").split("/")
            if hub.gated:
                return self.missing("GatedRepo")
            if words[:2] == ["api", "models"] and words[4:] == ["discussions"]:
                return self.send_json(discussions(hub))
            if words[:2] == ["api", "models"] and words[4:5] in ([], ["revision"]):
                found = hub.find("/".join(words[2:4]), "/".join(words[5:]) or "main")
                return self.missing("RepoNotFound") if found is None else self.send_json(listing(hub, *found, words))
            if words[:2] == ["api", "models"] and words[4:5] == ["tree"]:
                found = hub.find("/".join(words[2:4]), "/".join(words[5:]))
                return self.missing("RepoNotFound") if found is None else self.send_json(tree(found[0]))
            if words[2:3] == ["resolve"]:
                folder, commit = hub.find("/".join(words[:2]), "/".join(words[3:-1])) or (None, "")
                if folder is not None and (folder / words[-1]).is_file():
                    return self.send_file(folder / words[-1], commit, with_body)
            return self.missing("EntryNotFound" if words[2:3] == ["resolve"] else "RepoNotFound")

        def send_json(self, value: object, status: int = 200) -> None:
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def missing(self, code: str) -> None:
            self.send_response(404)
            self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def send_file(self, path: Path, commit: str, with_body: bool) -> None:
            body = path.read_bytes()
            name = name_of(path)
            if path.name == hub.damaged:
                body = body[:-1] + bytes([body[-1] ^ 1])
            start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
            self.send_response(206 if "Range" in self.headers else 200)
            self.send_header("X-Repo-Commit", commit)
            self.send_header("ETag", f'"{name}"')
            if is_large(path):
                self.send_header("X-Linked-Etag", f'"{name}"')
                self.send_header("X-Linked-Size", str(len(body)))
            self.send_header("Accept-Ranges", "bytes")
            if "Range" in self.headers:
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            if with_body:
                if path.name in (hub.cut, hub.stalled):
                    self.wfile.write(body[start : start + (len(body) - start) // 2])
                    self.wfile.flush()
                    self.close_connection = True
                    if path.name == hub.stalled:
                        hub.reached.set()
                        hub.ended.wait(240)
                    return
                self.wfile.write(body[start:])

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        hub.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()


def is_large(path: Path) -> bool:
    """Whether Git LFS keeps the file."""
    return path.suffix in (".safetensors", ".onnx")


def upload_mode(folder: Path, one: dict[str, str]) -> dict[str, object]:
    """How a file is to be uploaded, and the name of what is there."""
    path = folder / one["path"]
    there = {"oid": name_of(path)} if path.is_file() else {}
    return {"path": one["path"], "uploadMode": "lfs" if is_large(path) else "regular", "shouldIgnore": False, **there}


def change(hub: Hub, folder: Path, key: str, value: dict[str, str]) -> None:
    """One line of a commit."""
    if key == "file":
        (folder / value["path"]).write_bytes(base64.b64decode(value["content"]))
    elif key == "lfsFile":
        (folder / value["path"]).write_bytes(hub.objects[value["oid"]])
    elif key == "deletedFile":
        (folder / value["path"]).unlink()
    else:
        assert key == "header", key


def name_of(path: Path) -> str:
    """The name of a file's content: SHA-256 of a large file, else git's hash."""
    body = path.read_bytes()
    return (
        hashlib.sha256(body).hexdigest()
        if is_large(path)
        else hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()
    )


def tree(folder: Path) -> list[dict[str, object]]:
    """The answer of ``/api/models/ID/tree/REVISION``."""
    files = []
    for path in sorted(folder.iterdir()):
        size = path.stat().st_size
        large = {"lfs": {"oid": name_of(path), "size": size, "pointerSize": 130}} if is_large(path) else {}
        files.append({"type": "file", "path": path.name, "oid": name_of(path)[:40], "size": size, **large})
    return files


def listing(hub: Hub, folder: Path, commit: str, words: list[str]) -> dict[str, object]:
    """The answer of ``/api/models/ID/revision/REVISION``."""
    files = [{"rfilename": path.name} for path in sorted(folder.iterdir())]
    name = "/".join(words[2:4])
    private = any(one["name"] == words[3] and one.get("visibility") == "private" for one in hub.created)
    return {"id": name, "sha": commit, "siblings": files, "tags": [], "private": private}


def discussions(hub: Hub) -> dict[str, object]:
    """The pull requests of a repository: a stranger's and the conversion by the hub's account."""
    common = {
        "isPullRequest": True,
        "status": "open",
        "repo": {"name": "", "type": "model"},
        "createdAt": "2026-01-01T00:00:00.000Z",
    }
    found = [
        {**common, "num": 9, "title": "Adding `safetensors` variant of this model", "author": {"name": "stranger"}}
    ]
    if hub.bot_pull is not None:
        found.append(
            {
                **common,
                "num": hub.bot_pull,
                "title": "Adding `safetensors` variant of this model",
                "author": {"name": "SFconvertbot"},
            }
        )
    return {"discussions": found, "count": len(found), "start": 0}
