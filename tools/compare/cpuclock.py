"""A process's CPU clock, read while it runs: what it used in a window that is known afterwards."""

import threading
import time

_EVERY = 0.05
# How the kernel numbers the clocks of processes (clock_getcpuclockid(3)): all threads together,
# those that have ended as well.
_SCHED = 2


def clock_of(pid):
    """The number of a process's CPU clock."""
    return (~pid << 3) | _SCHED


class CpuClock:
    """Samples a process's CPU time beside the wall clock."""

    def __init__(self, pid):
        self._clock = clock_of(pid)
        self._samples = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _run(self):
        over = False
        while not over:
            # One sample more when it is over: the window may have ended since the last.
            over = self._over.wait(_EVERY)
            try:
                used = time.clock_gettime_ns(self._clock)
            except OSError:
                return
            self._samples.append((time.time_ns(), used))

    def used(self, start, end):
        """CPU nanoseconds between two times; None where they were not both sampled."""
        begun, ended = at(self._samples, start), at(self._samples, end)
        return None if begun is None or ended is None else ended - begun


def at(samples, when):
    """The value at a time between two samples, on the line through both."""
    for (t0, v0), (t1, v1) in zip(samples, samples[1:]):
        if t0 <= when <= t1:
            return v0 + (v1 - v0) * (when - t0) / (t1 - t0) if t1 > t0 else v0
    return None
