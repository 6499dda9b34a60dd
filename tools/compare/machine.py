"""What the figures were measured on and with: written beside them."""

import glob
import json
import os
import platform
import subprocess
import sys

from peers import said


def first(path):
    """A small file's text; None where the system has none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return None


def processor():
    """The model, and whether it is a virtual machine's."""
    facts = {}
    for line in (first("/proc/cpuinfo") or "").splitlines():
        name, _, value = line.partition(":")
        facts.setdefault(name.strip(), value.strip())
    virtual = "hypervisor" in facts.get("flags", "").split()
    return {"model": facts.get("model name"), "mhz": facts.get("cpu MHz"), "virtual": virtual}


def mitigations():
    """The kernel's defences against the processor's faults: they tax system calls."""
    paths = sorted(glob.glob("/sys/devices/system/cpu/vulnerabilities/*"))
    return {os.path.basename(path): first(path) for path in paths}


def commit(root):
    """The tree's commit and whether there is more in it than that."""

    def git(*words):
        done = subprocess.run(
            ["git", "-C", root, *words], capture_output=True, text=True, check=False
        )
        return done.stdout.strip() if done.returncode == 0 else None

    dirty = git("status", "--porcelain", "--untracked-files=no")
    return {
        "commit": git("rev-parse", "HEAD"),
        "short": git("rev-parse", "--short", "HEAD") or "unknown",
        "dirty": None if dirty is None else bool(dirty),
    }


def note(place):
    """Writes what a tool without peers runs on, and how it was started."""
    place.write("machine.json", json.dumps(describe(place, [], sys.argv[1:]), indent=1))


def describe(place, peers, arguments):
    """Everything, as a tree of plain values."""
    clock = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
    return {
        "tree": commit(place.root),
        "arguments": arguments,
        "cpu": processor(),
        "cores": {"mask": place.mask, "server": place.server, "client": place.client},
        "kernel": platform.release(),
        "kernel_command_line": first("/proc/cmdline"),
        "governor": first("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "clock": first(clock),
        "mitigations": mitigations(),
        "congestion_control": first("/proc/sys/net/ipv4/tcp_congestion_control"),
        "memory": (first("/proc/meminfo") or "").partition("\n")[0],
        "load": os.getloadavg(),
        "rustc": said("rustc", "--version"),
        "rustflags": os.environ.get("RUSTFLAGS", ""),
        "profile": place.profile,
        "versions": {peer.name: peer.version() for peer in peers},
    }
