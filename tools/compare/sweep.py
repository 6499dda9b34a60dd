"""How broadtape's cost moves with one thing at a time: connections, symbols, shards, collecting.

    tools/sweep.sh [--only NAME,NAME] [--rounds 3] [--results FOLDER]

Runs of one sweep are interleaved. A row is the median of its rounds; sends a second are kept near
the same within a sweep, so that the cost of a send is what moves. Writes runs.jsonl and table.md.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from dataclasses import dataclass, field

import build
import rounds
from bench import Bench
from chart import draw
from figures import rotated
from peers import Broadtape, Floor
from place import Place
from process import stop_all
from shape import SYMBOLS

_WINDOW, _WARMUP = 2, 1


@dataclass
class Case:
    """One row, and the shape of its work: how many subscribe, to what, and the flags of both."""

    label: str
    connections: int
    rate: int
    symbols: int = SYMBOLS
    server: list = field(default_factory=list)
    bench: list = field(default_factory=list)
    floor: bool = False
    own: int | None = None

    def __str__(self):
        return self.label.replace(" ", "-").replace(",", "")

    @property
    def sends_per_tick(self):
        """Subscribers that a tick goes to, where they share all symbols."""
        return self.connections

    @property
    def delivered_per_s(self):
        """Records that should arrive in a second, where all subscribers share all symbols."""
        return self.rate * self.connections

    def peer(self, place):
        """What is measured."""
        return Floor("send", place) if self.floor else Swept(self, place)


class Swept(Broadtape):
    """broadtape, with the flags of a case."""

    def __init__(self, case, place):
        super().__init__("broadtape", case.server, place)
        self.case = case

    def bench_flags(self, shape):
        return self.case.bench


def sweeps():
    """All sweeps, by name: what moves, and the rows."""
    many = [(100, 1000), (1000, 100), (5000, 20), (10_000, 10), (19_000, 5)]
    return {
        "connections": [
            case
            for n, rate in many
            for case in (Case(f"{n}, floor", n, rate, floor=True), Case(f"{n}", n, rate))
        ],
        "symbols": [Case(f"{k}", 100, 10_000, k) for k in (1, 16, 500, 20_000)],
        "own symbols": [
            Case(f"{k} of 500", 200, 5000, 500, bench=["--symbols", str(k)])
            for k in (1, 20, 100, 500)
        ],
        "shards on one core": [
            Case(n, 100, 1000, server=["--shards", n]) for n in ("1", "2")
        ],
        "flush interval": [
            Case(time_, 100, 2000, server=["--flush-interval", time_])
            for time_ in ("0", "500us", "1ms", "2ms", "5ms", "10ms")
        ],
        "stalled of 1000": [
            Case("none", 1000, 100),
            Case("100", 1000, 100, bench=["--stall", "100"]),
        ],
        "visitors a second": [
            Case(f"{n}", 100, 1000, bench=["--churn", f"{n}"] if n else []) for n in (0, 200, 1000)
        ],
    }


def middles(runs):
    """The medians of a row's figures."""
    names = ("cpu_ns", "read_ns", "server_busy", "p50", "p99")
    return {name: statistics.median(run[name] for run in runs) for name in names}


def trade(cases, runs):
    """A chart of what a row's latency buys: CPU for each record against it."""
    found = [middles(runs[case.label]) for case in cases if runs[case.label]]
    lines = {
        "p99": [(round(m["p99"] / 1000), m["cpu_ns"]) for m in found],
        "p50": [(round(m["p50"] / 1000), m["cpu_ns"]) for m in found],
    }
    first, last = cases[0], cases[-1]
    work = f"{first.connections} subscribers, {first.rate:,} records/s"
    title = f"{work}, collected for 0 to {last.label}"
    x_label, y_label = "from the intended tick to receipt, µs", "server CPU, ns a record"
    return draw(title, x_label, y_label, lines, measured=False)


def row(case, runs):
    """A row of the table: medians, the spread of the cost in brackets."""
    if not runs:
        return f"| {case.label} | failed | | | | | |"
    middle = middles(runs)
    costs = [run["cpu_ns"] for run in runs]
    return (
        f"| {case.label} | {middle['cpu_ns']:,.0f} ({min(costs):,.0f}…{max(costs):,.0f})"
        f" | {middle['read_ns']:,.0f} | {middle['server_busy']:.0%}"
        f" | {middle['p50'] / 1000:,.0f} | {middle['p99'] / 1000:,.0f}"
        f" | {max(run['lost'] for run in runs)} |"
    )


def table(name, cases, runs):
    """One sweep's rows."""
    head = "server CPU, ns a record | ns a read | server busy | p50 µs | p99 µs | lost"
    first = cases[0]
    say = f"{first.connections} subscribers, {first.rate:,} records/s"
    if name == "connections":
        say = "100,000 sends/s; the floor beside it"
    lines = [f"### By {name} ({say})", "", f"| {name} | {head} |", "|---|--:|--:|--:|--:|--:|--:|"]
    return "\n".join([*lines, *(row(case, runs[case.label]) for case in cases), ""])


def main():
    """Runs the sweeps that were asked for."""
    form = argparse.ArgumentParser(prog="tools/sweep.sh", description=__doc__.splitlines()[0])
    form.add_argument("--only", help="comma separated: " + ", ".join(sweeps()))
    form.add_argument("--rounds", type=int, default=3)
    form.add_argument("--results", default=None, help="folder to write [a temporary one]")
    asked = form.parse_args()
    chosen = {n: c for n, c in sweeps().items() if not asked.only or n in asked.only.split(",")}
    if not chosen or asked.rounds < 1:
        form.error(f"there is no such sweep; there are: {', '.join(sweeps())}")
    place = Place(asked.results or tempfile.mkdtemp(prefix="broadtape-sweep-"))
    place.make()
    build.build(place, ["floor-send"])
    bench = Bench(place, _WINDOW, _WARMUP)
    tables = []
    with open(os.path.join(place.results, "runs.jsonl"), "w", encoding="utf-8") as out:
        for name, cases in chosen.items():
            runs = {case.label: [] for case in cases}
            for number in range(asked.rounds):
                for case in rotated(cases, number):
                    found = rounds.settled(place, bench, case.peer(place), case, number)
                    out.write(json.dumps({"sweep": name, **found}) + "\n")
                    if "error" in found:
                        print(f"{name}, {case.label}: {found['error']}", file=sys.stderr)
                    else:
                        runs[case.label].append(found)
            tables.append(table(name, cases, runs))
            print(tables[-1], flush=True)
            if name == "flush interval":
                with open(os.path.join(place.results, "flush.svg"), "w", encoding="utf-8") as file:
                    file.write(trade(cases, runs))
    with open(os.path.join(place.results, "table.md"), "w", encoding="utf-8") as file:
        file.write("\n".join(tables))
    place.unroot()


if __name__ == "__main__":
    try:
        main()
    finally:
        stop_all()
