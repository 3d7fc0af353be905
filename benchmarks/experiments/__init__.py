"""Experiments with a bench of their own: sampled materials, diffusion, posteriors, rays."""
