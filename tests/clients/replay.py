"""A recorded file through the server, against the file: replay.py URL FILE.

Two connections, one an encoding, receive what `broadtape replay FILE` plays. What arrives has to be
the file record by record, as the official DBN reader decodes it (upgraded to DBN v3), `ts_out`
apart; and the stripped stream has to be a valid DBN file."""

import asyncio
import io
import json
import sys

import databento_dbn as dbn
from session import MAPPING, Session, run

V3 = dbn.VersionUpgradePolicy.UPGRADE_TO_V3


def decode(data: bytes, compression=dbn.Compression.NONE) -> tuple[dbn.Metadata, list]:
    """Metadata and records of a DBN file, the mappings left out."""
    decoder = dbn.DBNDecoder(upgrade_policy=V3, compression=compression)
    decoder.write(data)
    metadata, *records = decoder.decode()
    assert not decoder.buffer(), f"{len(decoder.buffer())} bytes left after the last record"
    return metadata, [r for r in records if r.rtype.value != MAPPING]


def read(path: str) -> tuple[dbn.Metadata, list]:
    """A file, plain or compressed."""
    with open(path, "rb") as file:
        data = file.read()
    plain = data.startswith(b"DBN")
    return decode(data, dbn.Compression.NONE if plain else dbn.Compression.ZSTD)


def as_json(metadata: dbn.Metadata, records: list) -> list[dict]:
    """What DBN's own encoder prints: pretty prices, pretty times, symbols mapped. An instrument
    that the file maps to no symbol goes by its id here."""
    out = io.BytesIO()
    transcoder = dbn.Transcoder(out, dbn.Encoding.JSON, dbn.Compression.NONE, map_symbols=True)
    transcoder.write(bytes(metadata) + b"".join(map(bytes, records)))
    transcoder.flush()
    bodies = [json.loads(line) for line in out.getvalue().splitlines()]
    for body in bodies:
        body["symbol"] = body["symbol"] or str(body["hd"]["instrument_id"])
    return bodies


async def receive(url: str, encoding: str, schema: str, expected: int) -> list:
    """The records that a subscription to everything brings, until there are enough; then a
    heartbeat, which proves that no more came and none was lost."""
    received: list = []
    session = await Session.open(url, encoding)
    session.on_batch = lambda batch: received.extend(batch.records)
    await session.subscribe(lambda _: True, schema=schema, symbols="*", snapshot=False)
    while session.records < expected:
        await session.next()
    await session.heartbeat()
    assert session.records == expected, f"{session.records} records, not {expected}"
    await session.socket.close()
    return received


def compare(what: str, expected: list, received: list) -> None:
    """Says the first record that differs."""
    for number, (want, got) in enumerate(zip(expected, received, strict=True)):
        assert want == got, f"{what}: record {number} is\n{got}\nnot\n{want}"


def check_binary(metadata: dbn.Metadata, records: list, received: list) -> None:
    """The stripped stream, decoded by the official reader, is the file."""
    head = dbn.Metadata(
        dataset=metadata.dataset,
        start=metadata.start,
        stype_in=dbn.SType.RAW_SYMBOL,
        stype_out=dbn.SType.INSTRUMENT_ID,
        schema=None,
        ts_out=True,
        version=3,
    )
    _, decoded = decode(bytes(head) + b"".join(record.body for record in received))
    times = [record.ts_out for record in decoded]
    assert times == sorted(times), "ts_out decreases"
    bare = [type(r).__name__.encode() + bytes(r)[1:-8] for r in decoded]
    compare("dbn", [type(r).__name__.encode() + bytes(r)[1:] for r in records], bare)


def check_json(metadata: dbn.Metadata, records: list, received: list) -> None:
    """Each JSON record is what DBN's own encoder prints."""
    bodies = [dict(record.body) for record in received if record.rtype != MAPPING]
    for body in bodies:
        del body["ts_out"]
    compare("json", as_json(metadata, records), bodies)


async def main(url: str, path: str) -> None:
    """Both encodings at once: the server holds the first record until both have subscribed."""
    metadata, records = read(path)
    schema = str(metadata.schema)
    binary, text = await asyncio.gather(
        receive(url, "dbn", schema, len(records)),
        receive(url, "json", schema, len(records)),
    )
    check_binary(metadata, records, binary)
    check_json(metadata, records, text)
    print(f"{len(records)} records of {schema}, equal in both encodings")


if __name__ == "__main__":
    run(main(*sys.argv[1:]), 120)
