"""A person's session in the json encoding, with Python `websockets`: json_session.py URL.

Welcome, ping, subscriptions that overlap, snapshots, live data, heartbeats whose counts are what
was received, refusals, unsubscribe, close."""

import sys

from session import Refused, Session, is_type, run

TRADES, MBP_1 = 0, 1
ENOUGH = 3_000


async def two_symbols(session: Session) -> list[str]:
    """The symbols of two instruments that trade."""
    symbols: dict[str, None] = {}

    def note(batch):
        symbols.update((r.body["symbol"], None) for r in batch.records if r.rtype == TRADES)

    session.on_batch = note
    await session.until(lambda _: len(symbols) >= 2)
    session.on_batch = lambda batch: None
    return list(symbols)[:2]


async def check_snapshot(session: Session, symbols: list[str]) -> None:
    """Snapshot records come before `snapshot_done`, for the instruments asked for."""
    seen: set[str] = set()

    def note(batch):
        if "snapshot" in batch.flags:
            seen.update(r.body["symbol"] for r in batch.records if r.rtype == MBP_1)

    session.on_batch = note
    await session.until(lambda m: is_type(m, "snapshot_done"))
    session.on_batch = lambda batch: None
    assert seen <= set(symbols), f"a snapshot of {seen}, asked for {symbols}"


async def check_refusals(session: Session) -> None:
    """What is wrong is refused with its code, and nothing else changes."""
    for method, params, code in (
        ("subscribe", {"schema": "no-such-schema", "symbols": "*"}, 404),
        ("subscribe", {"symbols": "*"}, 400),
        ("subscribe", {"schema": "trades", "symbols": "*", "colour": "red"}, 400),
        ("unsubscribe", {"subscription": 4_000_000_000}, 404),
        ("make_coffee", {}, 400),
    ):
        try:
            await session.request(method, **params)
        except Refused as refused:
            assert refused.error["code"] == code, f"{method} {params}: {refused}, not {code}"
        else:
            raise AssertionError(f"{method} {params} was accepted")


async def main(url: str) -> None:
    """The session, from the handshake to the close."""
    session = await Session.open(url, "json")
    echo = await session.request("ping", data="tick")
    assert echo["data"] == "tick", echo
    trades = await session.subscribe(
        lambda r: r.rtype == TRADES, schema="trades", symbols="*", snapshot=False
    )
    symbols = await two_symbols(session)
    mixed = await session.subscribe(
        lambda r: r.rtype in (TRADES, MBP_1) and r.body["symbol"] in symbols,
        schema=["trades", "mbp-1"],
        symbols=[*symbols, "NO.SUCH.SYMBOL"],
    )
    rejected = [(r["symbol"], r["code"]) for r in mixed["rejected"]]
    assert rejected == [("NO.SUCH.SYMBOL", 404)], mixed
    assert sorted(i["symbol"] for i in mixed["instruments"]) == sorted(symbols), mixed
    await check_snapshot(session, symbols)
    await session.until(lambda _: session.records >= ENOUGH)
    await check_refusals(session)
    await session.heartbeat()
    await session.unsubscribe(trades["subscription"])
    await session.unsubscribe(mixed["subscription"])
    await session.heartbeat()
    listing = await session.request("subscriptions")
    assert listing["subscriptions"] == [], listing
    await session.socket.close(1000, "done")
    assert session.socket.close_code == 1000, session.socket.close_code
    print(f"{session.records} records, {session.heartbeats} heartbeats that agree")


if __name__ == "__main__":
    run(main(sys.argv[1]), 60)
