"""`vpr fleet ...`, and the commands that take an address where they take a map."""

import json
import shutil

import pytest

from tests.command import refused, vpr
from tests.fleet.maps import new_url
from tests.recordings.corridor_bags import corridor_bags  # noqa: F401
from vpr_aesvc.cli.main import app
from vpr_aesvc.errors import VprError
from vpr_aesvc.fleet import open_fleet_map
from vpr_aesvc.placemap import PlaceMap


def answer(*words):
    done = vpr(*words)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def street(drawn_map, tmp_path):
    return shutil.copy(drawn_map, tmp_path / "street.vprmap")


def test_push_pull_sync_and_status(postgres, street, drawn, tmp_path):
    url = new_url(postgres)
    assert "pushed 40 new places, 0 removed" in answer("fleet", "push", street, url, "--robot", "r1", "--thumbnails")
    assert "pushed 0 new places" in answer("fleet", "push", street, url, "--robot", "r1")
    here = tmp_path / "here.vprmap"
    assert "pulled 40 new places" in answer("fleet", "pull", url, "-o", here)
    assert "is whole: 40 places, 40 thumbnails" in answer("map", "check", here)
    asked = []
    for one in (street, here, url):  # the robot's own map, offline, and in the server
        found = [json.loads(line) for line in answer("query", one, drawn, "--json").splitlines()]
        asked.append([(line["accepted"], [match["pose"] for match in line["matches"]]) for line in found])
    assert asked[0] == asked[1] == asked[2] and len(asked[0]) == 12
    text = answer("fleet", "sync", here, url, "--robot", "r2")
    assert "pushed 0 new places" in text and "pulled 0 new places" in text
    (status,) = json.loads(answer("fleet", "status", url, "--json"))
    assert status["places"] == 40 and status["robots"][0]["robot"] == "r1" and status["robots"][0]["frame"] == "map"
    assert "40 places" in answer("fleet", "status", postgres.url)


def test_build_add_info_query_and_export_with_an_address(postgres, drawn, drawn_model, other_streets, tmp_path):
    url = new_url(postgres, thumbnails="yes")
    text = answer("map", "build", drawn, "-m", drawn_model, "-o", url)
    assert "holds 40 places" in text
    refused(vpr("map", "build", drawn, "-m", drawn_model, "-o", url), "exists already")
    found = json.loads(answer("map", "info", url, "--json"))
    assert found["places"] == 40 and found["traverses"][0]["meters"] > 10
    lines = answer("query", url, drawn, "--json").splitlines()
    assert len(lines) == 12
    assert "57 places, 17 of them new" in answer("map", "add", url, other_streets, "--traverse", "other")
    assert "holds" in answer("map", "export", url, tmp_path / "t.tum")


def test_prune_with_an_address_does_what_it_does_with_the_map(postgres, street, tmp_path):
    url = new_url(postgres)
    answer("fleet", "push", street, url, "--robot", "r1", "--thumbnails")
    small, mine = tmp_path / "small.vprmap", tmp_path / "mine.vprmap"
    said = [
        answer("map", "prune", *one, "--places", "25", "--force") for one in ((url, "-o", small), (street, "-o", mine))
    ]
    kept = [
        line.split(" keeps ")[1].split(" and ")[0] for text in said for line in text.splitlines() if " keeps " in line
    ]
    assert kept[0] == kept[1] and len(kept) == 2
    with PlaceMap.open(small) as pruned, PlaceMap.open(mine) as own, open_fleet_map(url) as fleet:
        assert [one.label for one in pruned.places().values()] == [one.label for one in own.places().values()]
        assert len(fleet) == 40 > len(pruned)
    assert sorted(tmp_path.glob(".*")) == []


def test_replay_with_an_address_does_what_it_does_with_the_map(postgres, corridor_bags, tmp_path):  # noqa: F811
    url = new_url(postgres)
    answer("fleet", "push", corridor_bags.map, url, "--robot", "r1", "--thumbnails")
    words = [
        answer("replay", one, corridor_bags.later, "-o", tmp_path / name, "--rate", "1")
        for one, name in ((corridor_bags.map, "own"), (url, "fleet"))
    ]
    assert words[0].split(": ")[-1] == words[1].split(": ")[-1] and (tmp_path / "fleet").is_dir(), words


def test_mistakes_are_one_line(postgres, street, tmp_path):
    secret = "postgresql://u:hunter2@127.0.0.1:1/db?map=city"
    for words in (
        ("fleet", "push", street, secret, "--robot", "r1"),
        ("fleet", "pull", secret, "-o", tmp_path / "x.vprmap"),
        ("query", secret, street.parent),
        ("map", "info", secret),
        ("map", "check", secret),
        ("map", "export", secret, tmp_path / "x.tum", secret),
    ):
        done = vpr(*words)
        refused(done, "", 2 if words[1] == "export" else 1)
        assert "hunter2" not in done.stderr + done.stdout
    assert not (tmp_path / "x.vprmap").exists()
    url = new_url(postgres)
    refused(vpr("fleet", "pull", url, "-o", tmp_path / "x.vprmap", "--near", "1,2"), "--near X,Y and --within METERS")
    refused(vpr("fleet", "push", street, "db.local", "--robot", "r1"), "expected the address of a fleet's map")
    refused(vpr("map", "add", url, street.parent), "vpr fleet push")


def test_a_command_that_needs_a_file_says_so_and_names_the_remedy(street, tmp_path):
    url, output = "postgresql://u:hunter2@127.0.0.1:1/db?map=city", ["-o", tmp_path / "out"]
    for words in (
        ["map", "check", url],
        ["map", "backup", url, *output],
        ["map", "salvage", url, *output],
        ["map", "merge", street, url, *output],
        ["map", "align", street, url, *output],
        ["map", "loops", url, *output],
        ["map", "set-camera", url, street],
        ["pairs", url, street.parent, *output],
        ["fleet", "push", url, url, "--robot", "r1"],
    ):
        with pytest.raises(VprError, match="expected a file, found the address of a fleet's map; `vpr fleet pull URL"):
            app([str(word) for word in words], exit_on_error=False, print_error=False)
    done = vpr("map", "check", url)
    refused(done, "`vpr fleet pull URL -o FILE` writes a part of it to a file")
    assert "hunter2" not in done.stderr + done.stdout
