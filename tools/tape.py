#!/usr/bin/env python3
"""What the tape costs beside a server, on a quiet machine:
tools/tape.py [BINARY [FOLDER [CLIENTS]]]

The recorder's own CPU time a record, then many replays of the same tape at once. FOLDER decides
the disk: one that is slower than the feed shows in `lost`. Needs the Python of tools/check.sh
clients."""

import asyncio
import json
import os
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from websockets.asyncio.client import connect

RATE = 200_000
SECONDS = 10
THREADS = ("tape", "tape-sync")
BATCH = struct.Struct("<BBHIQQ")


def cpu_of(pid: int, names: tuple[str, ...]) -> float:
    """Seconds of CPU of the threads of these names."""
    total = 0.0
    for task in Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text().strip() in names:
            fields = (task / "stat").read_text().rsplit(")", 1)[1].split()
            total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def recorder(address: str) -> dict:
    """What the server says of its recorder."""
    with urllib.request.urlopen(f"http://{address}/v1/status") as answer:
        return json.load(answer)["recorder"]


def cost(pid: int, address: str) -> None:
    """Prints the recorder's CPU time over some seconds."""
    first, cpu, began = recorder(address), cpu_of(pid, THREADS), time.monotonic()
    time.sleep(SECONDS)
    last, cpu = recorder(address), cpu_of(pid, THREADS) - cpu
    records, took = int(last["records"]) - int(first["records"]), time.monotonic() - began
    each, share = cpu / max(records, 1) * 1e9, cpu / took * 100
    print(f"recorder: {records / took:,.0f} records/s, {each:.0f} ns of CPU each, {share:.1f} %")
    print(f"recorder: lost {last['lost']}, failed {last['failures']} times")


async def replay(address: str) -> int:
    """One client that has everything replayed; the records that came."""
    url = f"ws://{address}/v1/stream?encoding=dbn"
    async with connect(url, max_size=65_535, compression=None) as socket:
        wish = {"recording": "live", "speed": "max"}
        await socket.send(json.dumps({"id": 1, "method": "replay", "params": wish}))
        records = 0
        async for message in socket:
            if isinstance(message, bytes):
                records += BATCH.unpack_from(message)[2]
            elif json.loads(message).get("type") == "replay_completed":
                return records
    return records


async def many(address: str, clients: int) -> None:
    """Prints how fast many replays come together."""
    began = time.monotonic()
    came = await asyncio.gather(*(replay(address) for _ in range(clients)))
    took = time.monotonic() - began
    print(f"{clients} replays: {sum(came):,} records in {took:.1f} s, {sum(came) / took:,.0f}/s")


def main(binary: str = "target/release/broadtape", folder: str = "", clients: str = "20") -> None:
    """All of it."""
    with tempfile.TemporaryDirectory(dir=folder or None) as place:
        command = [binary, "serve", "--listen", "127.0.0.1:0", "--scenario", "metronome"]
        command += ["--rate", str(RATE), "--record", f"{place}/tape", "--log", "error"]
        command += ["--durability", "interval=50ms"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            address = server.stdout.readline().strip().removeprefix("listening on http://")
            try:
                cost(server.pid, address)
                asyncio.run(many(address, int(clients)))
            finally:
                server.terminate()


if __name__ == "__main__":
    main(*sys.argv[1:])
