"""A picture per scenario: for each figure bars side by side, one per broker and for the floor, with the spread of the runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from itertools import cycle
from pathlib import Path
from typing import Any

from .model import FLOOR, Better, Metric, Result
from .statistics import Spread

COLOURS = ("#1f6f8b", "#c9683f", "#7a8b3f", "#6b5b95")
FLOOR_COLOUR = "#9a9a9a"
PANEL_WIDTH, ROW_HEIGHT, MARGIN_HEIGHT = 5.2, 0.42, 1.1
PANELS_ABREAST = 3
WIDE = 100
"""From the smallest to the largest value of a panel: beyond it the axis is logarithmic."""


def can_plot() -> bool:
    """Whether matplotlib is there (the extra `bench`)."""
    return find_spec("matplotlib") is not None


def plot(results: Sequence[Result], brokers: Sequence[str], directory: Path) -> list[str]:
    """Write `<scenario>.png` for each scenario into `directory`; the names, in order."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    directory.mkdir(parents=True, exist_ok=True)
    colours = {**dict(zip(brokers, cycle(COLOURS), strict=False)), FLOOR: FLOOR_COLOUR}
    plotted = []
    for name in dict.fromkeys(each.scenario for each in results):
        mine = [each for each in results if each.scenario == name and each.values]
        metrics = list(dict.fromkeys(metric for each in mine for metric in each.metrics))
        if not metrics:
            continue
        shown = {each: colour for each, colour in colours.items() if any(each in result.values for result in mine)}
        _scenario(pyplot, mine, metrics, shown, directory / f"{name}.png")
        plotted.append(name)
    return plotted


def _scenario(
    pyplot: Any, results: Sequence[Result], metrics: Sequence[Metric], colours: Mapping[str, str], file: Path
) -> None:
    """Panels of as many cases stand in one line, so that all bars of a picture are about as thick."""
    from matplotlib.patches import Patch

    shown = {metric: [each for each in results if metric in each.metrics] for metric in metrics}
    metrics = sorted(metrics, key=lambda metric: -len(shown[metric]))
    columns = min(PANELS_ABREAST, len(metrics))
    most = [len(shown[first]) for first in metrics[::columns]]
    heights = [ROW_HEIGHT * len(colours) * cases + MARGIN_HEIGHT for cases in most]
    figure, axes = pyplot.subplots(
        len(most),
        columns,
        figsize=(PANEL_WIDTH * columns, sum(heights)),
        height_ratios=heights,
        squeeze=False,
        layout="constrained",
    )
    panels = list(axes.flat)
    for number, metric in enumerate(metrics):
        _panel(panels[number], metric, shown[metric], colours)
        panels[number].set_ylim(most[number // columns] - 0.5, -0.5)
    for unused in panels[len(metrics) :]:
        unused.set_axis_off()
    legend = [Patch(color=colour, label=broker) for broker, colour in colours.items()]
    figure.legend(handles=legend, loc="outside upper center", ncols=len(colours), frameon=False)
    figure.savefig(file, dpi=80)
    pyplot.close(figure)


def _panel(axes: Any, metric: Metric, results: Sequence[Result], colours: Mapping[str, str]) -> None:
    thickness = 0.8 / len(colours)
    for broker, colour in colours.items():
        bars = list(_bars(metric, results, broker, thickness))
        places, spreads = [place for place, _ in bars], [spread for _, spread in bars]
        errors = [[s.median - s.smallest for s in spreads], [s.largest - s.median for s in spreads]]
        medians = [s.median for s in spreads]
        axes.barh(places, medians, thickness * 0.9, xerr=errors, color=colour)
        for place, spread in bars:
            axes.annotate(
                f" {spread.median:,.{metric.digits}f}",
                (spread.largest, place),
                va="center",
                fontsize=8,
                color="#333333",
            )
    axes.set_yticks(range(len(results)), [f"{each.case}\n{each.durability}" for each in results], fontsize=7)
    if metric.aim is not None:
        axes.axvline(metric.aim, color="#333333", linestyle=":", linewidth=1)
    shown = [value for each in results for values in each.values.values() for value in values.get(metric.name, [])]
    if shown and min(shown) > 0 and max(shown) > WIDE * min(shown):
        axes.set_xscale("log")
        axes.set_xlim(min(shown) / 2, max(shown) * 8)
    else:
        axes.margins(x=0.2)
        axes.set_xlim(left=0)
    axes.spines[["top", "right"]].set_visible(False)
    way = "more is better" if metric.better is Better.MORE else "less is better"
    axes.set_title(f"{metric.name}, {metric.unit} ({way})", fontsize=9)


def _bars(metric: Metric, results: Sequence[Result], broker: str, thickness: float) -> Iterator[tuple[float, Spread]]:
    """Where each case has its bar: what was measured of a case lies close together around its place."""
    for number, each in enumerate(results):
        measured = [name for name, values in each.values.items() if values.get(metric.name)]
        if broker in measured:
            place = number + (measured.index(broker) - (len(measured) - 1) / 2) * thickness
            yield place, Spread.of(each.values[broker][metric.name])
