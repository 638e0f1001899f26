"""A picture per scenario: for each figure bars side by side, one per broker and for the floor, with the spread of the runs."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .model import FLOOR, Better, Metric, Result
from .statistics import Spread
from .table import measured_things

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
    names = list(dict.fromkeys(each.scenario for each in results))
    for name in names:
        mine = [each for each in results if each.scenario == name and each.values]
        metrics = list(dict.fromkeys(metric for each in mine for metric in each.metrics))
        if not metrics:
            continue
        _scenario(pyplot, mine, metrics, measured_things(mine, brokers), directory / f"{name}.png")
    return names


def _scenario(
    pyplot: Any, results: Sequence[Result], metrics: Sequence[Metric], brokers: Sequence[str], file: Path
) -> None:
    """Panels of as many cases stand in one line, so that all bars of a picture are about as thick."""
    shown = {metric: [each for each in results if metric in each.metrics] for metric in metrics}
    metrics = sorted(metrics, key=lambda metric: -len(shown[metric]))
    columns = min(PANELS_ABREAST, len(metrics))
    most = [len(shown[first]) for first in metrics[::columns]]
    heights = [ROW_HEIGHT * len(brokers) * cases + MARGIN_HEIGHT for cases in most]
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
        _panel(panels[number], metric, shown[metric], brokers)
        panels[number].set_ylim(most[number // columns] - 0.5, -0.5)
    for unused in panels[len(metrics) :]:
        unused.set_axis_off()
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(brokers), frameon=False)
    figure.savefig(file, dpi=80)
    pyplot.close(figure)


def _panel(axes: Any, metric: Metric, results: Sequence[Result], brokers: Sequence[str]) -> None:
    height = 0.8 / len(brokers)
    for number, broker in enumerate(brokers):
        found = [each.values.get(broker, {}).get(metric.name) for each in results]
        places = [place + (number + 0.5) * height - 0.4 for place, values in enumerate(found) if values]
        spreads = [Spread.of(values) for values in found if values]
        errors = [[s.median - s.smallest for s in spreads], [s.largest - s.median for s in spreads]]
        medians = [s.median for s in spreads]
        axes.barh(places, medians, height * 0.9, xerr=errors, color=_colour(broker, number), label=broker)
        for place, spread in zip(places, spreads, strict=True):
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
    shown = [
        values for each in results for broker in brokers for values in each.values.get(broker, {}).get(metric.name, [])
    ]
    if shown and min(shown) > 0 and max(shown) > WIDE * min(shown):
        axes.set_xscale("log")
        axes.set_xlim(min(shown) / 2, max(shown) * 8)
    else:
        axes.margins(x=0.2)
        axes.set_xlim(left=0)
    axes.spines[["top", "right"]].set_visible(False)
    way = "more is better" if metric.better is Better.MORE else "less is better"
    axes.set_title(f"{metric.name}, {metric.unit} ({way})", fontsize=9)


def _colour(broker: str, number: int) -> str:
    return FLOOR_COLOUR if broker == FLOOR else COLOURS[number % len(COLOURS)]
