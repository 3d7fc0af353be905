"""Samplers that turn noise into draws from a law by asking its denoiser; one file each."""
