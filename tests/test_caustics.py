"""The caustic's optics beyond single rays: light is conserved, and the oracle points where the smoothed loss falls."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.caustics.height_field import CONTROL, STEP, HeightField, basis


def normal(*size, seed=0):
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))


def test_splines_sum_to_one_and_their_slopes_to_zero():
    values, slopes = basis(np.linspace(0, 1, 301))
    assert values.shape == slopes.shape == (301, CONTROL)
    assert (values >= -1e-12).all()
    assert np.allclose(values.sum(1), 1)
    assert np.allclose(slopes.sum(1), 0, atol=1e-9)


@pytest.mark.parametrize(("photons", "pixels"), [(32, 16), (64, 64), (96, 16)])
def test_no_photon_is_invented(photons, pixels):
    problem = HeightField(photons=photons, pixels=pixels)
    for scale in (0.0, 1.0, 10.0, 100.0):
        counts = problem.observe(scale * normal(3, problem.dim), 0) * problem.even
        assert torch.equal(counts, counts.round())
        assert (counts.sum((1, 2)) <= photons**2).all()


def test_a_lens_in_the_middle_keeps_all_light_in_the_frame():
    problem = HeightField(photons=64, pixels=16)
    node = (torch.arange(CONTROL) - 1) / (CONTROL - 3) - 0.5
    bowl = -0.4 * (node.square() + node[:, None].square())  # convex glass: light converges
    even, lens = problem.observe(torch.stack([torch.zeros(CONTROL**2), bowl.flatten() / STEP]), 0)
    assert int(even.sum()) == int(lens.sum()) == 16**2
    assert float(lens[4:12, 4:12].sum()) > 1.3 * float(even[4:12, 4:12].sum())


def test_tone_mapped_pictures_lie_between_black_and_white():
    problem = HeightField(photons=32, pixels=16)
    shown = problem.tone_map(problem.observe(torch.tensor([[0.1], [1.0], [10.0], [1e4]]) * normal(1, problem.dim), 0))
    assert torch.isfinite(shown).all()
    assert 0 <= float(shown.min()) <= float(shown.max()) <= 1


@pytest.mark.parametrize("descended", [False, True])
def test_oracle_is_aligned_with_the_gradient_of_the_smoothed_loss(descended):
    """The cosine is freed of the samples' noise: a unit vector's product with two independent halves a and b of the
    score-function estimate, over the length √(a·b)."""
    problem = HeightField(photons=32, pixels=16)
    z = problem.start(0)
    for _ in range(30 if descended else 0):
        gradient = problem.oracle_gradient(z)
        z = z - 0.2 * gradient / gradient.square().mean().sqrt()
    halves = torch.zeros(2, problem.dim)
    batches, size = 40, 500
    for batch in range(batches):
        noise = normal(size, problem.dim, seed=batch)
        difference = problem.loss(z + noise, 0) - problem.loss(z - noise, 0)
        halves[batch % 2] += difference @ noise / (batches * size)  # (1/2σ) / (half of all)
    oracle = problem.oracle_gradient(z)
    length = float(halves[0] @ halves[1]) ** 0.5
    assert float(halves.mean(0) @ oracle) / (float(oracle.norm()) * length) > 0.3
    assert 0.2 < float(oracle.norm()) / length < 5


@pytest.mark.parametrize("roughness", [0.1, 4.0])
def test_roughness_is_the_starts_spread_in_natural_steps(roughness):
    starts = torch.stack([HeightField(photons=32, pixels=16, roughness=roughness).start(seed) for seed in range(4)])
    within = 4 / (2 * starts.numel()) ** 0.5  # four standard errors of a standard deviation
    assert float(starts.std()) == pytest.approx(roughness, rel=within)
    assert float(starts.mean().abs()) < 4 * roughness / starts.numel() ** 0.5
    assert len({tuple(start.tolist()) for start in starts}) == 4
    assert float(torch.corrcoef(starts).fill_diagonal_(0).abs().max()) < 4 / starts.shape[1] ** 0.5


def test_roughness_scales_one_draw_per_seed_and_nothing_else():
    smooth, rough = (HeightField(photons=32, pixels=16, roughness=roughness) for roughness in (0.5, 4.0))
    assert torch.allclose(8 * smooth.start(3), rough.start(3))
    assert torch.equal(smooth.target, rough.target)
    z = normal(2, smooth.dim)
    assert torch.equal(smooth.loss(z, 0), rough.loss(z, 0))
    assert not HeightField(photons=32, pixels=16, roughness=0.0).start(0).any(), "a flat slab"


def test_light_is_bent_as_far_as_the_start_is_rough():
    flat, ours, released = (HeightField(photons=32, pixels=16, roughness=roughness) for roughness in (0.0, 0.1, 4.0))
    x, _, _ = flat.trace(flat.start(0)[None])
    near, far = (float((problem.trace(problem.start(0)[None])[0] - x).abs().mean()) for problem in (ours, released))
    assert near > 0
    assert 30 < far / near < 50, "40 for small angles"
