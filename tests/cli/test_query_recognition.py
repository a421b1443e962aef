"""`vpr query` where it is asked to decide."""

import json

from tests.command import refused, vpr


def lines(*words):
    done = vpr("query", *words, "--json")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_matches_are_accepted_or_not_with_a_reason(drawn, drawn_map):
    plain, _ = lines(drawn_map, drawn)
    assert all(set(line) == {"query", "matches"} for line in plain)
    found, said = lines(drawn_map, drawn, "--sequence", "--geometry", "--false-positive-rate", "0.05")
    assert len(found) == 12 and "accepted at a false-positive rate of 0.05" in said and "R@1" in said
    for line in found:
        assert line["accepted"] == (line["false_positive_rate"] <= 0.05) and 0 <= line["probability"] <= 1
        assert line["why"].startswith("accepted" if line["accepted"] else "not accepted")
    assert any(line["accepted"] for line in found)
    table = vpr("query", drawn_map, drawn, "--false-positive-rate", "0.1")
    assert "probability" in table.stdout


def test_what_cannot_be_asked_for(drawn, drawn_map):
    refused(vpr("query", drawn_map, drawn, "--false-positive-rate", "0.7"), "--false-positive-rate")
    refused(vpr("query", drawn_map, drawn, "--geometry", "--shortlist", "50"), "leave out --shortlist")
