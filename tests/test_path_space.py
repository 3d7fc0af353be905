"""The path tracer of light transport: closed forms, shadows, and the picture that Mitsuba renders."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from agreement import assert_agree
from torch.nn.functional import avg_pool2d, max_pool2d, normalize

from benchmarks.appearance import _path_space
from benchmarks.appearance._path_space import CAMERA, DIM, HIGH, LOW, TANGENT, Hit, draw_rooms, luminance, radiance


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def under(half, height, **changes):
    """An empty-looking room whose one light hangs centred, and a hit `height` below that faces it."""
    rooms = draw_rooms(1, seeded())
    light = torch.zeros(1, 2, 9)
    light[0, 0] = torch.tensor([0.0, 0.8, 0.0, half, 0.0, 0.0, 0.0, 0.0, half])  # u × v faces down
    far = rooms.box.clone()
    far[..., :3] = torch.tensor([0.0, -0.97, 1.9])
    far[..., 3:6] = 0.01
    ball = torch.tensor([0.0, -0.97, 1.9, 0.01]).expand(1, 2, 4)
    ones = torch.ones(1, dtype=torch.long)
    rooms = replace(rooms, light=light, power=torch.ones(1, 2, 3), lights=ones, box=far, sphere=ball)
    rooms = replace(rooms, **changes)
    count = 40_000
    point = torch.tensor([0.0, 0.8 - height, 0.0]).expand(1, count, 3)
    up = torch.tensor([0.0, 1.0, 0.0]).expand(1, count, 3)
    return rooms, Hit(point, up, torch.ones(1, count, 3), torch.zeros(1, count, 3))


@pytest.mark.parametrize(("half", "height"), [(0.2, 0.5), (0.9, 0.1), (0.3, 1.5)])
def test_light_from_a_square_has_its_form_factor(half, height):
    """The irradiance under the centre of a square of radiance 1 is π times four corners' form factor (Howell C-11)."""
    rooms, at = under(half, height)
    side = half / height
    root = math.sqrt(1 + side**2)
    factor = 4 * (side / root * math.atan(side / root)) / math.pi
    found = _path_space.gather(rooms, at, torch.rand(1, 40_000, 2, generator=seeded()))[0, :, 0]
    error = float(found.std()) / 200
    assert float(found.mean()) == pytest.approx(factor, abs=4 * error)


def test_furnace_a_light_over_everything():
    """Under a light that fills almost the hemisphere, a white surface gives back what it gets: radiance 1."""
    rooms, at = under(0.99, 0.004)
    direction = _path_space.cosine_direction(at.normal, torch.rand(1, 40_000, 2, generator=seeded()))
    hit = _path_space.trace(rooms, at.point, direction)
    assert float(hit.emission.mean()) == pytest.approx(1, abs=1e-3)


def test_two_ways_to_find_a_light_agree():
    """Rays by the cosine that meet lights against points on lights, in drawn rooms with all that is in the way."""
    rooms = draw_rooms(7, seeded(4))
    numbers = torch.rand(7, 60_000, DIM, generator=seeded(9))
    hit = _path_space.look(rooms, numbers[..., :2])
    surface = (hit.reflectance > 0).any(-1)
    origin = hit.point + 2e-4 * hit.normal
    met = _path_space.trace(rooms, origin, _path_space.cosine_direction(hit.normal, numbers[..., 2:4])).emission
    gathered = _path_space.gather(rooms, hit, numbers[..., 4:])
    met, gathered = luminance(met) * surface, luminance(gathered) * surface
    lit = (met > 0).sum(1) > 200  # where rays hardly ever meet a light, their spread tells nothing
    assert int(lit.sum()) >= 4
    score = (met - gathered).mean(1) / (met - gathered).std(1) * math.sqrt(60_000)
    assert float(score[lit].abs().max()) < 4


def test_what_stands_between_makes_a_shadow():
    open_room, at = under(0.2, 1.5)
    sample = torch.rand(1, 40_000, 2, generator=seeded())
    assert bool((_path_space.gather(open_room, at, sample) > 0).all())
    board = open_room.box.clone()
    board[0, 1] = torch.tensor([0.0, 0.0, 0.0, 0.5, 0.02, 0.5, 0.7])
    ball = torch.tensor([[[0.0, 0.0, 0.0, 0.45], [0.0, -0.97, 1.9, 0.01]]])
    for blocked in (replace(open_room, box=board), replace(open_room, sphere=ball)):
        assert not bool((_path_space.gather(blocked, at, sample) > 0).any())
    turned = open_room.light * torch.tensor([1.0] * 6 + [-1.0] * 3)  # the light faces up
    assert not bool((_path_space.gather(replace(open_room, light=turned), at, sample) > 0).any())
    half = board.clone()
    half[0, 1, 0] = 0.5  # its edge lies under the light's middle
    half[0, 1, 6] = 0
    seen = (_path_space.gather(replace(open_room, box=half), at, sample) > 0).any(-1).float().mean()
    assert float(seen) == pytest.approx(0.5, abs=0.02)


def test_rooms_are_closed_and_lights_inside():
    rooms = draw_rooms(200, seeded())
    direction = normalize(torch.randn(200, 400, 3, generator=seeded(1)), dim=-1)
    hit = _path_space.trace(rooms, torch.tensor(CAMERA).expand_as(direction), direction)
    assert bool((hit.point >= torch.tensor(LOW) - 1e-5).all())
    assert bool((hit.point <= torch.tensor(HIGH) + 1e-5).all())
    assert float((hit.normal * direction).sum(-1).max()) < 1e-4
    torch.testing.assert_close(hit.normal.norm(dim=-1), torch.ones(200, 400))
    centre, u, v = rooms.light.split(3, -1)
    reach = u.abs() + v.abs()
    assert bool((centre - reach > torch.tensor(LOW)).all())
    assert bool((centre + reach < torch.tensor(HIGH)).all())
    top = torch.maximum((rooms.box[..., 1] + rooms.box[..., 4]).amax(1), (rooms.sphere[..., 1::2]).sum(-1).amax(1))
    assert bool(((centre - reach)[..., 1].amin(1) > top - 1e-6).all()), "no light inside a box or sphere"
    torch.testing.assert_close(draw_rooms(5, seeded()).light, rooms.light[:5])


def mitsuba_scene(mi, rooms, pixels):
    """Room 0 of the rooms, as Mitsuba's dictionary."""
    place = mi.ScalarTransform4f

    def matte(color):
        return {"type": "diffuse", "reflectance": {"type": "rgb", "value": [float(c) for c in color]}}

    def matrix(centre, *columns):
        rows = torch.cat([torch.stack([*columns, centre], 1), torch.tensor([[0.0, 0.0, 0.0, 1.0]])])
        return place(rows.double().numpy())

    low, high = torch.tensor(LOW), torch.tensor(HIGH)
    middle, reach = (low + high) / 2, (high - low) / 2
    scene = {"type": "scene"}
    for wall, color in enumerate(rooms.walls[0]):
        axis, side = wall // 2, 1.0 if wall % 2 else -1.0
        normal = torch.zeros(3).index_fill(0, torch.tensor(axis), -side)
        first = torch.zeros(3).index_fill(0, torch.tensor((axis + 1) % 3), 1.0)
        second = torch.linalg.cross(normal, first)
        at = middle - normal * reach
        to_world = matrix(at, first * (first * reach).sum(), second * (second * reach).sum().abs(), normal)
        scene[f"wall{wall}"] = {"type": "rectangle", "to_world": to_world, "bsdf": matte(color)}
    boxes, spheres = len(rooms.box[0]), len(rooms.sphere[0])
    for i, row in enumerate(rooms.box[0].tolist()):
        to_world = place().translate(row[:3]).rotate([0, 1, 0], math.degrees(row[6])).scale(row[3:6])
        scene[f"box{i}"] = {"type": "cube", "to_world": to_world, "bsdf": matte(rooms.color[0, i])}
    for i, row in enumerate(rooms.sphere[0].tolist()):
        color = matte(rooms.color[0, boxes + i])
        scene[f"ball{i}"] = {"type": "sphere", "center": row[:3], "radius": row[3], "bsdf": color}
    assert len(rooms.color[0]) == boxes + spheres
    for i in range(int(rooms.lights[0])):
        centre, u, v = rooms.light[0, i].split(3)
        emitter = {"type": "area", "radiance": {"type": "rgb", "value": rooms.power[0, i].tolist()}}
        to_world = matrix(centre, u, v, normalize(torch.linalg.cross(u, v), dim=0))
        scene[f"light{i}"] = {"type": "rectangle", "to_world": to_world, "emitter": emitter, "bsdf": matte([0.0] * 3)}
    film = {"type": "hdrfilm", "width": pixels, "height": pixels, "rfilter": {"type": "box"}}
    eye = list(CAMERA)
    scene["sensor"] = {
        "type": "perspective",
        "fov": 2 * math.degrees(math.atan(TANGENT)),
        "to_world": place().look_at(origin=eye, target=[eye[0], eye[1], eye[2] - 1], up=[0, 1, 0]),
        "film": film,
        "sampler": {"type": "independent"},
    }
    return mi.load_dict(scene)


@pytest.mark.llvm
@pytest.mark.parametrize("row", [0, 1])
def test_mitsuba_renders_the_same_picture(row):
    """Mitsuba's path integrator with as many bounces: every colour's mean, and blocks of 8 × 8 pixels.

    Left out are pixels that see a light directly, and their neighbours: their edges drown the rest in noise, and a
    light has no brightness of its own in our pictures.
    """
    from benchmarks.rendering._mitsuba import backend

    mi = backend().mi
    rooms = draw_rooms(4, seeded(7))
    row = (rooms.lights == row + 1).nonzero()[0]  # one light, two lights
    rooms = rooms[row]
    scene = mitsuba_scene(mi, rooms, 32)

    def rendered(bounces, seed):
        integrator = mi.load_dict({"type": "path", "max_depth": bounces, "rr_depth": 99})
        return torch.from_numpy(mi.TensorXf(mi.render(scene, integrator=integrator, spp=32, seed=seed)).numpy())

    axis = torch.arange(32)
    cell = torch.cartesian_prod(axis, axis).flip(1).repeat_interleave(32, 0)

    def traced(seed):
        points = torch.rand(32 * 32 * 32, DIM, generator=seeded(seed))
        points[:, :2] = (cell + points[:, :2]) / 32
        return radiance(rooms, points[None])[0].view(32, 32, 32, 3).mean(2)

    theirs = torch.stack([rendered(3, seed) for seed in range(40)])
    ours = torch.stack([traced(seed) for seed in range(40)])
    lights = torch.stack([rendered(1, seed) for seed in range(40)]).amax((0, 3)) > 0
    dark = (max_pool2d(lights[None].double(), 3, 1, 1) == 0)[0]
    assert dark.double().mean() > 0.8
    ours, theirs = ((x * dark[..., None]).movedim(-1, 1) for x in (ours, theirs))
    brightness = float(theirs.mean())
    assert_agree(ours.mean((2, 3)), others=theirs.mean((2, 3)), resolution=0.02 * brightness)
    assert_agree(avg_pool2d(ours, 8), others=avg_pool2d(theirs, 8), resolution=0.2 * brightness)
