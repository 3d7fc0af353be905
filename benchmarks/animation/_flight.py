"""A lander in a rigid-body simulation: thrusts in, its flight out, and a picture of the flight."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.contract.errors import Unsupported

STEP_S = 1 / 60
SECONDS = 7.0
POWERED = 0.75  # share of the time in which engines may burn
GRAVITY, MAIN, TORQUE = 4.0, 5.5, 0.24  # m/s², N per kg, N m
BEGIN, MARK, FLOOR = -6.0, 6.0, 0.6  # x of start and mark, height of the centre where the lander stands, metres
LEFT = 40.0  # metres from the middle at which a flight is given up
HULL = ((-0.5, -0.5), (0.5, -0.5), (0.25, 0.5), (-0.25, 0.5))
WALL = ((-0.3, 0), (0.3, 0), (0.2, 2.2), (-0.2, 2.2))
POSTS = tuple(
    ((MARK + side - 0.1, 0), (MARK + side + 0.1, 0), (MARK + side + 0.05, 0.5), (MARK + side - 0.05, 0.5))
    for side in (-1.0, 1.0)
)
VIEW = (-8.0, 8.0, -0.3, 7.2)  # left, right, bottom, top of pictures, metres
SCALE, FINE = 12, 4  # pixels per metre; drawn so many times finer
SHOWN_EVERY = 24  # steps between two landers in a picture


@dataclass(frozen=True)
class Flight:
    """Where the lander was after every step, (steps, 3): x, y in metres and its angle; and whether the engine burnt."""

    path: np.ndarray
    burning: np.ndarray  # (steps,)


def require_simulator() -> None:
    """Raise Unsupported, with the command that mends it, where the simulator is missing."""
    try:
        import pymunk  # noqa: F401
    except ImportError as error:
        raise Unsupported(f"needs the rigid-body simulator Pymunk ({error}): pip install 'pymunk>=7.3,<8'") from error


def steps() -> int:
    """Return the number of steps of a flight."""
    return round(SECONDS / STEP_S)


def fly(main: np.ndarray, side: np.ndarray) -> Flight:
    """Return the flight under thrusts that are given per slot of equal length.

    Args:
        main: (slots,) share of the engine's force along the lander's axis, 0 … 1.
        side: (slots,) share of the turning moment, −1 … 1, counter-clockwise.
    """
    import pymunk

    space = pymunk.Space()
    space.gravity = (0, -GRAVITY)
    space.collision_bias = 0.1
    ground = space.static_body
    solid = [pymunk.Segment(ground, (-50, 0), (50, 0), 0.1), *(pymunk.Poly(ground, one) for one in (WALL, *POSTS))]
    for part in solid:
        part.friction, part.elasticity = 0.8, 0.25
    lander = pymunk.Body(1.0, 0.25)
    lander.position = (BEGIN, FLOOR)
    hull = pymunk.Poly(lander, HULL)
    hull.friction, hull.elasticity = 0.8, 0.2
    space.add(*solid, lander, hull)
    slots = (np.arange(steps()) * STEP_S / (SECONDS * POWERED) * len(main)).astype(int)
    path, burning = np.empty((steps(), 3)), np.zeros(steps())
    for step, slot in enumerate(slots):
        if slot < len(main):
            burning[step] = main[slot]
            if main[slot] > 0:
                lander.apply_force_at_local_point((0, MAIN * float(main[slot])), (0, 0))
            lander.torque += TORQUE * float(side[slot])
        space.step(STEP_S)
        path[step] = (*lander.position, lander.angle)
        if abs(lander.position.x) > LEFT:
            path[step:] = path[step]
            break
    return Flight(path, burning)


def miss(path: np.ndarray) -> float:
    """Return how far a flight (steps, 3) is from standing on the mark: (Δx / 12 m)² + ¼ (1 − cos angle) + rests.

    The rests: a tenth of what moved in the last half second (metres and radians, at most 5), and a twentieth of the
    height above the ground in metres.
    """
    x, y, angle = path[-1]
    moved = float(np.abs(path[-1] - path[-30]).sum())
    return (
        ((x - MARK) / (MARK - BEGIN)) ** 2 + 0.25 * (1 - math.cos(angle)) + 0.1 * min(moved, 5) + 0.05 * abs(y - FLOOR)
    )


def picture(flight: Flight) -> np.ndarray:
    """Return a picture (90, 192, 3) in [0, 1]: the lander every .4 s, its path, flames, mark."""
    left, right, bottom, top = VIEW
    size = (round((right - left) * SCALE * FINE), round((top - bottom) * SCALE * FINE))
    image = Image.new("RGB", size, (18, 24, 48))
    draw = ImageDraw.Draw(image)

    def at(x: float, y: float) -> tuple[float, float]:
        return (x - left) * SCALE * FINE, (top - y) * SCALE * FINE

    draw.rectangle([*at(left, 0.1), *at(right, bottom)], fill=(70, 64, 60))
    draw.rectangle([*at(MARK - 0.9, 0.1), *at(MARK + 0.9, -0.05)], fill=(70, 170, 90))
    for solid in (WALL, *POSTS):
        draw.polygon([at(*corner) for corner in solid], fill=(120, 110, 100))
    track = [at(x, y) for x, y, _ in flight.path]
    draw.line(track, fill=(90, 130, 190), width=FINE)
    last = len(flight.path) - 1
    for step in [*range(0, last, SHOWN_EVERY), last]:
        x, y, angle = flight.path[step]
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        light = 0.35 + 0.65 * step / last
        if flight.burning[step] > 0:
            flame = [at(*(turn @ corner + (x, y))) for corner in ((-0.2, -0.5), (0.2, -0.5), (0, -1.1))]
            draw.polygon(flame, fill=(255, 170, 40))
        hull = [at(*(turn @ corner + (x, y))) for corner in HULL]
        draw.polygon(hull, fill=tuple(int(light * part) for part in (235, 235, 245)), outline=(18, 24, 48))
    small = image.resize((size[0] // FINE, size[1] // FINE), Image.Resampling.BOX)
    return np.asarray(small, np.float32) / 255
