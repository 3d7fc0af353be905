"""FOMAML: MAML that takes the gradients of the inner loop as constants."""

from __future__ import annotations

from methods._look import Look
from methods._ranges import Count, Positive
from methods.meta._descent import Learn, MetaDescent


class Fomaml(MetaDescent):
    """First-order meta-gradient: that of the start is the outer loss's gradient at the adapted weights.

    Source: Finn et al. 2017 (sec. 5.2). The learned step sizes receive −Σ exp(a) ∘ g ∘ ∂L/∂θ over inner gradients g.
    """

    look = Look("FOMAML + Meta-SGD", "#e8458b", "D", emphasis=1)
    looks = {
        ("learn", "init"): Look("FOMAML, start only", "#f7a1c4", "v"),
        ("learn", "rates"): Look("FOMAML, rates only", "#8e1b4e", "<"),
    }
    first_order = True

    def setup(
        self,
        learn: Learn = "both",
        inner_rate: Positive = 0.1,
        inner_steps: Count | None = None,
        tasks_per_step: Count = 4,
        outer_rate: Positive = 5e-3,
    ) -> None:
        """See `MetaDescent.describe` for the parameters."""
        self.describe(learn, inner_rate, inner_steps, tasks_per_step, outer_rate)
