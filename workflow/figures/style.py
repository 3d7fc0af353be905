"""How every method looks and is called, the same in all figures of all suites.

Families share a hue, so that a reader finds them: the papers' methods are strong magenta (PRDPT) and vermillion
(ZeroGrads), estimators blue, evolution green, portfolios and heuristics gold and violet, the control grey, Adam on a
task's own gradients black to brown and dashed. Those that learn how to descend are warm, from yellow to pink, their
rivals grey, blue and green. Hue is never the only cue: markers differ within a family. A label that is not listed gets
its colour and marker from a hash of its name, within its family's hue if it is a variant of a known method.
"""

from __future__ import annotations

import colorsys
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "d", "*", "8")
DPI = 200  # of the PNGs

# label: (readable name, colour, marker)
KNOWN = {
    "random_search": ("Random search", "#8a8a8a", "x"),
    "adam": ("Adam, true gradient", "#000000", "*"),
    "adam_prb": ("Mitsuba AD (prb)", "#262626", "s"),
    "adam_projective": ("Mitsuba AD (projective)", "#5e5e5e", "D"),
    "adam_softras": ("Soft rasterizer", "#7a4f2a", "h"),
    "adam_gendr_gaussian": ("Soft rasterizer (Gaussian)", "#a8743a", "p"),
    "adam_gendr_cauchy": ("Soft rasterizer (Cauchy)", "#c9a06a", "8"),
    "explicit_gradient_learning": ("Explicit gradient learning", "#8c6bb1", "p"),
    "zerograds": ("ZeroGrads", "#d55e00", "o"),
    "zerograds_quadratic": ("ZeroGrads (quadratic)", "#8c2d04", "s"),
    "zerograds_linear": ("ZeroGrads (linear)", "#ff9a5c", "^"),
    "prdpt": ("PRDPT (released)", "#cc1177", "D"),
    "prdpt_exact": ("PRDPT (exact)", "#7a0148", "v"),
    "prdpt_picture": ("PRDPT (picture)", "#f06bb2", "P"),
    "prdpt_diff": ("PRDPT's κ∂P", "#9c3fd0", "s"),
    "prdpt_diff_projective": ("PRDPT's κ∂P (projective)", "#5f2196", "D"),
    "smoothed_newton": ("Smoothed Newton", "#2a3fb0", "d"),
    "gauss_newton": ("Gauss–Newton (ours)", "#c1121f", "*"),
    "finite_differences": ("Finite differences", "#08306b", "s"),
    "spsa": ("SPSA", "#1f78c8", "o"),
    "spsa_adam": ("SPSA + Adam", "#56b4e9", "^"),
    "evolution_strategy": ("Evolution strategy", "#00733c", "o"),
    "evolution_strategy_one_sided": ("ES (one-sided)", "#41ab5d", "s"),
    "guided_es": ("Guided ES", "#0b5d1e", "h"),
    "directional_smoothing": ("Directional smoothing", "#3a86c8", "d"),
    "cma_es": ("CMA-ES (full)", "#00b08b", "^"),
    "cma_es_separable": ("CMA-ES (separable)", "#66c2a4", "D"),
    "cma_es_vkd": ("CMA-ES (VkD)", "#7fbc41", "v"),
    "cma_es_vd": ("CMA-ES (VD)", "#4d6b21", "P"),
    "lm_ma_es": ("LM-MA-ES", "#9ccb86", "p"),
    "snes": ("SNES", "#a6d96a", "X"),
    "xnes": ("xNES", "#35756f", "<"),
    "pgpe": ("PGPE", "#014f45", ">"),
    "genetic_algorithm": ("Genetic algorithm", "#54278f", "s"),
    "simulated_annealing": ("Simulated annealing", "#8073c4", "^"),
    "nelder_mead": ("Nelder–Mead", "#3f007d", "v"),
    "ngopt": ("NGOpt", "#e69f00", "o"),
    "one_plus_one": ("(1+1)-ES", "#b8860b", "s"),
    "differential_evolution": ("Differential evolution", "#c8b400", "^"),
    "two_points_de": ("Two-points DE", "#7d6608", "D"),
    "particle_swarm": ("Particle swarm", "#b07cd6", "P"),
    "tbpsa": ("TBPSA", "#f5c04a", "X"),
    "tree_parzen": ("Tree-structured Parzen", "#9a3412", "p"),
    "gaussian_process": ("Gaussian process", "#d2b48c", "h"),
    "learned_schedule": ("Learned schedule (ours)", "#e31a1c", "*"),
    "maml": ("MAML + Meta-SGD", "#ff8000", "o"),
    "maml_init": ("MAML, start only", "#fdb462", "s"),
    "maml_rates": ("MAML, rates only", "#a63603", "^"),
    "fomaml": ("FOMAML + Meta-SGD", "#e8458b", "D"),
    "fomaml_init": ("FOMAML, start only", "#f7a1c4", "v"),
    "fomaml_rates": ("FOMAML, rates only", "#8e1b4e", "<"),
    "reptile": ("Reptile + Meta-SGD", "#cf9a00", "P"),
    "general": ("General", "#6b6b6b", "s"),
    "finetune": ("Finetune", "#1b9e4b", "d"),
    "overfit": ("Overfit", "#2166ac", ">"),
    "overfit_decay": ("Overfit (decaying rate)", "#74add1", "8"),
    "random_init": ("Random initialisation", "#5b7083", "p"),
}
SPELLED = {"sigma": "σ", "mlp": "MLP", "pso": "PSO", "cma": "CMA", "es": "ES", "spsa": "SPSA"}  # words inside a label
ABLATED = ("prdpt", "zerograds", "smoothed_newton")  # their variants, <label>_<part>, are ablations
RIVALS = ("prdpt_diff", "prdpt_diff_projective")  # except these, which are methods of their own
HEROES = ("zerograds", "prdpt", "prdpt_exact", "prdpt_picture")


@dataclass(frozen=True)
class Look:
    """How a method is drawn."""

    name: str
    color: str
    marker: str
    linestyle: str = "-"


@cache
def look(label: str) -> Look:
    """Return name, colour and marker of a method's label; deterministic for labels nobody has listed."""
    if label in KNOWN:
        name, color, marker = KNOWN[label]
        return Look(name, color, marker, "--" if label.split("_")[0] == "adam" else "-")
    digest = hashlib.sha256(label.encode()).digest()
    one, two, three = (int.from_bytes(digest[i : i + 4], "big") / 2**32 for i in (0, 4, 8))
    base = max((known for known in KNOWN if label.startswith(known + "_")), key=len, default=None)
    marker = MARKERS[digest[12] % len(MARKERS)]
    if base is None:
        red, green, blue = colorsys.hls_to_rgb(one, 0.32 + 0.3 * two, 0.45 + 0.4 * three)
        return Look(spell(label), to_hex(red, green, blue), marker, "-.")
    red, green, blue = (int(KNOWN[base][1][i : i + 2], 16) / 255 for i in (1, 3, 5))
    hue, _, saturation = colorsys.rgb_to_hls(red, green, blue)
    shade = (hue + 0.08 * (one - 0.5)) % 1, 0.25 + 0.45 * two, saturation * (0.6 + 0.4 * three)
    color = to_hex(*colorsys.hls_to_rgb(*shade))
    family = KNOWN[base][0].split(" (")[0]
    return Look(f"{family} ({spell(label[len(base) + 1 :], capital=False)})", color, marker, "--")


def main_methods(labels: Iterable[str]) -> list[str]:
    """Return the labels without the ablations: variants of an ablated method beside the full one."""
    present = list(dict.fromkeys(labels))
    return [label for label in present if not any(label in variants(full, present) for full in ABLATED)]


def variants(full: str, labels: Iterable[str]) -> list[str]:
    """Return the labels that vary the full method, if that is among them."""
    present = list(dict.fromkeys(labels))
    found = [label for label in present if label.startswith(f"{full}_") and label not in RIVALS]
    return found if full in present else []


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
