"""Weights of a network that paints: many dimensions behind a non-convex map."""
