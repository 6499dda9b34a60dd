"""Medians, spreads and paired ratios: how several rounds become one figure."""

import statistics
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """A median and what lies around it."""

    median: float
    least: float
    most: float
    count: int


def spread(values):
    """The spread of the values that are there; None where none is."""
    there = [value for value in values if value is not None]
    if not there:
        return None
    return Spread(statistics.median(there), min(there), max(there), len(there))


def valid(runs):
    """Runs whose figures are the server's: it worked, and the client was not the bottleneck."""
    return [run for run in runs if not run["rejected"]]


def of_peer(runs, peer, shape, figure):
    """The spread of a peer's figure over its valid rounds."""
    mine = (r for r in valid(runs) if r["peer"] == peer and r["shape"] == shape)
    return spread(run[figure] for run in mine)


def ratios(runs, peer, base, shape, figure):
    """The spread of peer ÷ base, each ratio within one round, so that what disturbs a round
    disturbs both sides of its ratio."""
    by_round = {}
    for run in valid(runs):
        if run["shape"] == shape and run["peer"] in (peer, base):
            by_round.setdefault(run["round"], {})[run["peer"]] = run[figure]
    pairs = (r for r in by_round.values() if r.get(peer) is not None and r.get(base))
    return spread(pair[peer] / pair[base] for pair in pairs)


def own_ratios(runs, peer, shape, figure, floors):
    """The spread of peer ÷ the floor of what it sends: `floors` by protocol."""
    mine = {run.get("protocol") for run in runs if run["peer"] == peer and run["shape"] == shape}
    base = next((floors[protocol] for protocol in mine if protocol in floors), None)
    return ratios(runs, peer, base, shape, figure) if base else None


def rotated(items, turn):
    """The items with another one first each turn: nobody always follows the same neighbour."""
    if not items:
        return []
    turn %= len(items)
    return items[turn:] + items[:turn]
