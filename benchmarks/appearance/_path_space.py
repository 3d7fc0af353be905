"""A path tracer as a function of primary samples: numbers in [0, 1] to the light of a path, in many rooms at once."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn.functional import normalize

LOW, HIGH = (-1.0, -1.0, -1.0), (1.0, 1.0, 2.0)  # corners of the room
CAMERA, TANGENT = (0.0, 0.0, 1.95), 0.5  # looks along −z; tangent of half the field of view
DIM = 6  # pixel x from the left, y from the top; direction of the bounce; point on a light
LUMINANCE = (0.2126, 0.7152, 0.0722)
MARGIN = 0.15  # of lights from walls, so that no point is lit without bound
LOWEST = 0.05  # of lights: higher than the boxes' and spheres' tops
OFFSET = 2e-4  # of a ray's origin, along the normal
SHORT = 1 - 1e-4  # share of a shadow ray that must be free: its end lies on a light


@dataclass(frozen=True)
class Rooms:
    """Closed rooms, each with diffuse boxes and spheres and one or two rectangular lights; row i of all is room i.

    Lights shine to the side of u × v, and reflect nothing. All must lie inside the room.
    """

    walls: Tensor  # (n, 6, 3) reflectances of the walls at −x, +x, −y, +y, −z, +z
    box: Tensor  # (n, b, 7) centre, half extents, rotation about y in radians
    sphere: Tensor  # (n, s, 4) centre, radius
    color: Tensor  # (n, b + s, 3) reflectances of boxes, then spheres
    light: Tensor  # (n, 2, 9) centre, half edges u and v (orthogonal)
    power: Tensor  # (n, 2, 3) radiance
    lights: Tensor  # (n,) 1 or 2: how many of them are there

    def __getitem__(self, rows: Tensor) -> Rooms:
        return Rooms(*(getattr(self, field.name)[rows] for field in fields(self)))

    def to(self, device: torch.device) -> Rooms:
        """Return the rooms on a device."""
        return Rooms(*(getattr(self, field.name).to(device) for field in fields(self)))


def draw_rooms(count: int, generator: torch.Generator) -> Rooms:
    """Return random rooms: two boxes and two spheres low down, above them one or two lights.

    In three rooms of four the lights face up, from .4 to .7 below the ceiling, so that what the floor gets comes from
    there; in the others they face down or nearly so. Every row of random numbers is one room, so that more rooms do not
    change the first ones.
    """
    numbers = torch.rand(count, 80, generator=generator)
    at = 0

    def draw(*shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        nonlocal at
        begin, at = at, at + math.prod(shape)
        return low + (high - low) * numbers[:, begin:at].unflatten(1, shape)

    def place(things: int, *between: tuple[float, float]) -> Tensor:
        return torch.cat([draw(things, 1, low=low, high=high) for low, high in between], -1)

    walls = torch.cat([draw(2, 3, low=0.05, high=0.85), draw(4, 1, low=0.5, high=0.8).expand(-1, -1, 3)], 1)
    half = place(2, (0.15, 0.35), (0.15, 0.5), (0.05, 0.25))
    centre = place(2, (-0.6, 0.6), (0, 0), (-0.6, 0.5))
    centre[..., 1] = LOW[1] + half[..., 1]  # boxes stand, spheres float
    box = torch.cat([centre, half, draw(2, 1, high=math.pi)], -1)
    sphere = place(2, (-0.65, 0.65), (-0.75, -0.1), (-0.6, 0.4), (0.15, 0.3))
    color = draw(4, 3, low=0.1, high=0.9)

    # A normal's cosine with the vertical: in [−1, −.9] or in [.9, 1].
    up = (draw(1) < 0.75).expand(-1, 2)
    down = torch.where(up, 1.0, -1.0) - torch.where(up, 0.1, -0.1) * draw(2)
    angle, twist = draw(2, high=2 * math.pi), draw(2, high=2 * math.pi)
    level = (1 - down**2).clamp_min(0).sqrt()
    normal = torch.stack([level * angle.cos(), down, level * angle.sin()], -1)
    first, second = _frame(normal)
    u = twist.cos()[..., None] * first + twist.sin()[..., None] * second
    size = draw(2, 2, low=0.06, high=0.25)
    u, v = size[..., :1] * u, size[..., 1:] * torch.linalg.cross(normal, u)
    reach = u.abs() + v.abs() + MARGIN
    low, high = u.new_tensor((LOW[0], LOWEST, LOW[2])), u.new_tensor((HIGH[0], HIGH[1], 1.2))
    share = place(2, (0, 1), (0, 1), (0, 1))
    share[..., 1] = torch.where(up, 0.2 + 0.4 * share[..., 1], share[..., 1])
    middle = low + reach + share * (high - low - 2 * reach)
    # Both lights of a pair emit alike but for colour and a factor of up to four.
    power = draw(2, 1, low=0.5, high=2.0) * draw(2, 3, low=0.6, high=1.0) * 20
    lights = 1 + (draw(1)[:, 0] < 0.5).long()
    return Rooms(walls, box, sphere, color, torch.cat([middle, u, v], -1), power, lights)


@dataclass(frozen=True)
class Hit:
    """Where rays (tasks, n) end."""

    point: Tensor  # (tasks, n, 3)
    normal: Tensor  # (tasks, n, 3), towards the ray's origin
    reflectance: Tensor  # (tasks, n, 3), zero on lights
    emission: Tensor  # (tasks, n, 3), towards the ray's origin


def radiance(rooms: Rooms, samples: Tensor) -> Tensor:
    """Return the light (tasks, n, 3) of paths given by primary samples (tasks, n, 6).

    Its mean over uniform samples is the mean radiance of the picture without the lights themselves: direct light and
    one diffuse bounce. The bounce is sampled by the cosine; light is gathered at both ends of it, from the same point
    on a light that is chosen uniformly. Paths that meet a light carry nothing: that light has been gathered before.
    """
    pixel, bounce, light = samples[..., :2], samples[..., 2:4], samples[..., 4:]
    first = look(rooms, pixel)
    second = trace(rooms, first.point + OFFSET * first.normal, cosine_direction(first.normal, bounce))
    return first.reflectance * (gather(rooms, first, light) + second.reflectance * gather(rooms, second, light))


def luminance(color: Tensor) -> Tensor:
    """Return the luminance (…) of linear sRGB (…, 3)."""
    return color @ color.new_tensor(LUMINANCE)


def look(rooms: Rooms, pixel: Tensor) -> Hit:
    """Return what the camera sees at places (tasks, n, 2) of the film, from the upper left (0, 0)."""
    x, y = (2 * pixel - 1).unbind(-1)
    direction = torch.stack([TANGENT * x, -TANGENT * y, -torch.ones_like(x)], -1)
    return trace(rooms, direction.new_tensor(CAMERA).expand_as(direction), normalize(direction, dim=-1))


def trace(rooms: Rooms, origin: Tensor, direction: Tensor) -> Hit:
    """Return the nearest hits of rays (tasks, n, 3) with normalised directions; the room is closed."""
    low, high = origin.new_tensor(LOW), origin.new_tensor(HIGH)
    far, wall_axis = _safe_divide(torch.where(direction > 0, high, low) - origin, direction).abs().min(-1)
    distances, box_axis = _distances(rooms, origin, direction)
    distance, which = torch.cat([far[..., None], distances], -1).min(-1)  # 0: wall; then boxes, spheres, lights
    point = origin + distance[..., None] * direction

    boxes, spheres = rooms.box.shape[1], rooms.sphere.shape[1]
    at_wall, at_light = which == 0, which > boxes + spheres
    # Normals: of walls and boxes the axis that was hit, against the ray; a box's are turned back.
    box = (which - 1).clamp(0, boxes - 1)
    turn = torch.where((which > 0) & (which <= boxes), _pick(rooms.box[..., 6:], box)[..., 0], 0.0)
    axis = torch.where(at_wall, wall_axis, box_axis.gather(-1, box[..., None])[..., 0])
    local = _turn(direction, turn)
    normal = _turn(torch.nn.functional.one_hot(axis, 3) * -local.sign(), -turn)
    ball = _pick(rooms.sphere, (which - 1 - boxes).clamp(0, spheres - 1))
    light = _pick(torch.cat([_light_normal(rooms), rooms.power], -1), (which - 1 - boxes - spheres).clamp_min(0))
    facing = -(light[..., :3] * direction).sum(-1, keepdim=True).sign()
    normal = torch.where((which > boxes)[..., None], (point - ball[..., :3]) / ball[..., 3:], normal)
    normal = torch.where(at_light[..., None], facing * light[..., :3], normal)

    side = (direction.gather(-1, wall_axis[..., None])[..., 0] > 0).long()
    things = _pick(rooms.color, (which - 1).clamp(0, boxes + spheres - 1))
    reflectance = torch.where(at_wall[..., None], _pick(rooms.walls, 2 * wall_axis + side), things)
    return Hit(
        point,
        normal,
        torch.where(at_light[..., None], 0.0, reflectance),
        torch.where(at_light[..., None] & (facing > 0), light[..., 3:], 0.0),
    )


def gather(rooms: Rooms, at: Hit, sample: Tensor) -> Tensor:
    """Return an estimate (tasks, n, 3) of irradiance / π from the lights, by one point on one, of samples (…, 2)."""
    place = sample[..., 0] * rooms.lights[:, None]
    which = torch.minimum(place.long(), rooms.lights[:, None] - 1)
    centre, u, v = _pick(rooms.light, which).split(3, -1)
    target = centre + (2 * (place - which) - 1)[..., None] * u + (2 * sample[..., 1:] - 1) * v
    origin = at.point + OFFSET * at.normal
    way = target - origin
    cross = torch.linalg.cross(u, v)  # its length is a quarter of the light's area
    square = way.square().sum(-1)
    cosines = (at.normal * way).sum(-1).clamp_min(0) * -(cross * way).sum(-1).clamp_max(0)
    geometry = 4 * rooms.lights[:, None] * cosines / square**2
    free = (_distances(rooms, origin, way)[0] > SHORT).all(-1)
    return (geometry * free / math.pi)[..., None] * _pick(rooms.power, which)


def cosine_direction(normal: Tensor, sample: Tensor) -> Tensor:
    """Return directions about normals (tasks, n, 3) with density cos θ / π, of samples (tasks, n, 2)."""
    radius, angle = sample[..., 0].sqrt(), 2 * math.pi * sample[..., 1]
    first, second = _frame(normal)
    along = (radius * angle.cos())[..., None] * first + (radius * angle.sin())[..., None] * second
    return along + (1 - sample[..., :1]).clamp_min(0).sqrt() * normal


def _frame(normal: Tensor) -> tuple[Tensor, Tensor]:
    """Return two tangents (…, 3) that make a right-handed frame with the normal (Duff et al. 2017)."""
    x, y, z = normal.unbind(-1)
    sign = torch.copysign(torch.ones_like(z), z)
    a = -1 / (sign + z)
    b = x * y * a
    return torch.stack([1 + sign * x**2 * a, sign * b, -sign * x], -1), torch.stack([b, sign + y**2 * a, -y], -1)


def _distances(rooms: Rooms, origin: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
    """Return distances (tasks, n, boxes + spheres + lights) in lengths of `direction`, infinite where a ray passes;
    and the axis (tasks, n, boxes) in which a box is met.
    """
    origin, direction = origin[:, :, None], direction[:, :, None]  # (tasks, n, 1, 3)
    centre, half, turn = rooms.box[:, None].split([3, 3, 1], -1)
    local, way = _turn(origin - centre, turn[..., 0]), _turn(direction, turn[..., 0])
    middle, reach = _safe_divide(-local, way), _safe_divide(half, way).abs()
    near, axis = (middle - reach).max(-1)
    met = (near > 0) & (near < (middle + reach).amin(-1))
    boxes = torch.where(met, near, torch.inf)

    centre, radius = rooms.sphere[:, None].split([3, 1], -1)
    away = origin - centre
    square = direction.square().sum(-1)
    along = -(away * direction).sum(-1) / square
    # Distance of the centre from the ray's line: exact where b² − 4ac is a difference of large numbers.
    root = (radius[..., 0] ** 2 - (away + along[..., None] * direction).square().sum(-1)) / square
    near = along - root.clamp_min(0).sqrt()
    spheres = torch.where((root > 0) & (near > 0), near, torch.inf)

    centre, u, v = rooms.light[:, None].split(3, -1)
    normal = _light_normal(rooms)[:, None]
    near = _safe_divide(((centre - origin) * normal).sum(-1), (direction * normal).sum(-1))
    place = origin + near[..., None] * direction - centre
    inside = ((place * u).sum(-1).abs() < u.square().sum(-1)) & ((place * v).sum(-1).abs() < v.square().sum(-1))
    there = torch.arange(2, device=near.device) < rooms.lights[:, None, None]
    lights = torch.where(inside & there & (near > 0), near, torch.inf)
    return torch.cat([boxes, spheres, lights], -1), axis


def _light_normal(rooms: Rooms) -> Tensor:
    _, u, v = rooms.light.split(3, -1)
    return normalize(torch.linalg.cross(u, v), dim=-1)


def _safe_divide(value: Tensor, by: Tensor) -> Tensor:
    """Divide; a ray parallel to a plane meets it very far away."""
    return value / torch.where(by.abs() < 1e-9, torch.full_like(by, 1e-9), by)


def _pick(table: Tensor, rows: Tensor) -> Tensor:
    """Return rows (tasks, n) of tables (tasks, rows, k), (tasks, n, k)."""
    return table.gather(1, rows[..., None].expand(-1, -1, table.shape[2]))


def _turn(vector: Tensor, angle: Tensor) -> Tensor:
    """Return vectors (…, 3) in a frame that is turned by angles (…) about y."""
    x, y, z = vector.unbind(-1)
    cosine, sine = angle.cos(), angle.sin()
    return torch.stack(torch.broadcast_tensors(cosine * x - sine * z, y, sine * x + cosine * z), -1)
