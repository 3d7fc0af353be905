"""The figures of learned descent, drawn from tables made by hand."""

from itertools import product

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from figure_checks import assert_every_panel_shows_something, assert_nothing_is_cut_off, words
from labels_by_hand import write_labels

from benchmarks.contract.errors import UsageError
from workflow.figures import figure
from workflow.figures.__main__ import make
from workflow.figures.style import look, use_style
from workflow.figures.tables import Tables
from workflow.tables.learners import make_quality_at, make_ratios, make_speedups
from workflow.tables.schema import check

mpl.use("agg")
NAMES = ["inner_loop", "quality_time", "adaptation", "paradigms"]
FAMILIES = {  # label → metric, inner steps, samples per step, seeds, height and width of its pictures
    "transport": ("log_variance", 10, 256, 3, (12, 12)),
    "brdf": ("log_l1", 10, 512, 3, (12, 12)),
    "texture": ("gram", 14, 1, 3, (9, 16)),
    "illumination": ("log_l1", 8, 128, 1, (8, 16)),
    "svbrdf_nonstationary": ("l1", 10, 64, 3, (12, 12)),
}
LEARNERS = {  # label → algorithm, role, seconds per step, quality relative to the start after 10 steps, exponent
    "overfit": ("overfit", "rival", 2e-3, 0.8, 0.6),
    "maml": ("maml", "meta", 1e-3, 0.1, 0.1),
    "general": ("general", "rival", 1e-3, 0.5, 0.0),
    "learned_schedule": ("learned_schedule", "meta", 1.5e-3, 0.05, 0.3),
    "maml_init": ("maml", "meta", 1e-3, 0.2, 0.1),
    "finetune": ("finetune", "rival", 2e-3, 0.3, 0.3),
    "random_init": ("random_init", "rival", 1e-3, 0.95, 0.02),
}
MEMBERS = ["gold paint", "alum-bronze", "blue_fabric", "pearl paint"]
LAST = 100
PARADIGMS = ["general", "overfit", "finetune", "maml", "learned_schedule"]


def skipped(family, learner):
    return (family, learner) in {("transport", "maml"), ("texture", "finetune")}


def quality(family, learner, member, seed, step):
    """Known by heart: falls as a power of the steps; negative for transport, not there for what diverged."""
    if family == "svbrdf_nonstationary" and learner == "learned_schedule" and step > 0:
        return None
    if family == "brdf" and (learner, member) in {("overfit", 1), ("learned_schedule", 2)} and step >= 10:
        return None if learner == "overfit" else np.inf
    _, _, _, after, exponent = LEARNERS[learner]
    value = (1 + 0.1 * member) * (1 + 0.01 * seed)
    if step or learner in ("general", "finetune"):
        value *= after * (10 / max(step, 1)) ** exponent
    return float(np.log(value)) if family == "transport" else value


def make_folder(folder):
    """Write models, checkpoints, their medians and the pictures."""
    models, rows, pictures = [], [], {}
    for family, (metric, inner_steps, samples, seeds, shape) in FAMILIES.items():
        steps = sorted({0, 1, 2, 5, *(round(share * inner_steps) for share in (0.25, 0.5, 0.75, 1)), 20, 50, LAST})
        for number, member in enumerate(MEMBERS[:2] if family != "illumination" else ()):
            pictures[f"{family}/{member}/reference"] = np.full((*shape, 3), 40 * number, np.uint8)
        for learner, (algorithm, role, seconds, *_) in LEARNERS.items():
            if skipped(family, learner):
                continue
            taken = [0] if (family, learner) == ("brdf", "general") else steps
            keys = {"suite": "hand", "family": family, "learner": learner}
            for seed in range(seeds):
                models.append(make_model(keys, seed, algorithm, role, metric, inner_steps, samples, seconds))
                for member, name in enumerate(MEMBERS):
                    for step in taken:
                        value = quality(family, learner, member, seed, step)
                        point = {"seed": seed, "member": name, "step": step, "samples": step * samples}
                        point |= {"seconds": step * seconds}
                        rows.append({**keys, **point, "metric": metric, "value": value})
                        rows.append({**keys, **point, "metric": "psnr", "value": None if value is None else 20 - value})
                        if seed == 0 and f"{family}/{name}/reference" in pictures:
                            pictures[f"{family}/{name}/{learner}/{step}"] = np.full((*shape, 3), step, np.uint8)
    adaptation = check(pd.DataFrame(rows), "adaptation")
    check(pd.DataFrame(models), "models").to_parquet(folder / "models.parquet", index=False)
    adaptation.to_parquet(folder / "adaptation.parquet", index=False)
    make_quality_at(adaptation).to_csv(folder / "quality_at.csv", index=False)
    np.savez(folder / "adaptation_pictures.npz", **pictures)
    write_labels(folder)


def make_model(keys, seed, algorithm, role, metric, inner_steps, samples, seconds):
    """A row of models.parquet."""
    facts = {"params": "{}", "role": role, "status": "ok", "reason": "", "metric": metric}
    facts |= {"inner_steps": inner_steps, "step_samples": samples, "n_weights": 675, "n_train": 8, "n_test": 4}
    spent = {"train_steps": 100, "train_samples": 51200, "train_s": 12.0, "train_loss": 0.1, "step_s": seconds}
    where = {"device": "a processor", "versions": "python=3.11.7", "commit": "0123456789ab"}
    return {**keys, "algorithm": algorithm, "seed": seed, **facts, **spent, **where}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Folder of tables."""
    home = tmp_path_factory.mktemp("tables")
    make_folder(home)
    return home


def draw(folder, name, **options):
    use_style()
    return figure(name).draw(Tables(folder), figure(name).Options(**options))


@pytest.mark.parametrize("name", NAMES)
def test_every_panel_is_full_and_uncut(folder, name):
    shown = draw(folder, name)
    assert_every_panel_shows_something(shown)
    assert_nothing_is_cut_off(shown)
    said = words(shown)
    assert "nan" not in said.split()
    positions = [said.index(family) for family in ("Texture", "BRDF", "Illumination", "Light transport")]
    assert positions == sorted(positions)


@pytest.mark.parametrize("name", NAMES)
def test_command_writes_the_same_bytes_twice(folder, tmp_path, name):
    options = {"families": ["brdf"]}
    files = make(name, folder, options, tmp_path / "one" / f"{name}.pdf")
    again = make(name, folder, options, tmp_path / "two" / f"{name}.pdf")
    assert [path.read_bytes() for path in files] == [path.read_bytes() for path in again]


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        *((name, {"families": ["brfd"]}, r"family.*'brfd'.*'brdf'") for name in NAMES),
        *((name, {"familys": []}, r"'familys'.*'families'") for name in NAMES),
        *((name, {"learners": ["mlam"]}, r"learner.*'mlam'.*'maml'") for name in NAMES[1:]),
        ("inner_loop", {"learner": "mlam"}, r"learner.*'mlam'.*'maml'"),
        ("adaptation", {"metric": "pnsr"}, r"metric.*'pnsr'.*'psnr'"),
    ],
)
def test_what_the_tables_do_not_have_is_named(folder, tmp_path, name, options, said):
    with pytest.raises(UsageError, match=said):
        make(name, folder, options, tmp_path / "a.pdf")


NEEDS = {
    "inner_loop": ("adaptation.parquet", "value"),
    "quality_time": ("models.parquet", "algorithm"),
    "adaptation": ("quality_at.csv", "high"),
    "paradigms": ("models.parquet", "inner_steps"),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_table_column_or_row_is_named(tmp_path, name):
    make_folder(tmp_path)
    table, column = NEEDS[name]
    path = tmp_path / table
    csv = path.suffix == ".csv"
    whole = pd.read_csv(path) if csv else pd.read_parquet(path)
    for frame, said in ((whole.drop(columns=column), repr(column)), (whole.head(0), "no rows")):
        frame.to_csv(path, index=False) if csv else frame.to_parquet(path, index=False)
        with pytest.raises(UsageError, match=said):
            draw(tmp_path, name)
    path.unlink()
    with pytest.raises(UsageError, match=f"{table} is missing"):
        draw(tmp_path, name)


LENGTHS = {"brdf_1m": 1_000_000, "brdf_10m": 10_000_000, "brdf_100m": 100_000_000}


@pytest.fixture(scope="module")
def lengths(tmp_path_factory):
    """Folder of tables: one family, trained for three lengths; the longest by ours is never reached by overfit."""
    home = tmp_path_factory.mktemp("lengths")
    models, rows = [], []
    for label, samples in LENGTHS.items():
        for learner in ("overfit", "maml", "learned_schedule"):
            algorithm, role, seconds, *_ = LEARNERS[learner]
            keys = {"suite": "hand", "family": label, "learner": learner}
            for seed in range(2):
                model = make_model(keys, seed, algorithm, role, "log_l1", 10, 512, seconds)
                models.append(model | {"train_samples": samples if role == "meta" else 0})
                for member, step in product(MEMBERS, (0, 5, 10, 100, 1000)):
                    value = 1 / (1 + step)
                    if role == "meta" and step == 10:
                        value = 10 / samples**0.5 if learner == "maml" else 1e3 / samples
                    point = {"seed": seed, "member": member, "step": step, "samples": step * 512}
                    point |= {"seconds": step * seconds, "metric": "log_l1", "value": value}
                    rows.append({**keys, **point})
    models, adaptation = check(pd.DataFrame(models), "models"), check(pd.DataFrame(rows), "adaptation")
    models.to_parquet(home / "models.parquet", index=False)
    adaptation.to_parquet(home / "adaptation.parquet", index=False)
    make_speedups("hand", make_ratios(models, adaptation)).to_csv(home / "speedups.csv", index=False)
    write_labels(home)
    return home


def test_training_shows_what_its_length_is_worth(lengths):
    shown = draw(lengths, "training")
    assert_every_panel_shows_something(shown)
    assert_nothing_is_cut_off(shown)
    quality, ratio = ({line.get_gid(): line for line in axes.lines} for axes in shown.axes[:2])
    assert quality["maml median"].get_xdata().tolist() == list(LENGTHS.values())
    np.testing.assert_allclose(quality["maml median"].get_ydata(), [0.01, 0.00316, 0.001], rtol=0.01)
    assert ratio["maml median"].get_ydata().tolist() == [10, 100, 100]
    assert "never maml median" not in ratio
    assert ratio["never learned_schedule median"].get_xdata().tolist() == [10_000_000, 100_000_000]
    assert "did not get there within 1,000 steps" in words(shown)
    with pytest.raises(UsageError, match=r"family.*'brdf_10k'.*'brdf_1"):
        draw(lengths, "training", families=["brdf_10k"])


@pytest.mark.parametrize("name", ["inner_loop", "paradigms"])
def test_pictures_that_nobody_took_are_told(tmp_path, name):
    make_folder(tmp_path)
    np.savez(tmp_path / "adaptation_pictures.npz")
    with pytest.raises(UsageError, match="no reference picture"):
        draw(tmp_path, name)


def under(axes):
    """The text below a picture."""
    return [text.get_text() for text in axes.texts]


def test_inner_loop_shows_pictures_and_numbers_of_its_quarters(folder):
    shown = draw(folder, "inner_loop", families=["brdf", "texture"], learner="maml")
    wanted = [("brdf", (0, 2, 5, 8, 10)), ("texture", (0, 4, 7, 10, 14))]
    for line, (family, steps) in zip(pictured(shown, 6), wanted, strict=True):
        for axes, step in zip(line, steps, strict=False):
            assert axes.images[0].get_array()[0, 0, 0] == step
            assert under(axes) == [f"{quality(family, 'maml', 0, 0, step):.3g}"]
        assert not under(line[5])
        assert line[5].images
    assert look("maml").name in words(shown)


def test_inner_loop_prefers_ours_and_takes_another_where_there_is_none(tmp_path, folder):
    make_folder(tmp_path)
    assert look("learned_schedule").name in words(draw(folder, "inner_loop"))
    models = pd.read_parquet(tmp_path / "models.parquet")
    models[models.learner != "learned_schedule"].to_parquet(tmp_path / "models.parquet", index=False)
    assert look("maml_init").name in words(draw(tmp_path, "inner_loop"))  # the first of the table
    models[models.role != "meta"].to_parquet(tmp_path / "models.parquet", index=False)
    with pytest.raises(UsageError, match="role meta"):
        draw(tmp_path, "inner_loop")


def test_paradigms_print_the_numbers_after_the_inner_loop_with_the_best_in_bold(folder):
    order = PARADIGMS
    shown = draw(folder, "paradigms", families=["brdf"], learners=order)
    rows = pictured(shown, 6)
    assert [axes.get_title().replace("\n", " ") for axes in rows[0][:5]] == [look(label).name for label in order]
    for member, line in enumerate(rows):
        for axes, learner in zip(line, order, strict=False):
            value = quality("brdf", learner, member, 0, 10)
            assert under(axes) == ["diverged" if value is None else f"{value:.3g}"], learner
            assert axes.images[0].get_array()[0, 0, 0] == (0 if learner == "general" else 10)
            (text,) = axes.texts
            assert (text.get_fontweight() == "bold") == (learner == "learned_schedule")


def test_who_was_not_run_has_a_hatched_square_and_a_word(folder):
    shown = draw(folder, "paradigms", families=["texture", "illumination"], learners=PARADIGMS)
    square = pictured(shown, 6)[0][2]
    assert under(square) == ["not run"]
    assert square.patches[0].get_hatch()
    assert not square.images
    last = shown.axes[-1]
    assert last.patches[0].get_hatch()  # nobody took pictures of the illumination


def pictured(shown, columns):
    """The panels with pictures, row by row: the first of every row holds its label."""
    rows = [shown.axes[at : at + columns + 1] for at in range(0, len(shown.axes), columns + 1)]
    return [row[1:] for row in rows]


def line_of(axes, gid):
    (line,) = [line for line in axes.lines if line.get_gid() == gid]
    return line


def test_quality_time_places_everybody_at_their_end(folder):
    (axes,) = draw(folder, "quality_time", families=["illumination"], learners=PARADIGMS).axes
    for learner, step in (("maml", 8), ("overfit", LAST), ("finetune", LAST)):
        found = line_of(axes, f"members of {learner}")
        assert sorted(found.get_ydata()) == pytest.approx(
            [quality("illumination", learner, m, 0, step) for m in range(4)]
        )
        seconds = step * LEARNERS[learner][2]
        middle = line_of(axes, f"median of {learner}")
        assert middle.get_xdata()[0] == pytest.approx(seconds)
        assert middle.get_ydata()[0] == pytest.approx(np.median(found.get_ydata()))
        assert np.abs(np.log10(found.get_xdata() / seconds)).max() < 0.1
    at = line_of(axes, "median of general").get_xdata()[0]
    labels = dict(zip(axes.get_xticks(), [text.get_text() for text in axes.get_xticklabels()], strict=True))
    assert labels[at] == "0"
    assert at == pytest.approx(min(line_of(axes, "median of maml").get_xdata()[0], 2e-3) / 10)


def test_quality_time_marks_members_without_a_finite_number(folder):
    (axes,) = draw(folder, "quality_time", families=["brdf"], learners=["overfit"]).axes
    crosses = [line for line in axes.lines if line.get_marker() == "x" and len(line.get_xdata())]
    assert sum(len(line.get_xdata()) for line in crosses) == 1
    assert len(line_of(axes, "members of overfit").get_xdata()) == 3


def test_adaptation_draws_the_medians_of_the_table(folder):
    table = pd.read_csv(folder / "quality_at.csv").set_index(["family", "learner", "metric", "step"]).sort_index()
    for metric in (None, "psnr"):
        shown = draw(folder, "adaptation", families=["texture"], metric=metric)
        (axes,) = shown.axes
        wanted = table.loc[("texture", "maml", metric or "gram")].reset_index()
        line = line_of(axes, "maml")
        assert line.get_ydata() == pytest.approx(wanted["median"].to_numpy())
        assert line.get_xdata()[1:] == pytest.approx(wanted["step"].to_numpy()[1:])
        assert 0 < line.get_xdata()[0] < 1
        assert line_of(axes, "loop").get_xdata()[0] == 14
        assert ("↑" in words(shown)) == (metric == "psnr")


def test_adaptation_draws_who_does_not_adapt_across(folder):
    (left,) = draw(folder, "adaptation", families=["brdf"]).axes
    line = line_of(left, "general")
    assert line.get_xdata()[-1] >= LAST
    assert len(set(line.get_ydata())) == 1
