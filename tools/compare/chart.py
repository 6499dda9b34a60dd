"""Charts as SVG, by hand: lines on two logarithmic axes, readable on light and dark pages."""

import math
from html import escape

_WIDTH, _HEIGHT = 860, 460
_LEFT, _RIGHT, _TOP, _BOTTOM = 96, 170, 48, 56
# Labels at the lines' ends keep this distance.
_LABEL_GAP = 15
# Colours that the colour-blind tell apart, and dashes for when there are more lines.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f")
_DASHES = ("", "6 3", "2 3")
_STYLE = """text { font: 12px system-ui, sans-serif; fill: #24292f }
.title { font-size: 15px; font-weight: 600 }
.grid { stroke: #d0d7de; stroke-width: 1 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .grid { stroke: #30363d } }"""


class Axis:
    """A logarithmic axis between two places of the picture."""

    def __init__(self, values, begin, end):
        self.low, self.high = min(values), max(values)
        if self.high / self.low < 1.5:
            self.low, self.high = self.low / 1.5, self.high * 1.5
        self.begin, self.end = begin, end

    def at(self, value):
        """Where a value is."""
        part = math.log(value / self.low) / math.log(self.high / self.low)
        return self.begin + part * (self.end - self.begin)

    def ticks(self):
        """Round values: 1, 2 and 5 of each decade, as far as they lie on the axis."""
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        values = (step * 10**decade for decade in decades for step in (1, 2, 5))
        return [value for value in values if self.low <= value * 1.0001 <= self.high * 1.001]


def draw(title, x_label, y_label, lines, measured=True):
    """A chart of `lines`: points by name. Lines without points are left out. Along the x axis stand
    the values that were `measured`, or round ones."""
    lines = {name: [p for p in points if p[1] > 0] for name, points in lines.items()}
    lines = {name: points for name, points in lines.items() if points}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'role="img" aria-label="{escape(title)}">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        text(_LEFT, 24, title, "title"),
    ]
    if lines:
        points = [point for line in lines.values() for point in line]
        x = Axis([p[0] for p in points], _LEFT, _WIDTH - _RIGHT)
        y = Axis([p[1] for p in points], _HEIGHT - _BOTTOM, _TOP)
        parts += grid(x, y, sorted({p[0] for p in points}) if measured else x.ticks())
        parts += curves(x, y, lines)
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(text(middle, _HEIGHT - 14, x_label, anchor="middle"))
    turned = f'transform="rotate(-90 16 {_HEIGHT / 2})"'
    parts.append(text(16, _HEIGHT / 2, y_label, anchor="middle", more=turned))
    return "\n".join([*parts, "</svg>"]) + "\n"


def text(x, y, words, kind="", anchor="start", more=""):
    """A line of text."""
    kind = f' class="{kind}"' if kind else ""
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f"<text{kind} {place} {more}>{escape(words)}</text>"


def grid(x, y, columns):
    """Lines and labels of the axes."""
    parts = []
    for value in columns:
        at = x.at(value)
        parts.append(rule(at, _TOP, at, _HEIGHT - _BOTTOM))
        parts.append(text(at, _HEIGHT - _BOTTOM + 18, f"{value:,}", anchor="middle"))
    for value in y.ticks():
        at = y.at(value)
        parts.append(rule(_LEFT, at, _WIDTH - _RIGHT, at))
        parts.append(text(_LEFT - 8, at + 4, round_number(value), anchor="end"))
    return parts


def round_number(value):
    """1, 2 or 5 of a decade, as people write it."""
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def rule(x1, y1, x2, y2):
    """A line of the grid."""
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line class="grid" {ends}/>'


def curves(x, y, lines):
    """The lines, each with its name at its end."""
    parts, ends = [], []
    for number, (name, points) in enumerate(lines.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        dash = _DASHES[number // len(_COLOURS) % len(_DASHES)]
        places = [(x.at(a), y.at(b)) for a, b in sorted(points)]
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in places)
        stroke = f'fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"'
        parts.append(f'<polyline points="{path}" {stroke}/>')
        parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>' for a, b in places]
        ends.append((places[-1], name, colour))
    return parts + names(ends)


def names(ends):
    """The lines' names: beside the chart, or at the end of a line that ends within it."""
    edge, parts = _WIDTH - _RIGHT, []
    whole = [end for end in ends if end[0][0] >= edge - 1]
    for (x, y), name, colour in (end for end in ends if end not in whole):
        parts.append(text(x + 8, y + 4, name, more=f'style="fill:{colour}"'))
    for ((x, y), name, colour), at in zip(whole, spaced([end[0][1] for end in whole])):
        leader = f'd="M{x:.1f} {y:.1f} L{edge + 11} {at:.1f}"'
        parts.append(f'<path {leader} stroke="{colour}" stroke-opacity="0.5" fill="none"/>')
        parts.append(text(edge + 14, at + 4, name, more=f'style="fill:{colour}"'))
    return parts


def spaced(wanted):
    """The wanted heights, moved apart so that labels do not cover each other."""
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    placed, last = [0.0] * len(wanted), -math.inf
    for index in order:
        last = max(wanted[index], last + _LABEL_GAP)
        placed[index] = last
    lowest = float(_HEIGHT - _BOTTOM)
    for index in reversed(order):
        placed[index] = min(placed[index], lowest)
        lowest = placed[index] - _LABEL_GAP
    return placed
