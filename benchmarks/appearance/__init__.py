"""Families of appearance tasks for meta-learning: one family = one file."""
