"""What the pipeline asks of a learner on a family: everything that decides the numbers, nothing that does not.

Imports nothing heavy, so that the Snakefile can use it while it is parsed.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from benchmarks.contract.errors import unknown
from benchmarks.harness.rooms import FAMILIES
from benchmarks.harness.sources import fingerprint, module_of, sources

PARTS = ("test", "validation")
TRAINING = ("replicates", "suite", "steps", "part", "pictured")  # what a trained learner does not depend on
ADAPTATION = ("replicates", "suite")  # what one replicate's adaptation does not depend on


@dataclass(frozen=True)
class MetaCell:
    """One learner on one family: trained on its training members, then adapted to members it has never seen."""

    suite: str
    family: str  # label in the tables
    world: str  # file in benchmarks/appearance/
    learner: str  # label in the tables
    algorithm: str  # file in methods/meta/
    steps: int  # gradient steps of adaptation
    training_samples: int  # that training may see, over all members
    replicates: list[int]
    training_seconds: float | None = None
    family_params: dict[str, Any] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    part: str = "test"  # whose members are adapted to
    pictured: int = 0  # members of which pictures are kept
    device: str = "cpu"
    threads: int = 1

    @classmethod
    def from_json(cls, text: str) -> MetaCell:
        """Parse a specification; raises UsageError naming an unknown key."""
        content = json.loads(text)
        known = [item.name for item in fields(cls)]
        for key in content:
            if key not in known:
                raise unknown("key of a learner's specification:", key, known)
        return cls(**content)

    def of_training(self) -> str:
        """Return the hash of code and settings that a trained learner must carry to be reused."""
        modules = module_of(f"benchmarks.{FAMILIES}", self.world), module_of("methods.meta", self.algorithm)
        return fingerprint(sources(*modules, "benchmarks.harness.meta_train"), self._facts(TRAINING))

    def of_adaptation(self) -> str:
        """Return the like for a stored adaptation."""
        return fingerprint(sources("benchmarks.harness.adapt"), self.of_training(), self._facts(ADAPTATION))

    def _facts(self, without: tuple[str, ...]) -> str:
        return json.dumps({key: value for key, value in asdict(self).items() if key not in without}, sort_keys=True)
