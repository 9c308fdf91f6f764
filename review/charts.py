"""Bars as shapes: a template draws them as SVG, so that no script is needed."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

LEFT, RIGHT, TOP, BOTTOM = 44, 6, 10, 26
# Of a bar's place, how much the bar takes.
BAR = 0.72
MOST_TICKS = 4
LABELS = 4


@dataclass(frozen=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    kind: str


@dataclass(frozen=True)
class Mark:
    """A line across with its number, or a word below."""

    at: float
    text: str


@dataclass(frozen=True)
class Chart:
    """In units of its own, about a pixel each on a phone."""

    width: int
    height: int
    zero: float
    bars: list[Bar]
    ticks: list[Mark]
    labels: list[Mark]
    # For a polyline; "" without a third series.
    line: str

    left: int = LEFT

    @property
    def right(self) -> int:
        return self.width - RIGHT


def draw(
    labels: Sequence[str],
    up: Sequence[int],
    down: Sequence[int] = (),
    *,
    net: Sequence[int] = (),
    width: int = 480,
    height: int = 240,
    most: int = 0,
) -> Chart:
    """Bars of `up` over the line and of `down` under it, `net` as a line.

    `most` is the least that the scale reaches to, for charts to be compared.
    """
    above, below = max([*up, most, 1]), max([*down, 0])
    step = nice_step(above + below)
    top, bottom = -(-above // step) * step, -(-below // step) * step
    unit = (height - TOP - BOTTOM) / (top + bottom)
    zero = TOP + top * unit
    place = (width - LEFT - RIGHT) / max(len(up), 1)

    def middle(number: int) -> float:
        return LEFT + (number + 0.5) * place

    bars = [
        *_bars(up, "up", place, unit, zero),
        *_bars(down, "down", place, unit, zero),
    ]
    every = max(len(labels) // LABELS, 1)
    return Chart(
        width=width,
        height=height,
        zero=round(zero, 2),
        bars=bars,
        ticks=[
            Mark(round(zero - value * unit, 2), f"{abs(value):,}")
            for value in range(-bottom, top + 1, step)
        ],
        labels=[
            Mark(round(middle(number), 2), labels[number])
            for number in range(every // 2, len(labels), every)
        ],
        line=" ".join(
            f"{middle(number):.2f},{zero - value * unit:.2f}"
            for number, value in enumerate(net)
        ),
    )


def _bars(
    values: Sequence[int], kind: str, place: float, unit: float, zero: float
) -> list[Bar]:
    return [
        Bar(
            x=round(LEFT + (number + (1 - BAR) / 2) * place, 2),
            y=round(zero - value * unit if kind == "up" else zero, 2),
            width=round(BAR * place, 2),
            height=round(value * unit, 2),
            kind=kind,
        )
        for number, value in enumerate(values)
        if value
    ]


def nice_step(span: int) -> int:
    """1, 2 or 5 times a power of ten, so that few of them reach over `span`."""
    steps = (digit * 10**power for power in count() for digit in (1, 2, 5))
    return next(int(step) for step in steps if span <= step * MOST_TICKS)
