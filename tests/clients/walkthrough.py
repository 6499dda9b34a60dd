"""Follows docs/replay.md by hand, as it were: sends what the page says, one message after the
other, over Python's websockets, and holds the answers to what it promises: walkthrough.py URL
PAGE."""

import asyncio
import json
import re
import sys

from websockets.asyncio.client import connect

FALL = "2023-11-20T14:30:30"


def requests(page: str) -> dict[int, dict]:
    """The page's requests, by id."""
    blocks = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    lines = [json.loads(line) for block in blocks for line in block.splitlines()]
    return {line["id"]: line for line in lines}


class Session:
    """A connection, the records of the replay since the last answer, and other messages."""

    def __init__(self, socket, asked: dict[int, dict]) -> None:
        self.socket, self.asked = socket, asked
        self.records: list[dict] = []
        self.seen: list[dict] = []

    async def take(self) -> dict:
        """The next message."""
        message = json.loads(await asyncio.wait_for(self.socket.recv(), 60))
        self.seen.append(message)
        if message.get("type") == "data":
            self.records += message["records"]
        return message

    async def ask(self, number: int) -> dict:
        """Sends a request of the page; its result. What came before the answer is forgotten."""
        await self.socket.send(json.dumps(self.asked.pop(number)))
        while (message := await self.take()).get("id") != number:
            pass
        assert message["success"], message
        self.records, self.seen = [], []
        return message["result"]

    async def until(self, kind: str) -> dict:
        """Reads up to a message of a type."""
        while (message := await self.take()).get("type") != kind:
            pass
        return message

    async def gather(self, count: int) -> list[dict]:
        """Reads until so many records of the replay have come, mappings not counted."""
        while len(trades(self.records)) < count:
            await self.take()
        return trades(self.records)


def trades(records: list[dict]) -> list[dict]:
    """Those that are no mappings."""
    return [record for record in records if record["hd"]["rtype"] == 0]


async def crash(session: Session) -> None:
    """The first half: a recording, held, stepped, sent elsewhere, hurried."""
    result = await session.ask(1)
    assert int(result["start"]) < int(result["end"]), result
    await session.ask(2)
    for number, count in ((3, 1), (4, 10)):
        await session.ask(number)
        assert len(await session.gather(count)) == count
        # A heartbeat later nothing more has come.
        await session.until("heartbeat")
        await session.until("heartbeat")
        assert len(trades(session.records)) == count, f"{count} and no more"
    await session.ask(5)
    await session.ask(6)
    first = (await session.gather(1))[0]
    assert first["ts_recv"] >= FALL and first["symbol"] == "AAPL", first
    await session.ask(7)
    await session.ask(8)
    completed = await session.until("replay_completed")
    last = trades(session.records)[-1]
    assert completed["then"] == "stop" and last["ts_recv"] < "2023-11-20T14:32", last


async def live(session: Session) -> None:
    """The second: what the server records, into the stream."""
    await session.ask(9)
    await session.until("replay_completed")
    before = trades(session.records)
    await session.until("live")
    await session.gather(len(before) + 1)
    while session.seen[-1].get("flags") != []:
        await session.take()
    numbers = [record["sequence"] for record in trades(session.records)]
    assert numbers == sorted(set(numbers)), "in order, once each"


async def bars(session: Session) -> None:
    """What the recording does not hold: its bars."""
    result = await session.ask(12)
    assert result["derived"] == ["ohlcv-1s"], result
    completed = await session.until("replay_completed")
    told = [record for record in session.records if record["hd"]["rtype"] == 0x20]
    assert len(told) == int(completed["records"]) > 100, completed


async def main(url: str, path: str) -> None:
    """All of the page."""
    with open(path, encoding="utf-8") as page:
        asked = requests(page.read())
    async with connect(url, max_size=65_535) as socket:
        session = Session(socket, asked)
        await session.until("welcome")
        await crash(session)
        await session.ask(10)
        await session.gather(1)
        await session.ask(11)
        await bars(session)
        await live(session)
    assert not asked, f"not tried: {asked}"
    print("the page holds")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
