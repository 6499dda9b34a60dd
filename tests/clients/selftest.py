"""The clients against a server that keeps the protocol, and against one that breaks it in one way:
they have to accept the first and refuse the others. `NODE_PATH` says where ws and undici are."""

import asyncio
import sys
import tempfile
import unittest
from datetime import date
from pathlib import Path
from types import SimpleNamespace as Fields

import databento_dbn as dbn
import json_session
import replay
from fake import FAULTS, SYMBOLS, fake, market

HERE = Path(__file__).parent


def write_file(folder: str) -> str:
    """A DBN file of the market's trades."""
    mappings = [Fields(raw_symbol=s, intervals=[day(i)]) for i, s in SYMBOLS.items()]
    head = dbn.Metadata(
        dataset="TEST",
        start=0,
        stype_in=dbn.SType.RAW_SYMBOL,
        schema=dbn.Schema.TRADES,
        stype_out=dbn.SType.INSTRUMENT_ID,
        symbols=list(SYMBOLS.values()),
        mappings=mappings,
    )
    path = Path(folder) / "trades.dbn"
    path.write_bytes(bytes(head) + b"".join(trades()))
    return str(path)


def day(instrument: int) -> Fields:
    """The day that the market's times fall on."""
    dates = {"start_date": date(1970, 1, 1), "end_date": date(1970, 1, 2)}
    return Fields(**dates, symbol=str(instrument))


def trades() -> list[bytes]:
    """The market's trades."""
    return [record for record in market() if record[1] == 0]


async def node(library: str, url: str) -> None:
    """Runs the JavaScript client; AssertionError with what it said where it fails."""
    script = str(HERE / "binary_session.cjs")
    pipe = asyncio.subprocess.PIPE
    client = await asyncio.create_subprocess_exec("node", script, library, url, stderr=pipe)
    _, said = await client.communicate()
    assert client.returncode == 0, said.decode()


class Clients(unittest.IsolatedAsyncioTestCase):
    """Each client, with each fault that it can see."""

    async def try_faults(self, client, faults, **served) -> None:
        async with fake(**served) as url:
            await asyncio.wait_for(client(url), 20)
        for fault in faults:
            with self.subTest(fault=fault):
                async with fake(fault=fault, **served) as url:
                    with self.assertRaises(Exception) as caught:
                        await asyncio.wait_for(client(url), 20)
                    self.assertNotIsInstance(caught.exception, TimeoutError)
                    print(f"  {client.__name__} {fault}: {caught.exception!s:.90}", file=sys.stderr)

    async def test_json_session(self):
        await self.try_faults(json_session.main, [f for f in FAULTS if f != "change"])

    async def test_binary_session_with_ws(self):
        async def ws(url):
            await node("ws", url)

        await self.try_faults(ws, [f for f in FAULTS if f != "change"])

    async def test_binary_session_with_undici(self):
        async def undici(url):
            await node("undici", url)

        await self.try_faults(undici, ["lose"])

    async def test_replay(self):
        with tempfile.TemporaryDirectory() as folder:
            path = write_file(folder)

            async def play(url):
                await replay.main(url, path)

            await self.try_faults(play, ["change", "repeat", "cut"], records=trades())


if __name__ == "__main__":
    unittest.main()
