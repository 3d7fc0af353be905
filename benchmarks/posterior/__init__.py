"""What is measured of a diffusion model's draws, by black boxes whose derivative is zero; one file each."""
