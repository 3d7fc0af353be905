"""Guides that lead a diffusion sampler to the posterior of a measurement; one file each."""
