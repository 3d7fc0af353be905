"""Scenes of Blender itself, rendered by workers in an environment of their own (docs/blender.md)."""
