"""Shared by all tests: one thread, no global state, tiny tasks that misbehave on demand."""

from __future__ import annotations

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture
def folder(tmp_path):
    """A results folder of its own."""
    return tmp_path / "results"
