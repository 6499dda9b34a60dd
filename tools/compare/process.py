"""Processes of a run: pinned, in sessions of their own, ended whatever happens."""

import os
import re
import signal
import socket
import subprocess
import time

_LISTENING = re.compile(r"listening on https?://127\.0\.0\.1:(\d+)")
_LOG_LINES = 12
_STARTED = []


class Failed(Exception):
    """A process did not do what it was started for; its message holds the log's last lines."""


class Process:
    """A child on one core, its output in a log."""

    def __init__(self, name, command, log, core, cwd=None, nice=-20):
        self.name, self.log = name, log
        with open(log, "wb") as out:
            try:
                self.child = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    cwd=cwd,
                    start_new_session=True,
                    preexec_fn=lambda: settle(core, nice),
                )
            except OSError as error:
                raise Failed(f"{name}: {command[0]} can't be started: {error}") from error
        _STARTED.append(self)

    @property
    def pid(self):
        """Its process."""
        return self.child.pid

    def tail(self):
        """The last lines of its log."""
        with open(self.log, errors="replace", encoding="utf-8") as log:
            return "".join(f"\n    {line.rstrip()}" for line in log.readlines()[-_LOG_LINES:])

    def fail(self, what):
        """The error that says `what`, with the log."""
        return Failed(f"{self.name} {what}; {self.log} ends with:{self.tail() or ' nothing'}")

    def announced_port(self, seconds=20):
        """The port it says it listens on."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with open(self.log, errors="replace", encoding="utf-8") as log:
                found = _LISTENING.search(log.read())
            if found:
                return int(found.group(1))
            self.check()
            time.sleep(0.02)
        raise self.fail(f"said no port within {seconds} s")

    def answers_on(self, port, seconds=20):
        """Waits until it accepts connections on `port`."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.check()
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise self.fail(f"did not listen on port {port} within {seconds} s")

    def check(self):
        """Fails where it has ended."""
        if self.child.poll() is not None:
            raise self.fail(f"ended with {self.child.returncode}")

    def wait(self, seconds):
        """Its exit code."""
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise self.fail(f"took over {seconds:.0f} s") from None

    def stop(self):
        """Ends it and whatever it started."""
        for sign, patience in ((signal.SIGTERM, 3), (signal.SIGKILL, 3)):
            try:
                os.killpg(self.child.pid, sign)
            except ProcessLookupError:
                pass
            try:
                self.child.wait(patience)
                break
            except subprocess.TimeoutExpired:
                continue
        # A child of its own may have outlived it.
        try:
            os.killpg(self.child.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        if self in _STARTED:
            _STARTED.remove(self)


def settle(core, nice):
    """Runs in the child: its core, and its priority as far as one is given it. Where the kernel
    groups sessions nice counts only within the group, so the group is asked for as well."""
    os.sched_setaffinity(0, {core})
    try:
        os.nice(nice)
    except OSError:
        return
    try:
        with open("/proc/self/autogroup", "w", encoding="ascii") as group:
            group.write(str(nice))
    except OSError:
        pass


def stop_all():
    """Ends everything that was started."""
    for process in list(_STARTED):
        process.stop()


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
