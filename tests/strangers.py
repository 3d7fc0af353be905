"""A method, a task, a family and a learner that no suite ever saw, each the text of one file."""

METHOD = '''
"""Steps that grow when they helped."""

from methods.base import Method


class Striding(Method):
    grid = {"step": (0.3, 1.0)}
    kind = "single point"

    def setup(self, step: float = 1.0) -> None:
        self.step, self.best, self.lowest = step, self.space.start.clone(), float("inf")

    def ask(self):
        return self.best + self.step * self.normal(4, self.space.dim)

    def tell(self, z, evaluation):
        loss, index = evaluation.loss.min(0)
        better = loss.item() < self.lowest
        self.step *= 1.5 if better else 0.8
        if better:
            self.best, self.lowest = z[index].clone(), loss.item()

    def incumbent(self):
        return self.best.clone()
'''

TASK = '''
"""Two weights on a beam."""

import torch

from benchmarks.contract.problem import Problem


class Beam(Problem):
    source = "ours: a test"

    def setup(self, length: float = 2.0) -> None:
        self.dim, self.length = 2, length
        self.reference = torch.tensor([length, -length], device=self.device)

    def start(self, seed):
        return 0.1 * torch.randn(2, generator=torch.Generator().manual_seed(seed))

    def loss(self, z, seed):
        return (z - self.reference).square().sum(1)
'''

FAMILY = '''
"""Straight lines: two weights, members differ in slope and height."""

import torch

from benchmarks.contract.family import Family, split_members


class Lines(Family):
    title = "Straight lines"
    metric = "l1"
    samples, steps = 8, 3

    def setup(self, train: int = 6, validation: int = 2, test: int = 2) -> None:
        self.n_weights, count = 2, train + validation + test
        self.names = [f"line_{number}" for number in range(count)]
        self.truth = torch.randn(count, 2, generator=torch.Generator().manual_seed(1)).to(self.device)
        self.split = split_members(count, train, validation, test, "lines")

    def initial(self, count, generator):
        return torch.randn(count, 2, generator=generator).to(self.device)

    def sample(self, members, n, generator):
        x = torch.rand(len(members), n, generator=generator).to(self.device)
        return {"x": x, "y": self.at(self.truth[members], x)}

    @staticmethod
    def at(weights, x):
        return weights[:, :1] + weights[:, 1:] * x

    def loss(self, weights, batch):
        return (self.at(weights, batch["x"]) - batch["y"]).square().mean(1)

    def metrics(self, weights, members):
        x = torch.linspace(0, 1, 16, device=self.device).expand(len(members), -1)
        return {"l1": (self.at(weights, x) - self.at(self.truth[members], x)).abs().mean(1)}

    def picture(self, weights, member):
        x = torch.linspace(0, 1, 8, device=self.device)[None]
        return self.at(weights[None], x).sigmoid()[..., None].expand(8, 8, 3)

    def reference_picture(self, member):
        return self.picture(self.truth[member], member)
'''

LEARNER = '''
"""Gradient steps that halve."""

from methods.meta.base import Learner


class Halving(Learner):
    trains = False
    grid = {"rate": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)}

    def setup(self, rate: float = 0.4) -> None:
        self.rate = rate

    def begin(self, tasks, generator):
        return {}

    def start(self, learned, tasks, count, generator):
        return tasks.initial(count, generator)

    def rule(self, learned, steps):
        return lambda weights, gradient, step: weights - self.rate * 0.5**step * gradient
'''


def write_strangers(folder):
    """Write the four files; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {"striding": METHOD, "beam": TASK, "lines": FAMILY, "halving": LEARNER}
    paths = {name: folder / f"{name}.py" for name in texts}
    for name, text in texts.items():
        paths[name].write_text(text)
    return paths
