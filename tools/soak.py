#!/usr/bin/env python3
"""What tools/soak.sh has seen: a line for each turn, and the judgement of all of them."""

import json
import statistics
import sys
from pathlib import Path


def line(result, seconds, memory, descriptors):
    """One turn as a line: seconds, KiB, descriptors, p99 in ns, records lost."""
    try:
        report = json.loads(Path(result).read_text())
    except (OSError, ValueError) as error:
        sys.exit(f"the turn has no result: {error}")
    p99 = report["latency_ns"]["ts_out"]["p99"]
    lost = report["lost"] + sum(report["disconnects"].values())
    print(seconds, memory, descriptors, p99, lost)


def judge(samples, memory_percent, memory_noise, p99_percent, p99_noise, descriptors):
    """Compares the medians of the second and the last quarter; fails where one has grown."""
    rows = [[int(x) for x in row.split()] for row in Path(samples).read_text().splitlines()]
    quarter = len(rows) // 4
    if quarter < 1:
        sys.exit(f"{len(rows)} turns say nothing: a soak has four at least")
    early, late = rows[quarter : 2 * quarter], rows[-quarter:]
    bounds = [
        ("resident memory, KiB", 1, memory_percent, memory_noise),
        ("descriptors", 2, 0, descriptors),
        ("p99 of the subscribers, ns", 3, p99_percent, p99_noise),
    ]
    failed = False
    print(f"{len(rows)} turns in {rows[-1][0]} s")
    for what, column, percent, noise in bounds:
        before, after = (statistics.median(row[column] for row in part) for part in (early, late))
        most = before * (1 + percent / 100) + noise
        verdict = "flat" if after <= most else "GROWS"
        failed |= after > most
        print(f"{what}: {before:.0f} then {after:.0f}, at most {most:.0f}: {verdict}")
    lost = sum(row[4] for row in rows)
    print(f"records and subscribers lost by those who read: {lost}")
    if failed or lost:
        sys.exit(1)


if __name__ == "__main__":
    command, *rest = sys.argv[1:]
    if command == "line":
        line(*rest)
    else:
        judge(rest[0], *(int(x) for x in rest[1:]))
