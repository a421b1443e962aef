"""What a search for the robot's pose says of the frames that it looks at."""

from dataclasses import replace

import numpy as np

from vpr_aesvc.onboard.pose_search import PoseSearch
from vpr_aesvc.onboard.relocalization import Sighting
from vpr_aesvc.recognition.result import Candidate, Recognition
from vpr_aesvc.types import Match, Place, Pose

COVARIANCE = np.diag([0.3**2] * 3 + [0.1**2] * 3)


def recognition(place, probability, accepted=True):
    match = Match(Place(place, f"{place}.jpg", "monday", pose=Pose(place, 0)), 0.9)
    why = "accepted" if accepted else "too uncertain"
    return Recognition(accepted, why, match, (Candidate(match, 0.5),), probability)


def look(search, place, probability, accepted=True, pose=True):
    sighting = Sighting(Pose(place, 0), COVARIANCE, Pose(place - 7, 0)) if accepted and pose else None
    search.update(recognition(place, probability, accepted), sighting, float(search.frames))


def test_three_matches_that_agree_are_the_pose():
    search = PoseSearch()
    for place in (11, 12, 13):
        assert search.found is None
        look(search, place, 0.9)
    assert search.found.base.x == 13 and search.stamp == 2.0 and search.frames == 3
    assert "3 of 3" in search.reason and search.advice == ""
    look(search, 40, 0.9)
    assert search.frames == 3, "the search has ended"


def test_a_pose_that_could_not_be_measured_yet_waits_for_one_that_can():
    def refused(place):
        return replace(recognition(place, 0.9), metric_refusal="too few points")

    def sighting(place, metric=False):
        return Sighting(Pose(place, 0), COVARIANCE / (100 if metric else 1), Pose(place - 7, 0), metric)

    search = PoseSearch()
    for place in (11, 12, 13, 14):
        search.update(refused(place), sighting(place), 0.0)
    assert search.found is None
    search.update(recognition(15, 0.9), sighting(15, metric=True), 0.0)
    assert search.found.metric
    search = PoseSearch()
    for place in range(11, 19):
        assert search.found is None
        search.update(refused(place), sighting(place), 0.0)
    assert search.found is not None and not search.found.metric and search.frames == 8


def test_the_guesses_are_the_most_probable_places_and_the_found_one_is_the_first():
    search = PoseSearch()
    for place, probability in ((1, 0.5), (2, 0.7), (3, 0.3), (1, 0.2), (4, 0.6), (5, 0.1), (6, 0.65)):
        look(search, place, probability, accepted=False)
    assert [(round(p, 2), place.match.place.id) for p, place in search.guesses] == [
        (0.7, 2),
        (0.65, 6),
        (0.6, 4),
        (0.5, 1),
        (0.3, 3),
    ]
    for _ in range(3):
        look(search, 9, 0.4)
    assert search.found is not None and search.guesses[0][1].match.place.id == 9


def test_another_view_is_advised_after_the_first_look():
    search = PoseSearch()
    advice = []
    for _ in range(6):
        look(search, 1, 0.1, accepted=False)
        advice.append(search.advice)
    assert advice == ["", "", "", "", "turn", "turn"]


def test_the_reason_names_what_is_missing():
    search = PoseSearch()
    assert "no image" in search.reason
    look(search, 1, 0.1, accepted=False)
    assert "0 of 1" in search.reason and "too uncertain" in search.reason
    look(search, 1, 0.9, pose=False)
    assert "1 of 2" in search.reason and "no poses" in search.reason
    look(search, 30, 0.9)
    assert "odometry" in search.reason


def test_wrong_matches_that_do_not_agree_are_no_pose():
    search = PoseSearch()
    for place in (10, 40, 70, 10, 130, 160, 10, 40) * 5:
        search.update(recognition(place, 0.9), Sighting(Pose(place, 0), COVARIANCE, Pose(0, 0)), 0.0)
    assert search.found is None
