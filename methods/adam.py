"""Adam on the task's own gradient: the oracle that shows what a differentiable renderer would have given."""

from __future__ import annotations

from torch import Tensor

from methods._look import Look
from methods._ranges import Positive
from methods._work import Work
from methods.base import Descent, Evaluation, Schedule


class Adam(Descent):
    """Descend the true gradient ∂L/∂θ, one evaluation and one gradient per step.

    Source: Kingma & Ba 2015, β = (0.9, 0.999).
    """

    look = Look("Adam, true gradient", "#000000", "*", linestyle="--", emphasis=1)
    looks = {
        ("source", "prb"): Look("Mitsuba AD (prb)", "#262626", "s", linestyle="--"),
        ("source", "prb_projective"): Look("Mitsuba AD (projective)", "#5e5e5e", "D", linestyle="--"),
        ("source", "softras"): Look("Soft rasterizer", "#7a4f2a", "h", linestyle="--"),
        ("source", "gendr_gaussian"): Look("Soft rasterizer (Gaussian)", "#a8743a", "p", linestyle="--"),
        ("source", "gendr_cauchy"): Look("Soft rasterizer (Cauchy)", "#c9a06a", "8", linestyle="--"),
        ("source", "smoothed"): Look("Gradient smoothed at the strokes", "#3f6b4a", "P", linestyle="--"),
        ("source", "antialiased"): Look("Antialiased rasterizer", "#4a4a2f", "X", linestyle="--"),
    }
    kind = "oracle"
    deterministic = True
    needs = "gradient"
    grid = {"lr": (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)}
    per_coordinate = Work(launches=8, numbers=3, kept=4)

    def setup(self, lr: Positive = 0.1, source: str = "", schedule: Schedule = "linear") -> None:
        """Move by about `lr` natural steps per coordinate and iteration, along the task's gradient called `source`."""
        self.gradient_source = source
        self.start_descent(lr, schedule=schedule)

    def ask(self) -> Tensor:
        return self.theta[None].clone()

    def tell(self, z: Tensor, evaluation: Evaluation) -> None:
        if evaluation.gradient is None:
            raise ValueError("adam was told losses without gradients")
        self.descend(evaluation.gradient[0], len(z))
