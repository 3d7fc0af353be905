"""Scenes seen by a real path tracer: gradients are there, and zero where nothing visible moves."""
