"""What every figure has to be: full, uncut, legible."""

import matplotlib as mpl
import numpy as np


def words(shown):
    """All text in a figure."""
    found = [text.get_text() for text in shown.findobj(mpl.text.Text)]
    return "\n".join(text.replace("\n", " ") for text in found)


def assert_every_panel_shows_something(shown):
    """Data, or a note that says why there is none."""
    assert shown.axes
    for axes in shown.axes:
        lines = [line for line in axes.lines if np.isfinite(np.asarray(line.get_ydata(), dtype=float)).any()]
        notes = [text for text in axes.texts if text.get_gid() == "note" and text.get_text()]
        assert lines or notes or axes.images or axes.collections or axes.patches, axes.get_title()


def assert_nothing_is_cut_off(shown):
    """All panels and legends lie within the page and apart from each other."""
    shown.draw_without_rendering()
    renderer = shown.canvas.get_renderer()
    width, height = shown.bbox.size
    legends = [legend.get_window_extent(renderer) for legend in shown.legends]
    for axes in shown.axes:
        box = axes.get_tightbbox(renderer)
        assert box.x0 > -2, axes.get_title()
        assert box.y0 > -2, axes.get_title()
        assert box.x1 < width + 2, axes.get_title()
        assert box.y1 < height + 2, axes.get_title()
        assert not any(box.overlaps(legend) for legend in legends), axes.get_title()
    for box in legends:
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= width
