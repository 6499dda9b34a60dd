"""A small server that keeps the protocol, or breaks it in one chosen way: what the clients of this
folder are tried against, so that their checks are known to be able to fail."""

import asyncio
import io
import json
import struct
import time
from contextlib import asynccontextmanager

import databento_dbn as dbn
from session import BATCH, MAPPING, MESSAGE_MAX
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

SYMBOLS = {1: "AAA", 2: "BBB", 3: "CCC"}
SCHEMAS = {"trades": 0, "mbp-1": 1, "mbo": 160}
EPOCH = (7 << 40) + 5
FAULTS = ("lose", "repeat", "miscount", "back", "after", "long", "cut", "epoch", "change")


def market() -> list[bytes]:
    """Bare trades and mbp-1 records of three instruments."""
    records = []
    for number in range(300):
        rtype, words = ((0, 12), (1, 20))[number % 2]
        head = struct.pack("<BBHIQ", words, rtype, 64000, number % 3 + 1, number)
        body = struct.pack("<qIccBBQiI", 10**9, 100, b"T", b"B", 0, 0, number, 0, number)
        records.append((head + body).ljust(words * 4, b"\0"))
    return records


def mapping(instrument: int, symbol: str) -> bytes:
    """A bare SymbolMappingMsg."""
    head = struct.pack("<BBHIQ", 44, MAPPING, 64000, instrument, 0)
    name = symbol.encode().ljust(71, b"\0")
    return head + b"\2" + name + b"\0" + name + struct.pack("<QQ", 2**64 - 1, 2**64 - 1)


def publish(bare: bytes) -> bytes:
    """The record with `ts_out`."""
    return bytes([bare[0] + 2]) + bare[1:] + struct.pack("<Q", time.time_ns())


class Connection:
    """One client of the fake."""

    def __init__(self, socket, records: list[bytes], loop: bool, fault: str, symbols: dict):
        self.socket, self.fault, self.symbols = socket, fault, symbols
        self.source, self.loop = records, loop
        self.json = socket.subprotocol == "broadtape.json.v1"
        self.subscriptions: dict[int, tuple] = {}
        self.counts: dict[int, int] = {}
        self.seq = self.sent = self.ids = 0
        self.named: set[int] = set()

    async def run(self) -> None:
        await self.say("welcome", epoch=str(EPOCH), seq="0", encoding=self.encoding())
        market = asyncio.create_task(self.play())
        try:
            async for text in self.socket:
                request = json.loads(text)
                await self.answer(request, *self.handle(request["method"], request["params"]))
        except ConnectionClosed:
            pass
        finally:
            market.cancel()

    def encoding(self) -> str:
        return "json" if self.json else "dbn"

    async def say(self, kind: str, **fields) -> None:
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def answer(self, request, result, error) -> None:
        text = {"id": request["id"], "method": request["method"], "success": error is None}
        text |= {"error": error} if error else {"result": result}
        await self.socket.send(json.dumps(text | {"time_in": "1", "time_out": "2"}))
        if result and "instruments" in result and request["params"].get("snapshot", True):
            await self.say("snapshot_done", subscription=result["subscription"], seq="0")

    def handle(self, method: str, params: dict) -> tuple[dict | None, dict | None]:
        if method == "ping":
            return {"data": params["data"]}, None
        if method == "subscriptions":
            return {"subscriptions": list(self.subscriptions)}, None
        if method == "unsubscribe" and params["subscription"] in self.subscriptions:
            if self.fault != "after":
                del self.subscriptions[params["subscription"]]
                del self.counts[params["subscription"]]
            return {}, None
        if method == "subscribe" and params.keys() <= {"schema", "symbols", "snapshot"}:
            return self.subscribe(**params)
        known = method == "unsubscribe"
        return None, {"code": 404 if known else 400, "reason": "bad", "message": method}

    def subscribe(self, schema=None, symbols="*", snapshot=True):
        schemas = [schema] if isinstance(schema, str) else schema
        if not schemas or not set(schemas) <= SCHEMAS.keys():
            return None, {"code": 404 if schemas else 400, "reason": "bad", "message": "schema"}
        ids = [i for i, s in self.symbols.items() if symbols == "*" or s in symbols]
        lost = [s for s in symbols if s not in self.symbols.values()] if symbols != "*" else []
        self.ids += 1
        self.subscriptions[self.ids] = ({SCHEMAS[s] for s in schemas}, set(ids))
        self.counts[self.ids] = 0
        named = [{"symbol": self.symbols[i], "instrument_id": i} for i in ids]
        rejected = [{"symbol": s, "code": 404, "reason": "unknown_symbol"} for s in lost]
        done = {"subscription": self.ids, "epoch": str(EPOCH), "seq": str(self.seq)}
        return done | {"instruments": named, "rejected": rejected}, None

    async def play(self) -> None:
        turn = 0
        while True:
            if self.subscriptions and (self.loop or turn == 0):
                for start in range(0, len(self.source), 100):
                    await self.batch(self.source[start : start + 100])
                    await asyncio.sleep(0)
                turn += 1
            await self.heartbeat()
            await asyncio.sleep(0.01)

    async def batch(self, records: list[bytes]) -> None:
        out = []
        for bare in records:
            self.seq += 1
            rtype, instrument = bare[1], int.from_bytes(bare[4:8], "little")
            wanting = [key for key in self.subscriptions if self.wants(key, rtype, instrument)]
            if not wanting:
                continue
            if instrument not in self.named:
                self.named.add(instrument)
                out.append(publish(mapping(instrument, self.symbols[instrument])))
            out.append(publish(bare))
            self.sent += 1
            for key in wanting:
                self.counts[key] += 1
        if out:
            await self.frame(self.spoil(out))

    def wants(self, key: int, rtype: int, instrument: int) -> bool:
        types, instruments = self.subscriptions[key]
        return rtype in types and instrument in instruments

    def spoil(self, out: list[bytes]) -> list[bytes]:
        if self.fault == "lose":
            return out[:-1]
        if self.fault == "repeat":
            return out + out[-1:]
        if self.fault == "change":
            return out[:-1] + [out[-1][:30] + bytes([out[-1][30] ^ 1]) + out[-1][31:]]
        return out * (MESSAGE_MAX // 1000) if self.fault == "long" else out

    async def frame(self, out: list[bytes]) -> None:
        seq = 1_000_000_000 - self.seq if self.fault == "back" else self.seq
        epoch = EPOCH + (self.fault == "epoch")
        if not self.json:
            head = BATCH.pack(1, 0, len(out), epoch & 0xFFFF_FFFF, seq, time.time_ns())
            frame = head + b"".join(out)
            await self.socket.send(frame[:-8] if self.fault == "cut" else frame)
            return
        fields = {"epoch": str(epoch), "seq": str(seq), "ts_send": str(time.time_ns())}
        text = json.dumps({"type": "data", **fields, "flags": [], "records": self.to_json(out)})
        await self.socket.send(text[:-8] if self.fault == "cut" else text)

    def to_json(self, out: list[bytes]) -> list[dict]:
        text = io.BytesIO()
        transcoder = dbn.Transcoder(
            text,
            dbn.Encoding.JSON,
            dbn.Compression.NONE,
            has_metadata=False,
            ts_out=True,
            input_version=3,
            map_symbols=False,
        )
        transcoder.write(b"".join(out))
        transcoder.flush()
        bodies = [json.loads(line) for line in text.getvalue().splitlines()]
        return [body | {"symbol": self.symbols[body["hd"]["instrument_id"]]} for body in bodies]

    async def heartbeat(self) -> None:
        sent = self.sent + (self.fault == "miscount")
        subscriptions = [
            {"subscription": key, "records": str(count), "conflated": "0", "dropped": "0"}
            for key, count in self.counts.items()
        ]
        fields = {"records": str(sent), "subscriptions": subscriptions}
        await self.say("heartbeat", epoch=str(EPOCH), seq=str(self.seq), **fields)


@asynccontextmanager
async def fake(records=None, fault="", symbols=None):
    """Serves a market, or `records` once; yields the URL."""
    assert fault in ("", *FAULTS), fault

    async def serve_one(socket):
        source = market() if records is None else records
        await Connection(socket, source, records is None, fault, symbols or SYMBOLS).run()

    protocols = ["broadtape.dbn.v1", "broadtape.json.v1"]
    async with serve(serve_one, "127.0.0.1", 0, subprotocols=protocols, compression=None) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"ws://127.0.0.1:{port}/v1/stream"
