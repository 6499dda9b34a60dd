"""The table and the charts, as Markdown between two marks of a page."""

import os
import re

import chart
from figures import of_peer, own_ratios, ratios, valid

BEGIN = "<!-- compare: what stands from here to its end is written by tools/compare.sh -->"
END = "<!-- compare: end -->"
_BASES = ("floor-send", "floor-uring")
# The least that messages of each kind cost.
_FLOORS = {"broadtape": "floor-send", "raw48": "floor-48-bytes", "nats": "floor-48-bytes"}


class Unmarked(Exception):
    """A page without the two marks."""


def nanos(found):
    """CPU time, with its spread."""
    if not found:
        return "–"
    return f"{found.median:,.0f} ({found.least:,.0f}…{found.most:,.0f})"


def times(found):
    """A ratio, with its spread."""
    return f"{found.median:.2f} ({found.least:.2f}…{found.most:.2f})" if found else "–"


def micros(found):
    """A latency in µs."""
    return f"{found.median / 1000:,.0f}" if found else "–"


def row(runs, peer, shape):
    """A peer's line in the table of a shape."""
    mine = [run for run in runs if run["peer"] == peer and run["shape"] == shape]
    good = valid(mine)
    cells = [peer, nanos(of_peer(runs, peer, shape, "cpu_ns"))]
    cells += [times(ratios(runs, peer, base, shape, "cpu_ns")) for base in _BASES]
    cells.append(times(own_ratios(runs, peer, shape, "cpu_ns", _FLOORS)))
    cells += [micros(of_peer(runs, peer, shape, name)) for name in ("p50", "p99", "p99.9")]
    delivered = of_peer(runs, peer, shape, "delivered")
    cells.append(f"{delivered.median:.1%}" if delivered else "–")
    cells.append(f"{sum(run['lost'] for run in good):,}" if good else "–")
    cells.append(f"{len(good)} of {len(mine)}")
    return "| " + " | ".join(cells) + " |"


def table(runs, shape, peers):
    """One shape's table."""
    lines = [
        f"### {title(shape)}",
        "",
        "| | server CPU, ns a delivered record | ÷ send floor | ÷ io_uring floor "
        "| ÷ floor of its bytes | p50 µs | p99 µs | p99.9 µs | delivered | lost | rounds |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    ran = {run["peer"] for run in runs if run["shape"] == str(shape)}
    lines += [row(runs, peer, str(shape)) for peer in peers if peer in ran]
    return "\n".join(lines) + "\n"


def title(shape):
    """A shape in words."""
    records = "1 record" if shape.per_tick == 1 else f"{shape.per_tick} records"
    if shape.own:
        part = f"each its own {shape.own} of {shape.symbols} symbols"
        return f"{shape.connections:,} subscribers, {part}, {records} a tick"
    return f"{shape.connections:,} subscribers, {records} a tick"


def notes(runs, machine, absent):
    """What a reader of the tables has to know."""
    tree, cpu = machine["tree"], machine["cpu"]
    kind = "virtual, " if cpu["virtual"] else ""
    loads = [run["load"] for run in runs]
    lines = [
        f"Commit {tree['short']}{' with changes' if tree['dirty'] else ''}; {cpu['model']} "
        f"({kind}{len(machine['cores']['mask'])} cores), Linux {machine['kernel']}, "
        f"{machine['rustc']}; load {min(loads, default=0):.1f} to {max(loads, default=0):.1f}.",
        "Medians; in brackets the least and the most of the rounds; ratios within a round.",
    ]
    lines += [f"- Versions: {', '.join(f'{k}: {v}' for k, v in machine['versions'].items())}."]
    lines += [f"- Not measured: {name}: {reason}." for name, reason in absent.items()]
    lines += [f"- Rejected: {what}." for what in rejected(runs)]
    return "\n".join(lines) + "\n"


def rejected(runs):
    """What was rejected and why, a line for each peer and shape; figures are the first round's."""
    groups = {}
    for run in runs:
        for reason in run["rejected"]:
            why = f": {run['error'].splitlines()[0]}" if "error" in run else ""
            kind = (run["peer"], run["shape"], re.sub(r"[0-9]+", "", reason + why))
            groups.setdefault(kind, (reason + why, []))[1].append(str(run["round"] + 1))
    for (peer, shape, _), (reason, numbers) in groups.items():
        yield f"{peer} at {shape}, in round {', '.join(numbers)}: {reason}"


def write_charts(runs, shapes, peers, folder):
    """Writes the charts of the shapes that differ in records a tick alone; their names."""
    common = max((s.connections for s in shapes if not s.own), key=count(shapes), default=None)
    series = [s for s in shapes if not s.own and s.connections == common]
    if len({shape.per_tick for shape in series}) < 2:
        return {}
    wanted = {
        "cpu.svg": ("cpu_ns", 1, "server CPU, ns for each delivered record"),
        "p99.svg": ("p99", 1000, "p99 from the intended tick to receipt, µs"),
    }
    written = {}
    for name, (figure, unit, label) in wanted.items():
        lines = {}
        for peer in peers:
            found = [(s.per_tick, of_peer(runs, peer, str(s), figure)) for s in series]
            lines[peer] = [(x, spread.median / unit) for x, spread in found if spread]
        heading = f"{common} subscribers: {label}"
        text = chart.draw(heading, "records a tick", label, lines)
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)
        written[name] = heading
    return written


def count(shapes):
    """How many of the shapes have so many connections?"""
    return lambda connections: sum(s.connections == connections and not s.own for s in shapes)


def put(page, text):
    """Puts the text between the marks of a page."""
    with open(page, encoding="utf-8") as file:
        before = file.read()
    head, begin, rest = before.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise Unmarked(f"{page} lacks the lines {BEGIN!r} and {END!r}")
    with open(page, "w", encoding="utf-8") as file:
        file.write(f"{head}{BEGIN}\n\n{text.strip()}\n\n{END}{tail}")
