"""How methods are drawn and called: as labels.csv says, which comes from their classes, the same in all figures.

Families share a hue, so that a reader finds them: the papers' methods are strong magenta (PRDPT) and vermillion
(ZeroGrads), estimators blue, evolution green, portfolios and heuristics gold and violet, the control grey, Adam on a
task's own gradients black to brown and dashed. Those that learn how to descend are warm, from yellow to pink, their
rivals grey, blue and green. Hue is never the only cue: markers differ within a family.
"""

from __future__ import annotations

import colorsys
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from methods._look import Look

if TYPE_CHECKING:
    import pandas as pd

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "d", "*", "8")
DPI = 200  # of the PNGs
CANDIDATES = 64  # colours among which one is found that nobody else has
SPELLED = {
    "vae": "VAE",
    "sigma": "σ",
    "mlp": "MLP",
    "pso": "PSO",
    "cma": "CMA",
    "es": "ES",
    "spsa": "SPSA",
}  # words inside a label
ON_TOP = 2  # emphasis of what is drawn on top of all


class _Worn:
    """What the labels of the figure in the making look like, by its folder's labels.csv."""

    looks: Mapping[str, Look] = {}
    wholes: Mapping[str, str] = {}  # ablation → the whole
    families: Mapping[str, str] = {}  # label → readable name


def wear(labels: pd.DataFrame) -> None:
    """Draw labels from now on as this labels.csv says; a label that is not in it gets a look from a hash."""
    columns = ["name", "color", "marker", "linestyle", "emphasis"]
    drawn = labels[labels["color"].notna()]
    _Worn.looks = {row.label: Look(**{key: getattr(row, key) for key in columns}) for row in drawn.itertuples()}
    families = labels[labels["what"] == "family"]
    _Worn.families = dict(zip(families["label"], families["name"], strict=True))
    parts = labels[labels["ablation_of"].notna()]
    _Worn.wholes = dict(zip(parts["label"], parts["ablation_of"], strict=True))


def look(label: str) -> Look:
    """Return name, colour and marker of a label."""
    return _Worn.looks.get(label) or Look(spell(label), *_hashed(label), "-.")


def family_title(label: str) -> str:
    """Return a family's readable name."""
    return _Worn.families.get(label) or spell(label)


def in_order(labels: Iterable[str]) -> list[str]:
    """Return methods, learners or families in the order of labels.csv, then those that it does not have."""
    present, known = dict.fromkeys(labels), [*_Worn.looks, *_Worn.families]
    return [*(label for label in known if label in present), *(label for label in present if label not in known)]


def distinct(label: str, taken: Sequence[Look]) -> Look:
    """Return a look for a label that nobody has described: of colours from its hash, the farthest from those taken."""

    def room(color: str) -> float:
        return min((_apart(color, other.color) for other in taken), default=0.0)

    drawn = [_hashed(f"{label}{number or ''}") for number in range(CANDIDATES)]
    color, marker = max(drawn, key=lambda pair: room(pair[0]))
    return Look(spell(label), color, marker, "-.")


def shade(label: str, algorithm: str, whole: Look) -> Look:
    """Return the look of a variant: a shade of the whole's colour, its name and what the label adds to it."""
    one, two, three, number = _fractions(label)
    red, green, blue = _components(whole.color)
    hue, _, saturation = colorsys.rgb_to_hls(red, green, blue)
    mixed = (hue + 0.08 * (one - 0.5)) % 1, 0.25 + 0.45 * two, saturation * (0.6 + 0.4 * three)
    added = spell(label.removeprefix(f"{algorithm}_"), capital=False)
    name = f"{whole.name.split(' (')[0]} ({added})"
    return Look(name, to_hex(*colorsys.hls_to_rgb(*mixed)), MARKERS[number % len(MARKERS)], "--")


def main_methods(labels: Iterable[str]) -> list[str]:
    """Return the labels without the ablations of a whole that is among them."""
    present = list(dict.fromkeys(labels))
    return [label for label in present if _Worn.wholes.get(label) not in present]


def variants(full: str, labels: Iterable[str]) -> list[str]:
    """Return the ablations of a whole, if that is among the labels."""
    present = list(dict.fromkeys(labels))
    return [label for label in present if _Worn.wholes.get(label) == full] if full in present else []


def wholes(labels: Iterable[str]) -> list[str]:
    """Return the labels of which there are ablations."""
    return [full for full in dict.fromkeys(_Worn.wholes.values()) if variants(full, labels)]


def _hashed(label: str) -> tuple[str, str]:
    """Return a colour and a marker from a hash."""
    one, two, three, number = _fractions(label)
    return to_hex(*colorsys.hls_to_rgb(one, 0.32 + 0.3 * two, 0.45 + 0.4 * three)), MARKERS[number % len(MARKERS)]


def _fractions(label: str) -> tuple[float, float, float, int]:
    """Return three numbers in [0, 1) and one in [0, 256) from a hash."""
    digest = hashlib.sha256(label.encode()).digest()
    one, two, three = (int.from_bytes(digest[i : i + 4], "big") / 2**32 for i in (0, 4, 8))
    return one, two, three, digest[12]


def _components(color: str) -> tuple[float, float, float]:
    """Return red, green, blue in [0, 1] of #rrggbb."""
    red, green, blue = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue


def _apart(one: str, two: str) -> float:
    """Return how far two colours are apart, the Euclidean distance of their components."""
    return sum((a - b) ** 2 for a, b in zip(_components(one), _components(two), strict=True)) ** 0.5


def to_hex(red: float, green: float, blue: float) -> str:
    """Return #rrggbb of components in [0, 1]."""
    return "#" + "".join(f"{round(255 * part):02x}" for part in (red, green, blue))


def spell(label: str, capital: bool = True) -> str:
    """Return a label as words: `digit_mlp` → `Digit MLP`."""
    words = " ".join(SPELLED.get(word, word) for word in re.split(r"[_\s]+", label))
    return words[:1].upper() + words[1:] if capital else words


def use_style() -> None:
    """Set matplotlib's defaults for all figures: embedded fonts, thin frames, small print, fixed hashes."""
    import matplotlib as mpl
    import seaborn as sns

    sns.set_theme(
        context="paper",
        style="ticks",
        font="DejaVu Sans",
        rc={
            "pdf.fonttype": 42,
            "svg.hashsalt": "beyond-gd",
            "figure.constrained_layout.use": True,
            "figure.dpi": DPI,  # text is measured as it will be printed
            "font.size": 8,
            "axes.titlesize": 8.5,
            "axes.labelsize": 8,
            "xtick.labelsize": 7,
            "ytick.labelsize": 7,
            "legend.fontsize": 7.5,
            "legend.frameon": False,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.color": "#e6e6e6",
            "grid.linewidth": 0.5,
            "axes.linewidth": 0.6,
            "xtick.major.width": 0.6,
            "ytick.major.width": 0.6,
            "xtick.minor.width": 0.4,
            "ytick.minor.width": 0.4,
            "lines.linewidth": 1.3,
            "lines.markersize": 4,
        },
    )
    mpl.rcParams["axes.axisbelow"] = True
