"""Laws that diffusion samplers draw from: a denoiser, exact draws to compare with, features; one file each."""
