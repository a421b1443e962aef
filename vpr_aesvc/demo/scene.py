"""The planned street in the light of one time of day, with its traffic, ready to be rendered."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from vpr_aesvc.demo import props
from vpr_aesvc.demo.buildings import build_gap, build_house
from vpr_aesvc.demo.light import Daylight, paint_sky
from vpr_aesvc.demo.render import Billboard, Surface, Texture, World
from vpr_aesvc.demo.stage import KERB, UP, Stage
from vpr_aesvc.demo.town import HALF_WIDTH, LEFT, RIGHT, Town, Walker, park, walkers


class Scene:
    """The street at one time of day: what stands in it, the sky over it, and who passes."""

    def __init__(self, town: Town, light: Daylight, traffic_seed: int, occupied: float, people: float):
        self.town, self.light, self.stage = town, light, Stage(town, light)
        rng, traffic = np.random.default_rng([town.seed, 2]), np.random.default_rng([town.seed, traffic_seed])
        self.sky = paint_sky(light, np.random.default_rng([town.seed, 3]), traffic)
        self._lay_ground(rng)
        for plot in town.plots:
            if plot.gap:
                build_gap(self.stage, plot, rng)
            else:
                build_house(self.stage, plot)
        self._place_props()
        self._park_cars(traffic, occupied)
        self._walkers = walkers(town, traffic, people)
        self._figures = [(props.person(traffic), props.person(traffic, cycling=True)) for _ in range(12)]
        self._clothes: dict[tuple[int, bool, float], Texture] = {}

    def _lay_ground(self, rng: np.random.Generator) -> None:
        sun_up = self.light.gain(UP)
        roads = [self.stage.lit(sun_up, props.road(rng)) for _ in range(6)]
        bare = [self.stage.lit(sun_up, props.road(rng, marked=False)) for _ in range(2)]
        crossing = self.stage.lit(sun_up, props.road(rng, crossing=True))
        paving = {
            kind: [self.stage.lit(sun_up, props.pavement(rng, kind)) for _ in range(3)]
            for kind in ("slabs", "pavers", "asphalt")
        }
        kerb = np.full((6, 128, 3), (176, 172, 164), np.uint8)
        kerb[:, ::32] = 110
        wide = max(np.ptp([leg.start[i] for leg in self.town.legs]) for i in (0, 1)) + 400
        far = self.stage.lit(sun_up, np.full((8, 8, 3), (104, 104, 104), np.uint8))
        west, north = (
            min(leg.start[0] for leg in self.town.legs) - 200,
            max(leg.start[1] for leg in self.town.legs) + 200,
        )
        self.stage.world.ground.append(
            Surface(far, np.array([west, north, -0.05]), np.array([wide, 0, 0.0]), np.array([0, -wide, 0.0]))
        )
        for index, leg in enumerate(self.town.legs):
            z = 0.006 * (index % 2)  # two legs overlap at their corner: one lies on top
            inner = [leg.extent(side * props.ROAD_HALF_WIDTH) for side in (LEFT, RIGHT)]
            first, last = max(e[0] for e in inner), min(e[1] for e in inner)
            count = int((last - first) / props.PIECE)
            cross_at = int(rng.integers(count))
            for piece in range(-2, count + 3):
                along = first + piece * props.PIECE
                marked = 0 <= piece < count
                texture = crossing if piece == cross_at else roads[int(rng.integers(6))] if marked else bare[piece % 2]
                if min(e[0] for e in inner) - props.PIECE < along < max(e[1] for e in inner):
                    self.stage.flat(
                        texture,
                        leg,
                        along,
                        props.PIECE,
                        -props.ROAD_HALF_WIDTH,
                        props.ROAD_HALF_WIDTH,
                        z if marked else z - 0.003,
                    )
            for side in (LEFT, RIGHT):
                near, outer = leg.extent(side * props.ROAD_HALF_WIDTH), leg.extent(side * HALF_WIDTH)
                face = self.stage.lit(self.light.gain(-side * leg.left, 0.5), kerb)
                begin, end = min(near[0], outer[0]), max(near[1], outer[1])
                for along in np.arange(begin, end, props.PIECE).tolist():
                    length = min(props.PIECE, end - along)
                    texture = paving[self.town.paving[index]][int(rng.integers(3))]
                    right, left = sorted((side * props.ROAD_HALF_WIDTH, side * (HALF_WIDTH + 1.1)))
                    self.stage.flat(texture, leg, along, length, right, left, KERB + z)
                for along in np.arange(near[0], near[1], props.PIECE).tolist():
                    length = min(props.PIECE, near[1] - along)
                    self.stage.world.ground.append(
                        self.stage.upright(face, leg, side, along, length, props.ROAD_HALF_WIDTH, 0, KERB + z)
                    )

    def _place_props(self) -> None:
        rng = np.random.default_rng([self.town.seed, 4])
        stock = {f"tree {kind}": [props.tree(rng, kind) for _ in range(4)] for kind in ("round", "tall", "young")}
        stock |= {
            kind: [props.furniture(rng, kind) for _ in range(4)] for kind in ("bin", "bollard", "post", "sign", "tub")
        }
        stock["lamp"] = [props.lamp(self.light.lamps)] * 4
        lit = lru_cache(maxsize=None)(
            lambda kind, variant, sun: self.stage.lit(self.light.gain(UP, 0.25 + 0.75 * sun), stock[kind][variant][0])
        )
        for prop in self.town.props:
            _, width, height = stock[prop.kind][prop.variant]
            foot = self.town.legs[prop.leg].point(prop.along, prop.offset, KERB)
            texture = lit(
                prop.kind, prop.variant, round(self.stage.in_sun(prop.leg, prop.along, prop.offset, height / 2) * 2) / 2
            )
            self.stage.world.billboards.append(Billboard(texture, foot, width, height))
            self.stage.blot(foot, 0.9 if prop.kind.startswith("tree") else 0.3)
            sun = self.light.to_sun
            if prop.kind.startswith("tree") and sun[2] > 0.4:
                self.stage.blot(foot - sun * [1, 1, 0] * (height * 0.65 / sun[2]), width * 0.42)

    def _park_cars(self, rng: np.random.Generator, occupied: float) -> None:
        models = [props.car(rng) for _ in range(8)]
        for parked in park(self.town, rng, occupied):
            leg, model = self.town.legs[parked.leg], models[parked.variant]
            length, sun = model.outline[-1, 0], self.stage.in_sun(parked.leg, parked.along, parked.side * 4.0)
            forward = leg.ahead if parked.forwards else -leg.ahead
            left = np.cross(UP, forward)
            rear = leg.point(parked.along + (0 if parked.forwards else length), parked.side * 3.95)
            height = model.side.shape[0] / model.side.shape[1] * length
            for side in (1, -1):  # its left, its right
                texture = self.stage.lit(
                    self.light.gain(side * left, sun), model.side if side < 0 else model.side[:, ::-1]
                )
                base = rear + side * left * model.width / 2 + UP * height
                corner, across = (base, forward * length) if side < 0 else (base + forward * length, -forward * length)
                self.stage.world.surfaces.append(Surface(texture, corner, across, -UP * height))
            for panel, a, b in zip(model.panels, model.outline[:-1], model.outline[1:], strict=True):
                low, high = (rear + forward * p[0] + UP * p[1] for p in (a, b))
                down, sideways = (low - high, -left) if b[1] >= a[1] else (high - low, left)
                top = high if b[1] >= a[1] else low
                normal = np.cross(down, sideways)
                texture = self.stage.lit(self.light.gain(normal / np.linalg.norm(normal), sun), panel)
                self.stage.world.surfaces.append(
                    Surface(texture, top - sideways * model.width / 2, sideways * model.width, down)
                )
            half = left * (model.width / 2 + 0.12)
            ends = rear - forward * 0.1, rear + forward * (length + 0.1)
            self.stage.world.shadows.append(np.array([ends[0] - half, ends[0] + half, ends[1] + half, ends[1] - half]))

    def passers_by(self, stamp: float) -> World:
        """The world with everybody where they are at this time, seconds."""
        boards, shadows = list(self.stage.world.billboards), list(self.stage.world.shadows)
        for walker in self._walkers:
            boards.append(self._at(walker, stamp))
            turn = np.linspace(0, 2 * np.pi, 8, endpoint=False)
            shadows.append(boards[-1].foot + 0.32 * np.stack([np.cos(turn), np.sin(turn), 0 * turn], axis=1))
        return World(self.stage.world.ground, shadows, self.stage.world.surfaces, boards)

    def _at(self, walker: Walker, stamp: float) -> Billboard:
        leg = self.town.legs[walker.leg]
        along = walker.begin + (walker.along + walker.speed * stamp) % walker.length
        _, width, height = self._figures[walker.variant][walker.cycling]
        texture = self._figure_texture(
            walker.variant, walker.cycling, round(self.stage.in_sun(walker.leg, along, walker.offset) * 2) / 2
        )
        return Billboard(texture, leg.point(along, walker.offset, 0 if walker.cycling else KERB), width, height)

    def _figure_texture(self, variant: int, cycling: bool, sun: float) -> Texture:
        key = variant, cycling, sun
        if key not in self._clothes:
            self._clothes[key] = self.stage.lit(
                self.light.gain(UP, 0.2 + 0.8 * sun), self._figures[variant][cycling][0]
            )
        return self._clothes[key]
