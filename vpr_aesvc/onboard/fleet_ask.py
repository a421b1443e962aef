"""Asks the fleet what the robot's own map does not know, in the background. The places around the fleet's answer come into the robot's map, and the
robot recognizes the next frames in them by itself: a single most similar place of a city is no safe match, and decides nothing here."""

from __future__ import annotations

import math
from pathlib import Path
from urllib.parse import quote

from vpr_aesvc.onboard.fleet_thread import FleetThread
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.placemap.where import Where
from vpr_aesvc.recognition.result import Recognition
from vpr_aesvc.types import Descriptor, Pose

WITHIN = 100.0
"""Places so many meters around an answer are pulled."""
_BATCH = 64  # places that come in one transaction of the map: a frame that is added in mode slam waits for it


class FleetAsk(FleetThread):
    """Asks for the newest frame when no frame was accepted for ``patience`` seconds, one question at a time. Two answers in a row must be near each
    other before places are pulled. ``robot`` is not used."""

    name = "asked of the fleet"

    def __init__(
        self, path: Path, url: str, robot: str, frame: str, patience: float = 3.0, period: float = 2.0
    ) -> None:
        self._patience = patience
        self._unknown_since: float | None = None  # stamp of the first frame that was not accepted
        self._question: Descriptor | None = None
        self._last: Pose | None = None  # the answer before
        self.pulled = 0
        self._pulled_at: dict[str, list[Pose]] = {}  # the centers of what was pulled, by the id of the robot's map
        super().__init__(path, f"{url}&frame={quote(frame)}", robot, frame, period, share=5)

    def offer(self, recognition: Recognition, descriptor: Descriptor, stamp: float) -> None:
        """A frame that was recognized in the own map, at ``stamp`` seconds. Never waits; the thread takes the newest frame."""
        if recognition.accepted:
            self._unknown_since = self._question = None
        elif self._unknown_since is None or stamp < self._unknown_since:
            self._unknown_since = stamp
        elif stamp - self._unknown_since >= self._patience:
            self._question = descriptor

    def _step(self) -> None:
        from vpr_aesvc.fleet.fleet_map import FleetMap
        from vpr_aesvc.fleet.pull import Area, pull

        question, self._question = self._question, None
        if question is None:
            if self._unknown_since is None:
                self.error = ""  # nothing to ask
            return
        with (
            PlaceMap.open(self._path) as place_map,
            FleetMap.open(self._url, family=place_map.model_family) as fleet,
        ):
            own = fleet.connection.all(
                "SELECT name FROM vpr.traverses WHERE map = %s AND source = %s", fleet.map_id, place_map.id
            )
            found = fleet.search(question, 1, where=Where(without_traverses=tuple(name for (name,) in own)))
            self.error = ""
            if not found:
                self.state = "the fleet has no places of others"
                return
            place, last = found[0].place, self._last
            self._last = pose = place.pose
            words = f"place {place.id} ({place.label}) of {place.traverse}"
            if pose is None:
                self.state = f"answered {words}, which has no pose in frame {self._frame}: nothing is pulled"
            elif last is None or _apart(pose, last) > WITHIN:
                self.state = f"answered {words}; the next answer must be near it"
            elif any(_apart(pose, one) < WITHIN / 2 for one in self._pulled_at.get(place_map.id, ())):
                self.state = f"answered {words}, around which the map has all places already"
            else:
                added = pull(fleet, place_map, Area(pose.x, pose.y, WITHIN), self._go_on, _BATCH).added
                self.pulled += added
                self._pulled_at.setdefault(place_map.id, []).append(pose)
                self.state = f"answered {words}; pulled {added} places within {WITHIN:g} m of it"


def _apart(one: Pose, other: Pose) -> float:
    return math.hypot(one.x - other.x, one.y - other.y)
