"""From adaptation to tables and claims, on curves small enough to know every result by heart."""

from __future__ import annotations

import math
from itertools import product

import pandas as pd
import pytest

from workflow.tables.claims_learners import distance, learner_claims
from workflow.tables.claims_sampling import sampling_claims
from workflow.tables.learners import make_quality_at, make_ratios, make_speedups
from workflow.tables.schema import check

CURVES = {  # step → log_l1 of every member; fomaml is trained for 10 steps
    "fomaml": {0: 1.0, 1: 0.5, 10: 0.01, 20: 0.02},
    "fomaml_init": {0: 1.0, 1: 0.7, 10: 0.1, 20: 0.1},
    "maml": {0: 1.0, 1: 0.5, 10: 0.02, 20: 0.02},
    "learned_schedule": {0: 1.0, 1: 0.5, 10: 0.005, 20: 0.001},
    "overfit": {0: 2.0, 100: 0.1, 1000: 0.01, 2000: 0.006},
    "finetune": {0: 0.9, 10: 0.2, 100: 0.01},
    "general": {0: 0.9},
}
RIVALS = ("overfit", "finetune", "general")


def make_models(learners=CURVES, seeds=3):
    row = {
        "suite": "hand",
        "family": "brdf",
        "params": "{}",
        "status": "ok",
        "reason": "",
        "metric": "log_l1",
        "inner_steps": 10,
        "step_samples": 100,
        "n_weights": 675,
        "n_train": 8,
        "n_test": 2,
        "train_steps": 5,
        "train_samples": 1000,
        "train_s": 1.0,
        "train_loss": 0.1,
        "step_s": 0.001,
        "device": "a processor",
        "versions": "python",
        "commit": "",
    }
    rows = [
        {**row, "learner": name, "algorithm": name.split("_")[0], "seed": seed}
        | {"role": "rival" if name in RIVALS else "meta"}
        for name in learners
        for seed in range(seeds)
    ]
    return check(pd.DataFrame(rows), "models")


def make_adaptation(curves=CURVES, seeds=3):
    rows = [
        {"suite": "hand", "family": "brdf", "learner": name, "seed": seed, "member": member, "step": step}
        | {"samples": 100 * step, "seconds": 0.001 * step, "metric": metric}
        | {"value": value if metric == "log_l1" else -10 * math.log10(value)}
        for name, curve in curves.items()
        for seed in range(seeds)
        for member in ("wood", "steel")
        for step, value in curve.items()
        for metric in ("log_l1", "psnr")
    ]
    return check(pd.DataFrame(rows), "adaptation")


def test_a_rival_is_charged_up_to_its_first_checkpoint_that_is_as_good():
    speedups = make_speedups("hand", make_ratios(make_models(), make_adaptation())).set_index(
        ["over", "metric", "learner", "rival"]
    )
    for over, metric in product(("median", "mean"), ("log_l1", "psnr")):
        assert speedups.loc[(over, metric, "fomaml", "overfit"), "rival_steps"] == 1000
        assert speedups.loc[(over, metric, "fomaml", "overfit"), "steps_ratio"] == 100
        assert speedups.loc[(over, metric, "fomaml", "overfit"), "samples_ratio"] == 100
        assert speedups.loc[(over, metric, "fomaml", "finetune"), "steps_ratio"] == 10
        assert math.isinf(speedups.loc[(over, metric, "learned_schedule", "overfit"), "steps_ratio"])
        assert math.isinf(speedups.loc[(over, metric, "fomaml", "general"), "steps_ratio"])


def test_models_that_diverged_count_as_the_worst():
    adaptation = make_adaptation()
    lost = (adaptation["learner"] == "fomaml") & (adaptation["member"] == "wood") & (adaptation["step"] == 10)
    adaptation.loc[lost, "value"] = None
    quality = make_quality_at(adaptation).set_index(["learner", "metric", "step"])
    assert quality.loc[("fomaml", "log_l1", 10), "median"] == math.inf
    assert quality.loc[("fomaml", "psnr", 10), "median"] == -math.inf
    assert quality.loc[("fomaml", "log_l1", 20), "median"] == 0.02
    assert quality.loc[("fomaml", "log_l1", 20), ["low", "high"]].tolist() == [0.02, 0.02]


def test_claims_about_learners():
    claims = pd.DataFrame(learner_claims(make_models(), make_adaptation())).set_index("id")
    expected = {
        "faster/brdf/maml/overfit/log_l1/median": (math.log10(100), "inconclusive"),  # reaches .02 at step 1000, too
        "faster/brdf/learned_schedule/overfit/log_l1/median": (math.inf, "holds"),
        "faster/brdf/maml/finetune/psnr/median": (1.0, "holds"),
        "fewer_steps/brdf/maml/overfit/log_l1/median": (2.0, "inconclusive"),
        "fewer_steps/brdf/learned_schedule/overfit/log_l1/median": (math.inf, "holds"),
        "fewer_steps/brdf/maml/finetune/psnr/median": (1.0, "holds"),
        "fewer_samples/brdf/maml/overfit/log_l1/mean": (0.99, "does not hold"),
        "fewer_samples/brdf/learned_schedule/overfit/psnr/median": (1.0, "holds"),
        "both_learned/fomaml/init": (1.0, "holds"),
        "second_order": (math.log10(0.5), "does not hold"),
        "learned_schedule/fomaml": (math.log10(2), "holds"),
        "keeps_improving/fomaml/own": (math.log10(0.5), "does not hold"),
        "keeps_improving/learned_schedule/psnr": (math.log10(5), "holds"),
    }
    for name, (effect, verdict) in expected.items():
        assert claims.loc[name, "effect"] == pytest.approx(effect), name
        assert claims.loc[name, "verdict"] == verdict, name
    assert claims.loc["both_learned/maml/init", "verdict"] == "not tested"
    check(claims.reset_index(), "claims")


def test_ten_decibels_are_a_power_of_ten():
    assert distance("psnr", 20.0, 30.0) == 1
    assert distance("log_l1", 0.1, 0.01) == pytest.approx(1)


def test_claims_about_sampling():
    errors = {
        "random": {1: 1.0, 8: 0.5, 64: 0.1},
        "meta": {1: 0.8, 8: 0.3, 64: 0.1},
        "learned": {1: 0.4, 8: 0.1, 64: 0.1},
    }
    rows = [
        {"suite": "hand", "family": "brdf", "model": model, "method": method, "n": n, "seed": seed, "member": "wood"}
        | {"metric": "log_l1", "value": value, "train_samples": 1, "train_s": 1.0}
        for model in ("phong", "pca")
        for method, curve in errors.items()
        for n, value in curve.items()
        for seed in range(2)
    ]
    claims = pd.DataFrame(sampling_claims(check(pd.DataFrame(rows), "sampling"))).set_index("id")
    assert claims.loc["sampling/fewer/random", "effect"] == pytest.approx(math.log10(8))
    assert claims.loc["sampling/fewer/random", "verdict"] == "holds"
    assert claims.loc["sampling/fewer/stratified", "verdict"] == "not tested"
    assert claims.loc["sampling/directions/few", "effect"] == pytest.approx((math.log10(2) + math.log10(3)) / 2)
    assert claims.loc["sampling/directions/many", "effect"] == pytest.approx(0)


def test_the_mean_minds_a_member_that_fails():
    adaptation = make_adaptation()
    lost = (adaptation["learner"] == "overfit") & (adaptation["member"] == "steel") & (adaptation["metric"] == "log_l1")
    adaptation.loc[lost, "value"] = 3.0
    more = adaptation[adaptation["member"] == "wood"].assign(member="glass")  # two of three members are as before
    ratios = make_ratios(make_models(), pd.concat([adaptation, more]))
    chosen = ratios[(ratios["learner"] == "fomaml") & (ratios["rival"] == "overfit") & (ratios["metric"] == "log_l1")]
    found = chosen.groupby("over")["rival_steps"].first()
    assert found["median"] == 1000
    assert found["mean"] == math.inf


def test_without_a_rival_there_are_no_speedups_but_a_table():
    alone = {"ours": CURVES["ours"]} if "ours" in CURVES else dict([next(iter(CURVES.items()))])
    ratios = make_ratios(make_models(alone), make_adaptation(alone))
    assert ratios.empty
    assert make_speedups("hand", ratios).empty
