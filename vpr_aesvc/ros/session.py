"""What a configured node owns, from ``configure`` to ``cleanup``."""

from __future__ import annotations

import socket
from collections.abc import Callable
from concurrent.futures import TimeoutError as FutureTimeoutError
from functools import partial
from pathlib import Path
from typing import Any

from rclpy.lifecycle import LifecycleNode

from vpr_aesvc.describer import Describer
from vpr_aesvc.errors import VprError
from vpr_aesvc.onboard.engine import Engine, Outcome
from vpr_aesvc.onboard.fleet_ask import FleetAsk
from vpr_aesvc.onboard.fleet_push import FleetPush
from vpr_aesvc.onboard.fleet_thread import FleetThread
from vpr_aesvc.onboard.latest_frame_worker import LatestFrameWorker
from vpr_aesvc.onboard.rig_frames import RIG, RigFrames
from vpr_aesvc.placemap import PlaceMap
from vpr_aesvc.ros.cameras import Cameras, ReceivedImage
from vpr_aesvc.ros.diagnostics import Health
from vpr_aesvc.ros.localization import Localization
from vpr_aesvc.ros.motion import Motion
from vpr_aesvc.ros.publishers import Publishers
from vpr_aesvc.ros.sensor_thread import SensorThread
from vpr_aesvc.ros.settings import NodeSettings

_PATIENCE = 1.5  # seconds that ``configure`` waits for a small map to be read and learned


class Session:
    """Model, map, worker thread and publishers; while the node is active also its subscriptions (``cameras`` and ``motion``).

    The worker thread alone uses engine and map; other threads only read how many places the map has.

    Args:
        process: called with (session, camera, image) in the worker thread, in a rig with (session, RIG, images); must not raise.

    Raises:
        VprError: model or map cannot be opened, or the settings do not fit the map.
    """

    def __init__(
        self,
        node: LifecycleNode,
        settings: NodeSettings,
        health: Health,
        process: Callable[[Session, str, Any], Any],
    ) -> None:
        self.node = node
        self.settings = settings
        self.health = health
        self.cameras: Cameras | None = None
        self.motion: Motion | None = None
        self._sensors: SensorThread | None = None
        self.latest_image: ReceivedImage | None = None
        self._rig: RigFrames[ReceivedImage] | None = None
        describer = open_model(settings)
        self.map_path = Path(settings.map).expanduser()
        self.robot = settings.fleet_robot or node.get_namespace().strip("/") or socket.gethostname()
        self.engine = self._engine_for(open_map(settings, describer), describer, prepare=False)
        try:
            self.fleet = self._exchange_with_fleet()
        except BaseException:
            self.engine.close()
            raise
        self.publishers = Publishers(node, settings, self.robot)
        self.localization = Localization(node, settings, health)
        self.worker: LatestFrameWorker[Any] = LatestFrameWorker(partial(process, self))
        self._prepare(describer)

    def activate(self) -> None:
        """Subscribes to poses and images."""
        self.health.activated()
        self._rig = RigFrames(self.settings.cameras) if self.settings.rig else None
        self._sensors = SensorThread(self.node)
        try:
            self.motion = Motion(self.node, self.settings, self.health, self._sensors)
            self.localization.activate(self.motion)
            self.cameras = Cameras(self.node, self.settings, self.health, self._sensors, self._on_image)
            self._sensors.start()
        except BaseException:
            self.deactivate()
            raise

    def deactivate(self) -> None:
        """Unsubscribes, and waits until the worker has finished its current frame."""
        if self._sensors is not None:
            self._sensors.close()
            self._sensors = None
        self.worker.forget()
        self.worker.submit(lambda: None).result()
        self.localization.deactivate()
        self.cameras = self.motion = None

    def close(self) -> None:
        """Stops the worker, then closes publishers and map. Call ``deactivate`` first."""
        self.worker.stop()
        for exchange in self.fleet:
            exchange.close()
        self.publishers.close()
        self.localization.close()
        self.engine.close()

    def learn(self) -> None:
        """Learns in the background what the places that were added teach."""
        if self.settings.mode != "localization":
            self.worker.submit(self.engine.learn)

    def load_map(self, path: Path) -> PlaceMap:
        """Replaces the map. Call it in the worker thread.

        Raises:
            VprError: the map cannot be opened, or does not fit model and settings; the current map stays in use.
        """
        previous = self.engine
        self.engine = self._engine_for(PlaceMap.open(path, previous.describer), previous.describer)
        previous.close()
        self.map_path = path
        for exchange in self.fleet:
            exchange.close()
        self.fleet = self._exchange_with_fleet()
        self.localization.reset("the map was replaced")
        return self.engine.map

    def reopen_map(self) -> PlaceMap:
        """Opens the file that has replaced that of the map. Call it in the worker thread.

        Raises:
            VprError: as ``load_map``.
        """
        previous, describer = self.engine, self.engine.describer
        # SQLite keeps the same files beside two maps of one name. So the new one is tried without them before the old one is closed.
        trial = self._engine_for(PlaceMap.open(self.map_path, describer, immutable=True), describer)
        self.engine = trial
        if self.map_path.resolve() == previous.map.path:
            previous.map.abandon()
        previous.close()
        self.engine = self._engine_for(PlaceMap.open(self.map_path, describer), describer)
        trial.close()
        self.localization.reset("the map was replaced")
        return self.engine.map

    def reset(self, reason: str) -> None:
        """Drops poses and waiting frames and restarts the sequence, as after a jump of the clock."""
        if self.motion is not None:
            self.motion.forget()
        self.worker.forget()
        self.worker.submit(lambda: self.engine.reset(reason))
        self.worker.submit(partial(self.localization.reset, reason))

    def _prepare(self, describer: Describer) -> None:
        """Warms up the model, reads the map and learns from it, in the worker thread: ``configure`` waits only shortly for it."""

        def work() -> None:
            describer.warm_up()  # the first image is slow
            self.engine.prepare()

        try:
            self.worker.submit(work).result(_PATIENCE)
        except FutureTimeoutError:
            return  # the first frame waits; if the map turns out to be damaged, each frame says so
        except BaseException:
            self.close()
            raise

    def _engine_for(self, place_map: PlaceMap, describer: Describer, prepare: bool = True) -> Engine:
        """``prepare``: the map is read, too."""
        settings = self.settings
        try:
            engine = Engine(
                place_map,
                describer,
                mode=settings.mode,
                recognition=settings.recognition,
                keyframes=settings.keyframes,
                traverse=settings.traverse,
            )
            if prepare:
                engine.prepare()
            return engine
        except BaseException:
            place_map.close()
            raise

    def ask_fleet(self, outcome: Outcome) -> None:
        """Offers a frame to the fleet, which is asked in the background if the own map does not know it for some time."""
        recognition, stamp = outcome.recognition, outcome.frame.stamp
        for one in self.fleet:
            if isinstance(one, FleetAsk) and recognition and outcome.descriptor is not None and stamp is not None:
                one.offer(recognition, outcome.descriptor, stamp)

    def _exchange_with_fleet(self) -> list[FleetThread]:
        """Mode ``localization`` adds no places, ``mapping`` recognizes none. A frame of this robot alone holds no answers."""
        settings = self.settings
        if not settings.fleet_url:
            return []
        frame = settings.fleet_frame or f"{self.robot}/{settings.map_frame}"
        kinds: list[type[FleetPush | FleetAsk]] = [] if settings.mode == "localization" else [FleetPush]
        kinds += [FleetAsk] if settings.fleet_frame and settings.mode != "mapping" else []
        return [kind(self.map_path, settings.fleet_url, self.robot, frame) for kind in kinds]

    def _on_image(self, image: ReceivedImage) -> None:
        self.latest_image = image
        if self._rig is None:
            if self.worker.offer(image.camera, image):
                image.ahead = self.engine.decode_ahead(image.camera, image.decode)
            return
        if images := self._rig.add(image.camera, image.stamp, image):
            self.worker.offer(RIG, images)
        self.health.rig_missing = self._rig.missing


def open_model(settings: NodeSettings) -> Describer:
    """The model that the parameters name."""
    if not settings.model:
        raise VprError(
            "no model: set parameter model to a folder that `vpr train MY_BAG -o model` (on a laptop) or `vpr export` wrote"
        )
    path = Path(settings.model).expanduser()
    return Describer.open(path, provider=settings.provider, threads=settings.threads or None)


def open_map(settings: NodeSettings, describer: Describer) -> PlaceMap:
    """The map. Modes ``mapping`` and ``slam`` create a missing one."""
    if not settings.map:
        raise VprError(
            "no map: set parameter map to a .vprmap file; make one with `vpr map build MY_BAG -m MODEL -o my.vprmap` or with mode mapping"
        )
    path = Path(settings.map).expanduser()
    if path.exists():
        return PlaceMap.open(path, describer)
    if settings.mode == "localization":
        raise VprError(
            f"{path}: map not found; make it with `vpr map build MY_BAG -m {settings.model} -o {path}` or with mode mapping"
        )
    try:
        return PlaceMap.create(path, describer)
    except OSError as error:
        raise VprError(f"{path}: cannot be created ({error.strerror or error})") from error
