"""What the Python clients share: requests and their answers, data frames, and the counts that prove
nothing is missing. Knows docs/protocol.md and nothing of the server's code."""

import asyncio
import json
import struct
from dataclasses import dataclass, field

from websockets.asyncio.client import connect

MESSAGE_MAX = 65_535
BATCH = struct.Struct("<BBHIQQ")  # version, flags, count, epoch (low half), seq, ts_send
RECORD = struct.Struct("<BBHIQ")  # length in words, rtype, publisher, instrument, ts_event
FLAGS = ("snapshot", "catch_up", "replay", "conflated", "gap")
MAPPING = 22


@dataclass
class Record:
    """One record: `body` is its bytes, or its parsed JSON."""

    rtype: int
    instrument: int
    ts_out: int | str
    body: bytes | dict


@dataclass
class Batch:
    """One data frame of either encoding."""

    flags: set[str]
    epoch: int
    seq: int
    ts_send: int
    records: list[Record] = field(default_factory=list)


def binary_batch(frame: bytes) -> Batch:
    """A frame of the `dbn` encoding. AssertionError where it does not add up."""
    version, bits, count, epoch, seq, ts_send = BATCH.unpack_from(frame)
    assert version == 1, f"version {version}"
    assert bits >> len(FLAGS) == 0, f"unknown flags {bits:#x}"
    flags = {name for bit, name in enumerate(FLAGS) if bits >> bit & 1}
    batch, at = Batch(flags, epoch, seq, ts_send), BATCH.size
    for _ in range(count):
        words, rtype, _, instrument, _ = RECORD.unpack_from(frame, at)
        body = frame[at : at + words * 4]
        assert len(body) == words * 4 >= 24, f"record of {words} words cut to {len(body)} bytes"
        ts_out = int.from_bytes(body[-8:], "little")
        batch.records.append(Record(rtype, instrument, ts_out, body))
        at += len(body)
    assert at == len(frame), f"{len(frame) - at} bytes after {count} records"
    return batch


def json_batch(message: dict) -> Batch:
    """A `data` message of the `json` encoding."""
    flags = set(message.get("flags", []))
    assert flags <= set(FLAGS), f"unknown flags {flags}"
    batch = Batch(flags, whole(message["epoch"]), whole(message["seq"]), whole(message["ts_send"]))
    for body in message["records"]:
        head = body["hd"]
        batch.records.append(Record(head["rtype"], head["instrument_id"], body["ts_out"], body))
    return batch


def whole(text: str) -> int:
    """A 64-bit integer, which our JSON writes as a string of digits."""
    assert isinstance(text, str) and text.isdecimal(), f"not a decimal string: {text!r}"
    return int(text)


class Refused(Exception):
    """An answer with `success: false`; `error` is its error."""

    def __init__(self, error: dict):
        super().__init__(f"{error['code']} {error['reason']}: {error['message']}")
        self.error = error


class Session:
    """One connection. Everything received goes through `next`, which checks what holds always:
    sizes, positions that never decrease, and heartbeats that count what came before them."""

    def __init__(self, socket, encoding: str):
        self.socket, self.encoding = socket, encoding
        self.welcome: dict = {}
        self.epoch = self.seq = 0
        self.records = 0
        self.heartbeats = 0
        self.counts: dict[str, int] = {}
        self.wants: dict[str, object] = {}
        self.on_batch = lambda batch: None
        self._id = 0

    @classmethod
    async def open(cls, url: str, encoding: str) -> "Session":
        """Connects and takes the welcome."""
        protocol = f"broadtape.{encoding}.v1"
        socket = await connect(url, subprotocols=[protocol], max_size=MESSAGE_MAX, compression=None)
        assert socket.subprotocol == protocol, f"subprotocol {socket.subprotocol}"
        session = cls(socket, encoding)
        session.welcome = await session.next()
        assert session.welcome["type"] == "welcome", session.welcome
        assert session.welcome["encoding"] == encoding, session.welcome
        session.epoch = whole(session.welcome["epoch"])
        session.seq = whole(session.welcome["seq"])
        return session

    async def next(self) -> dict | Batch:
        """The next message, checked and counted."""
        frame = await self.socket.recv()
        size = len(frame if isinstance(frame, bytes) else frame.encode())
        assert size <= MESSAGE_MAX, f"a message of {size} bytes"
        if isinstance(frame, bytes):
            assert self.encoding == "dbn", "a binary frame in the json encoding"
            return self._take(binary_batch(frame), self.epoch & 0xFFFF_FFFF)
        message = json.loads(frame)
        kind = message.get("type")
        if kind == "data":
            assert self.encoding == "json", "a data message in the dbn encoding"
            return self._take(json_batch(message), self.epoch)
        if kind == "heartbeat":
            self._check_heartbeat(message)
        assert kind not in ("gap", "closing"), f"unexpected {message}"
        return message

    async def until(self, done) -> None:
        """Receives until `done(message)`."""
        while not done(await self.next()):
            pass

    async def heartbeat(self) -> None:
        """Receives until the next heartbeat, which has checked the counts."""
        await self.until(lambda message: is_type(message, "heartbeat"))

    async def request(self, method: str, **params) -> dict:
        """Sends a request, receives up to its answer and returns it; Refused where it says no."""
        self._id += 1
        await self.socket.send(json.dumps({"id": self._id, "method": method, "params": params}))
        while True:
            message = await self.next()
            if isinstance(message, dict) and message.get("id") == self._id:
                break
        assert message["method"] == method, message
        assert whole(message["time_in"]) <= whole(message["time_out"]), message
        if not message["success"]:
            raise Refused(message["error"])
        return message["result"]

    async def subscribe(self, wants, **params) -> dict:
        """Subscribes and counts the records that `wants(record)` from here on."""
        result = await self.request("subscribe", **params)
        assert whole(result["epoch"]) == self.epoch, result
        key = str(result["subscription"])
        self.wants[key], self.counts[key] = wants, 0
        return result

    async def unsubscribe(self, subscription) -> dict:
        """Ends a subscription: nothing that only it wants may follow."""
        result = await self.request("unsubscribe", subscription=subscription)
        del self.wants[str(subscription)], self.counts[str(subscription)]
        return result

    def _take(self, batch: Batch, epoch: int) -> Batch:
        assert batch.epoch == epoch, f"epoch {batch.epoch}, not {epoch}"
        assert not batch.flags & {"gap", "conflated"}, f"loss: {batch.flags}"
        if "snapshot" not in batch.flags:
            self._advance(batch.seq)
            for record in batch.records:
                if record.rtype != MAPPING:
                    self._count(record)
        self.on_batch(batch)
        return batch

    def _count(self, record: Record) -> None:
        wanted = [key for key, wants in self.wants.items() if wants(record)]
        assert wanted, f"a record that no subscription asks for: {record}"
        self.records += 1
        for key in wanted:
            self.counts[key] += 1

    def _advance(self, seq: int) -> None:
        assert seq >= self.seq, f"seq fell from {self.seq} to {seq}"
        self.seq = seq

    def _check_heartbeat(self, message: dict) -> None:
        assert whole(message["epoch"]) == self.epoch, message
        self._advance(whole(message["seq"]))
        said = whole(message["records"])
        assert said == self.records, f"the server counts {said} records, {self.records} came"
        subscriptions = {str(s["subscription"]): s for s in message["subscriptions"]}
        assert subscriptions.keys() == self.counts.keys(), f"{message}, not {self.counts}"
        for key, counts in subscriptions.items():
            assert whole(counts["records"]) == self.counts[key], f"{counts}, not {self.counts[key]}"
            assert whole(counts["conflated"]) == whole(counts["dropped"]) == 0, counts
        self.heartbeats += 1


def is_type(message, kind: str) -> bool:
    """Is it the control message of this type?"""
    return isinstance(message, dict) and message.get("type") == kind


def run(main, seconds: float) -> None:
    """Runs a client, at most so long."""
    asyncio.run(asyncio.wait_for(main, seconds))
