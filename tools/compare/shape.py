"""A shape of the work: how many subscribers, how many records a tick, which part each gets."""

import re
from dataclasses import dataclass

TICKS_PER_SECOND = 1000
SYMBOLS = 16
_FORM = re.compile(r"(\d+)x(\d+)(?::(\d+)/(\d+))?")


@dataclass(frozen=True)
class Shape:
    """`100x10`: 100 subscribers to all of 10 records a tick; `1000x1:20/500`: each its own 20 of
    500 symbols."""

    connections: int
    per_tick: int
    own: int | None = None
    symbols: int = SYMBOLS

    @classmethod
    def parse(cls, text):
        """Reads one shape; ValueError says what would be right."""
        found = _FORM.fullmatch(text.strip())
        if not found:
            raise ValueError(f"{text!r} is no shape: write 100x10, or 1000x1:20/500")
        connections, per_tick, own, symbols = (int(n) if n else None for n in found.groups())
        if not 1 <= connections <= 1_000_000 or not 1 <= per_tick <= 10_000:
            raise ValueError(f"{text!r}: 1 to 1,000,000 subscribers, 1 to 10,000 records a tick")
        if own is None:
            return cls(connections, per_tick)
        if per_tick != 1:
            raise ValueError(f"{text!r}: with symbols of its own for each, 1 record a tick")
        if not 1 <= own <= symbols <= 20_000 or connections * own % symbols:
            raise ValueError(
                f"{text!r}: up to 20,000 symbols, and each with the same number of subscribers"
            )
        return cls(connections, per_tick, own, symbols)

    def __str__(self):
        part = f":{self.own}/{self.symbols}" if self.own else ""
        return f"{self.connections}x{self.per_tick}{part}"

    @property
    def rate(self):
        """Records published a second."""
        return self.per_tick * TICKS_PER_SECOND

    @property
    def sends_per_tick(self):
        """Subscribers that a tick goes to."""
        return self.connections * self.own // self.symbols if self.own else self.connections

    @property
    def delivered_per_s(self):
        """Records that should arrive in a second, at all subscribers together."""
        return self.rate * self.sends_per_tick


def parse_all(text):
    """Shapes, comma separated."""
    return [Shape.parse(part) for part in text.split(",")]
