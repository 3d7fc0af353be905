"""MAML: descend the loss after the inner loop, differentiated through all of its steps."""

from __future__ import annotations

from methods._look import Look
from methods._ranges import Count, Positive
from methods.meta._descent import Learn, MetaDescent


class Maml(MetaDescent):
    """Second-order meta-gradient, all tasks in one batch.

    Source: Finn et al. 2017 (alg. 1); with learned step sizes Li et al. 2017 (Meta-SGD); for appearance Fischer &
    Ritschel 2022, who use 10 steps of 512 samples and an outer rate of 1e-4. Ours: step sizes as logarithms starting at
    .1 instead of 1e-3, outer rate 5e-3 decaying linearly to zero, 4 tasks a step instead of 1, thousands of outer steps
    instead of up to a million, no weight decay, meta-gradient clipped to norm 1; judged is the last state of training,
    not the best on test members.
    """

    look = Look("MAML + Meta-SGD", "#ff8000", "o", emphasis=1)
    looks = {
        ("learn", "init"): Look("MAML, start only", "#fdb462", "s"),
        ("learn", "rates"): Look("MAML, rates only", "#a63603", "^"),
    }

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
