"""Deer, boar, foxes, cattle and bears: built from proportions, moved by a gait."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from training.scenes.builds import BUILDS, Build, Coat
from training.scenes.shape import Ball, Chain, Colour, Figure, Mark, Plate, Point

SPECIES = tuple(BUILDS)

# Named as in SuperAnimal's quadruped. A leg's knee is the joint in its middle (behind: the hock).
KEYPOINTS = (
    "nose",
    "left_eye",
    "right_eye",
    "neck_base",
    "back_base",
    "back_middle",
    "tail_base",
    "tail_end",
    "front_left_knee",
    "front_left_paw",
    "front_right_knee",
    "front_right_paw",
    "back_left_knee",
    "back_left_paw",
    "back_right_knee",
    "back_right_paw",
    "belly_bottom",
)
SKELETON = (
    ("nose", "left_eye"),
    ("nose", "right_eye"),
    ("left_eye", "neck_base"),
    ("right_eye", "neck_base"),
    ("neck_base", "back_base"),
    ("back_base", "back_middle"),
    ("back_middle", "tail_base"),
    ("tail_base", "tail_end"),
    ("back_base", "front_left_knee"),
    ("front_left_knee", "front_left_paw"),
    ("back_base", "front_right_knee"),
    ("front_right_knee", "front_right_paw"),
    ("tail_base", "back_left_knee"),
    ("back_left_knee", "back_left_paw"),
    ("tail_base", "back_right_knee"),
    ("back_right_knee", "back_right_paw"),
    ("back_middle", "belly_bottom"),
)

BLACK: Colour = (28, 24, 24)
HORN: Colour = (196, 176, 140)

# When in a stride each foot sets down: the order of a walk, and the pairs of a trot.
WALK = {"back_left": 0.0, "front_left": 0.25, "back_right": 0.5, "front_right": 0.75}
TROT = {"back_left": 0.0, "front_left": 0.5, "back_right": 0.5, "front_right": 0.0}


@dataclass(frozen=True)
class Animal:
    """One individual: its build, its coat, and how it carries itself."""

    build: Build
    coat: Coat
    size: float
    trots: bool
    adorned: bool
    tines: tuple[float, ...]

    @classmethod
    def draw_lots(cls, species: str, rng: np.random.Generator) -> Animal:
        """Make an individual of a species."""
        build = BUILDS[species]
        return cls(
            build=build,
            coat=build.coats[int(rng.integers(len(build.coats)))].tinted(rng),
            size=build.height * float(rng.uniform(0.82, 1.12)),
            trots=bool(rng.random() < build.trots),
            adorned=bool(rng.random() < 0.6),
            tines=tuple(float(value) for value in rng.uniform(0.75, 1.25, 6)),
        )

    @property
    def speed(self) -> float:
        """How fast it goes, in metres a second."""
        return self.size * (1.9 if self.trots else 0.95) + 0.25

    @property
    def stride(self) -> float:
        """How far it gets between two steps of one foot, in metres."""
        return self.size * (1.5 if self.trots else 1.15)

    def pose(self, way: float, seconds: float, moving: float, grazing: float) -> Figure:
        """Return the body after so much of its way; `grazing` of 1 has the head in the grass."""
        parts: list[Chain | Plate] = []
        marks: dict[str, Mark] = {}
        phase = way / self.stride
        bob = 0.012 * math.sin(4 * math.pi * phase) * moving
        for leg in WALK:
            self._leg(leg, phase, moving, parts, marks)
        self._torso(bob, parts, marks)
        self._tail(seconds, bob, parts, marks)
        self._head(seconds, bob, grazing, parts, marks)
        return Figure(tuple(parts), marks, ("left_eye", "right_eye")).grown(self.size)

    def _leg(
        self,
        name: str,
        phase: float,
        moving: float,
        parts: list[Chain | Plate],
        marks: dict[str, Mark],
    ) -> None:
        build = self.build
        end, side = name.split("_")
        front, left = end == "front", side == "left"
        duty = 0.5 if self.trots else 0.64
        share = (phase + (TROT if self.trots else WALK)[name]) % 1.0
        reach = 0.5 * duty * self.stride / self.size
        if share < duty:
            step, lift = reach * (1 - 2 * share / duty), 0.0
        else:
            swing = (share - duty) / (1 - duty)
            step = reach * (-1 + 2 * swing)
            lift = 0.11 * math.sin(math.pi * swing) * (0.35 + 0.65 * moving)
        y = build.stance * (1 if left else -1)
        hip = (build.length * (0.40 if front else -0.40), y, build.hip)
        foot = (hip[0] + step + (0.0 if front else -0.05), y * 0.8, build.legs[2] * 0.8 + lift)
        knee = _bend(hip, foot, build.hip * (1.0 if front else 1.06), 1 if front else -1)
        thick, thin, tip = build.legs
        upper: tuple[Ball, ...] = (
            (*hip, thick * (1.0 if front else 1.25)),
            (*_between(hip, knee, 0.5), 0.62 * thick),
            (*knee, thin),
        )
        lower: tuple[Ball, ...] = ((*knee, thin), (*_between(knee, foot, 0.9), 0.8 * thin))
        hoof: tuple[Ball, ...] = (
            (*foot, tip),
            (foot[0] + 1.1 * tip, foot[1], foot[2] - 0.1 * tip, tip),
        )
        coat = self.coat
        parts += [
            Chain(f"{name}_paw", hoof, coat.feet, 0.01),
            Chain(f"{name}_lower", lower, coat.legs),
            Chain(f"{name}_upper", upper, coat.main, -0.01),
        ]
        marks[f"{name}_knee"] = Mark(f"{name}_lower", knee)
        marks[f"{name}_paw"] = Mark(f"{name}_paw", foot)

    def _torso(self, bob: float, parts: list[Chain | Plate], marks: dict[str, Mark]) -> None:
        build = self.build
        balls = tuple(
            (share * build.length, 0.0, z + bob, radius) for share, z, radius in build.torso
        )
        parts.append(Chain("torso", balls, self.coat.main))
        low = tuple((x, y, z - 0.34 * r, 0.66 * r) for x, y, z, r in balls[1:-1])
        parts.append(Chain("belly", low, self.coat.belly, -0.05))
        middle = balls[len(balls) // 2]
        withers = balls[-2]
        rump = balls[0]
        marks["back_base"] = Mark("torso", (withers[0], 0.0, withers[2] + 0.85 * withers[3]))
        marks["back_middle"] = Mark("torso", (middle[0], 0.0, middle[2] + 0.85 * middle[3]))
        marks["tail_base"] = Mark(
            "torso", (rump[0] - 0.75 * rump[3], 0.0, rump[2] + 0.45 * rump[3])
        )
        marks["belly_bottom"] = Mark("torso", (middle[0], 0.0, middle[2] - 0.85 * middle[3]))

    def _tail(
        self, seconds: float, bob: float, parts: list[Chain | Plate], marks: dict[str, Mark]
    ) -> None:
        tail, base = self.build.tail, marks["tail_base"].place
        swing = 0.25 * math.sin(2.1 * seconds + self.tines[0] * 9)
        balls: list[Ball] = []
        x, y, z = base
        pieces = 4
        for piece in range(pieces + 1):
            share = piece / pieces
            balls.append(
                (
                    x,
                    y,
                    z,
                    tail.thick * (1 - share)
                    + tail.thin * share
                    + tail.bush * math.sin(math.pi * share),
                )
            )
            angle = tail.angle + tail.curl * share
            x -= tail.length / pieces * math.cos(angle)
            z += tail.length / pieces * math.sin(angle)
            y += tail.length / pieces * swing
        parts.append(Chain("tail", tuple(balls), self.coat.main, -0.02))
        parts.append(Chain("tail_tip", tuple(balls[-2:]), self.coat.tail, -0.01))
        marks["tail_end"] = Mark("tail_tip", balls[-1][:3])

    def _head(
        self,
        seconds: float,
        bob: float,
        grazing: float,
        parts: list[Chain | Plate],
        marks: dict[str, Mark],
    ) -> None:
        build = self.build
        neck, head = build.neck, build.head
        chest = build.torso[-1]
        start = (chest[0] * build.length + 0.02, 0.0, chest[1] + 0.35 * chest[2] + bob)
        rise = neck.rise * (1 - grazing) + neck.graze * grazing + 0.03 * math.sin(1.3 * seconds)
        turn = 0.5 * math.sin(0.7 * seconds + 7 * self.tines[1]) * (1 - 0.7 * grazing)
        poll = _reach(start, neck.length, rise, 0.4 * turn)
        half = _between(start, poll, 0.5)
        parts.append(
            Chain(
                "neck",
                (
                    (*start, neck.thick),
                    (*half, 0.5 * (neck.thick + neck.thin)),
                    (*poll, neck.thin),
                ),
                self.coat.main,
                0.02,
            )
        )
        marks["neck_base"] = Mark("neck", (start[0], 0.0, start[2] + 0.8 * neck.thick))
        pitch = head.pitch * (1 - grazing) - 1.05 * grazing
        frame = _Head(poll, pitch, turn, head.length)
        parts += self._face(frame, marks)
        if build.adornment and self.adorned:
            parts += self._adornment(frame)

    def _face(self, frame: _Head, marks: dict[str, Mark]) -> list[Chain]:
        head, coat = self.build.head, self.coat
        skull, muzzle = head.skull, head.muzzle
        nose = frame.at(1.0, 0.0, -0.1 * skull)
        faces = [
            Chain(
                "head",
                (
                    (*frame.at(0.08, 0, 0), skull),
                    (*frame.at(0.5, 0, -0.15 * skull), 0.5 * (skull + muzzle)),
                    (*frame.at(0.92, 0, -0.3 * skull), muzzle),
                ),
                coat.main,
                0.04,
            ),
            Chain(
                "snout",
                (
                    (*frame.at(0.74, 0, -0.42 * skull), 0.86 * muzzle),
                    (*frame.at(0.9, 0, -0.42 * skull), 0.8 * muzzle),
                ),
                coat.belly,
                0.05,
            ),
            Chain("nose", ((*nose, 0.55 * muzzle),), coat.nose, 0.07),
        ]
        marks["nose"] = Mark("nose", nose)
        for side, sign in (("left", 1), ("right", -1)):
            eye = frame.at(0.3, sign * 0.8 * skull, 0.28 * skull)
            root = frame.at(-0.02, sign * 0.55 * skull, 0.75 * skull)
            ear = head.ear
            tip = frame.at(
                -0.06 - 0.25 * ear,
                sign * (0.6 * skull + head.splay * ear),
                0.8 * skull + (1 - 0.5 * head.splay) * ear,
            )
            faces += [
                Chain(f"{side}_eye", ((*eye, max(0.016, 0.16 * skull)),), BLACK, 0.035),
                Chain(
                    f"{side}_ear",
                    (
                        (*root, 0.4 * head.lobe),
                        (*_between(root, tip, 0.5), head.lobe),
                        (*tip, 0.25 * head.lobe),
                    ),
                    coat.ears,
                    0.03,
                ),
            ]
            marks[f"{side}_eye"] = Mark(f"{side}_eye", eye)
        return faces

    def _adornment(self, frame: _Head) -> list[Chain]:
        skull = self.build.head.skull
        chains = []
        for sign in (1, -1):
            root = frame.at(0.05, sign * 0.45 * skull, 0.8 * skull)
            if self.build.adornment == "antlers":
                chains += self._antler(frame, root, sign)
            elif self.build.adornment == "horns":
                out = frame.at(0.05, sign * 2.0 * skull, 1.1 * skull)
                tip = frame.at(0.25, sign * 2.4 * skull, 2.1 * skull)
                chains.append(Chain("horn", ((*root, 0.03), (*out, 0.026), (*tip, 0.008)), HORN))
            else:
                low = frame.at(0.78, sign * 0.7 * self.build.head.muzzle, -0.55 * skull)
                tip = frame.at(0.86, sign * 1.0 * self.build.head.muzzle, 0.15 * skull)
                chains.append(Chain("tusk", ((*low, 0.016), (*tip, 0.006)), (236, 230, 214), 0.06))
        return chains

    def _antler(self, frame: _Head, root: Point, sign: int) -> list[Chain]:
        long = 0.42 * self.tines[2]
        beam = [root]
        for out, up, back in ((0.25, 0.35, 0.10), (0.45, 0.70, 0.12), (0.42, 1.0, -0.02)):
            beam.append(frame.at(-back * long / frame.length, sign * out * long, up * long + 0.06))
        thick = 0.02
        balls = tuple((*place, thick * (1 - 0.2 * at)) for at, place in enumerate(beam))
        chains = [Chain("antler", balls, HORN)]
        for at, tine in ((1, 0.26), (2, 0.24), (2, 0.18)):
            foot = beam[at]
            x, y, z = foot
            tip = (
                x + tine * long * self.tines[3 + at % 2],
                y + 0.1 * sign * long,
                z + 0.8 * tine * long,
            )
            chains.append(Chain("tine", ((*foot, 0.7 * thick), (*tip, 0.3 * thick)), HORN))
        return chains


@dataclass(frozen=True)
class _Head:
    """Where the head is and whither it looks."""

    poll: Point
    pitch: float
    turn: float
    length: float

    def at(self, along: float, aside: float, above: float) -> Point:
        """Return the place so many head lengths before the poll, and so much aside and above."""
        ahead = along * self.length
        x = ahead * math.cos(self.pitch) - above * math.sin(self.pitch)
        z = ahead * math.sin(self.pitch) + above * math.cos(self.pitch)
        cos, sin = math.cos(self.turn), math.sin(self.turn)
        return (
            self.poll[0] + x * cos - aside * sin,
            self.poll[1] + x * sin + aside * cos,
            self.poll[2] + z,
        )


def _reach(start: Point, length: float, rise: float, turn: float) -> Point:
    flat = length * math.cos(rise)
    return (
        start[0] + flat * math.cos(turn),
        start[1] + flat * math.sin(turn),
        start[2] + length * math.sin(rise),
    )


def _between(first: Point, second: Point, share: float) -> Point:
    x, y, z = (a + share * (b - a) for a, b in zip(first, second, strict=True))
    return (x, y, z)


def _bend(hip: Point, foot: Point, length: float, forwards: int) -> Point:
    """Return where the joint between two equal bones of a leg is."""
    middle = _between(hip, foot, 0.5)
    along_x, along_z = foot[0] - hip[0], foot[2] - hip[2]
    apart = math.hypot(along_x, along_z)
    out = 0.5 * math.sqrt(max(0.0, length**2 - apart**2)) * forwards * 0.8
    return (middle[0] - out * along_z / apart, middle[1], middle[2] + out * along_x / apart)
