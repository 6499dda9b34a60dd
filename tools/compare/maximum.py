"""The highest rate that a peer delivers to all its subscribers with nothing lost."""

import time

import rounds
from bench import CLIENT_BUSY_MAX
from shape import Shape

# What it has to deliver of what was due: the window's ends cut through ticks.
_WHOLE = 0.985
_FIRST, _LAST = 10, 10_000
# Bisection ends when the two rates are this near.
_NEAR = 1.06
_SETTLE = 0.5


def keeps_up(run):
    """Did all arrive that was due?"""
    return "error" not in run and not run["lost"] and run["delivered"] >= _WHOLE


def search(probe, first=_FIRST, last=_LAST, near=_NEAR):
    """The highest records a tick that `probe` accepts: doubled, then bisected; 0 where none is."""
    good, bad = 0, first
    while bad <= last and probe(bad):
        good, bad = bad, bad * 2
    if not good:
        return 0
    bad = min(bad, last + 1)
    while bad / good > near and bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if probe(middle) else (good, middle)
    return good


def find(place, bench, peer, connections, say):
    """A peer's highest rate, with the run that showed it and the one that ended the search."""
    best, ended = None, None

    def probe(per_tick):
        nonlocal best, ended
        time.sleep(_SETTLE)
        run = rounds.one(place, bench, peer, Shape(connections, per_tick), 0)
        say(rounds.line(run))
        if keeps_up(run):
            best = run
            return True
        ended = run
        return False

    search(probe)
    return {"peer": peer.name, "best": best, "ended_by": ended}


def table(found):
    """The result as Markdown."""
    rows = [
        "| peer | highest delivered/s | records a tick | p99 µs | what ended it |",
        "|---|--:|--:|--:|---|",
    ]
    for one in found:
        best = one["best"]
        if best is None:
            rows.append(f"| {one['peer']} | – | – | – | {why(one['ended_by'])} |")
            continue
        per_tick = best["shape"].partition("x")[2]
        sign = "≥ " if client_bound(one["ended_by"]) else ""
        rows.append(
            f"| {one['peer']} | {sign}{best['delivered_per_s'] / 1e6:.2f} M | {per_tick} "
            f"| {(best['p99'] or 0) / 1000:.0f} | {why(one['ended_by'])} |"
        )
    return "\n".join(rows) + "\n"


def why(run):
    """Why a run ended the search."""
    if run is None:
        return "nothing: the highest rate that is tried"
    if "error" in run:
        return run["error"].splitlines()[0].replace("|", "/")
    tick = run["shape"].partition("x")[2]
    text = f"at {tick} a tick: {run['delivered']:.0%} delivered, {run['lost']:,} lost"
    return text + (", and the client's core was full" if client_bound(run) else "")


def client_bound(run):
    """Was it the client that did not keep up, as far as one can tell?"""
    return run is None or run.get("client_busy", 0) > CLIENT_BUSY_MAX
