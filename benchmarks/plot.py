"""docs/images/benchmarks.svg: throughput and CPU of each contender, over each wire."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from . import sending
from .sending import Cell, Figures
from .wire import WIRES, Wire

COLOURS = {
    sending.BLOG: "#9a9a9a",
    sending.WECHATPY: "#c9b458",
    sending.POOL: "#5b8db8",
    sending.APP_SQLITE: "#8fd3a8",
    sending.APP: "#07c160",
    sending.APP_TWICE: "#04733a",
}
STYLE: Any = {
    "svg.hashsalt": "wechat-notify",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def draw(runs: Mapping[Cell, Sequence[Figures]], path: Path) -> None:
    """Two rows, messages a second and CPU a message, of a panel for each wire."""
    found = {cell: sending.median(figures) for cell, figures in runs.items()}
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(13, 7), facecolor="white", layout="constrained")
        panels = figure.subplots(
            2, len(WIRES), sharex="col", sharey="row", width_ratios=_widths(found)
        )
        for column, wire in enumerate(WIRES):
            _bars(panels[0][column], found, wire, lambda one: one.rate)
            _bars(panels[1][column], found, wire, lambda one: one.cpu)
            panels[0][column].set_title(wire.title)
            panels[1][column].set_xlabel("round trip" if wire.opening else "latency of the API")
        panels[0][0].set_ylim(bottom=1)
        panels[1][0].set_ylim(bottom=0.1)
        panels[0][0].set_ylabel("messages a second (log)")
        panels[1][0].set_ylabel("CPU seconds per 1,000 messages (log)")
        handles, labels = panels[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="svg", metadata={"Date": None})


def _latencies(found: Iterable[Cell], wire: Wire) -> list[int]:
    return sorted({cell.latency for cell in found if cell.wire == wire})


def _widths(found: Iterable[Cell]) -> list[int]:
    return [len(_latencies(found, wire)) for wire in WIRES]


def _bars(
    axes: Axes, found: Mapping[Cell, Figures], wire: Wire, figure: Callable[[Figures], float]
) -> None:
    latencies = _latencies(found, wire)
    labels = [label for label in COLOURS if any(cell.label == label for cell in found)]
    width = 0.8 / len(labels)
    for number, label in enumerate(labels):
        places = [place - 0.4 + (number + 0.5) * width for place in range(len(latencies))]
        heights = [figure(found[Cell(label, latency, wire)]) for latency in latencies]
        bars = axes.bar(places, heights, width * 0.92, label=label, color=COLOURS[label])
        axes.bar_label(bars, [_short(height) for height in heights], fontsize=6.3, padding=1)
    axes.set_yscale("log")
    axes.set_xticks(range(len(latencies)), [f"{latency} ms" for latency in latencies])
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2f}"
