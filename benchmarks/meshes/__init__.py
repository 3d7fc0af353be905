"""Surfaces of triangles that are seen, and bent until they look right."""
