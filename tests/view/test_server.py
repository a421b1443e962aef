"""What the server of `vpr view` answers, and to whom."""

import http.client
import json
import os
import socket
import sys
import urllib.parse

import pytest

from tests.command import VPR, refused, vpr
from tests.view.conftest import HOSTILE, MOVED, viewed


def get(address, path, method="GET", **headers):
    """Status, headers and body. The path is sent as it is: nothing resolves `..` on the way."""
    place = urllib.parse.urlsplit(address)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=20)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    return answer.status, dict(answer.getheaders()), answer.read()


def test_the_answers_are_those_of_query(address, scene, run, drawn_map):
    done = vpr("query", drawn_map, run, "--no-sequence", "--false-positive-rate", "0.2", "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    (shown,) = scene["runs"]
    assert shown["frames"] == len(lines) == 12 and shown["label"][0].endswith(HOSTILE)
    for at, line in enumerate(lines):
        detail = json.loads(get(address, f"/frame/0/{at}")[2])
        assert [one["id"] for one in detail["candidates"]] == [match["place"] for match in line["matches"]]
        assert line["accepted"] == (shown["verdict"][at] != "refused")
        assert detail["why"] == line["why"] and scene["map"]["ids"][shown["best"][at]] == line["matches"][0]["place"]
        assert detail["probability"] == pytest.approx(line["probability"], abs=1e-4)


def test_the_key_points_that_agree_are_within_both_pictures(address):
    best = json.loads(get(address, "/frame/0/1")[2])["candidates"][0]
    points = best["points"]
    assert len(points) == 4 * min(best["inliers"], 150) >= 48
    assert min(points) >= 0 and max(points[::2]) <= 1000 and max(points[1::2]) <= 750  # pictures of 4 : 3
    assert get(address, "/frame/0/1.jpg")[2][:3] == get(address, f"/place/{best['id']}.jpg")[2][:3] == b"\xff\xd8\xff"


def test_wrong_is_what_is_far_from_the_frames_pose(scene):
    (shown,) = scene["runs"]
    assert shown["truth"] == "right within 1 m" and shown["error"][MOVED] > 20
    for verdict, error, right in zip(shown["verdict"], shown["error"], shown["right"], strict=True):
        assert right == (error <= 1) and (verdict == "refused" or verdict == ("accepted" if error <= 1 else "wrong"))
    assert {"accepted", "wrong"} <= set(shown["verdict"]) and shown["verdict"][MOVED] == "wrong"


@pytest.mark.parametrize(
    "path",
    [
        "/page/../server.py",
        "/page/%2e%2e/server.py",
        "/page/..%2fserver.py",
        "/page/%2Fetc%2Fpasswd",
        "/../../../../etc/passwd",
        "/place/../../etc/passwd",
        "/place/-1.jpg",
        "/place/99999999999999999999999999.jpg",
        "/frame/0/12.jpg",
        "/frame/1/0",
        "/page/__init__.js",
    ],
)
def test_no_path_leads_out(address, path):
    status, headers, body = get(address, path)
    assert (status, body) in ((404, b"not found"), (404, b"Not Found"))
    assert headers["content-security-policy"].startswith("default-src 'none'")


def test_only_reading_and_only_this_machine(address):
    for method in ("POST", "PUT", "DELETE"):
        assert get(address, "/scene", method)[0] == 405
    assert get(address, "/scene", Host="evil.example")[0] == 403  # another site's page, by DNS rebinding
    assert get(address, "/scene", Host="localhost:1")[0] == 200
    page = get(address, "/")
    assert page[0] == 200 and page[1]["x-content-type-options"] == "nosniff" and b"http" not in page[2]


def test_another_address_needs_the_token(drawn_map):
    with viewed(drawn_map, "--host", "0.0.0.0") as address:
        token = address.partition("?token=")[2]
        own = address.replace("0.0.0.0", "127.0.0.1")
        assert (
            len(token) > 20
            and get(own, "/")[0] == get(own, "/scene?token=wrong")[0] == get(own, "/place/1.jpg")[0] == 403
        )
        status, headers, _ = get(own, f"/?token={token}")
        assert status == 303 and headers["location"] == "/" and "HttpOnly" in headers["set-cookie"]
        assert get(own, "/scene", Cookie=headers["set-cookie"].partition(";")[0])[0] == 200


def test_what_cannot_be_served(drawn_map, tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused(vpr("view", drawn_map, "--port", port), "choose another --host or --port")
    refused(vpr("view", drawn_map, tmp_path / "none"), "no such file")
    (tmp_path / "starlette.py").write_text("raise ImportError('not installed')")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    refused(vpr("view", drawn_map), "vpr view needs starlette and uvicorn: pip install starlette uvicorn")
    assert VPR[0] == sys.executable
