"""An exported file, plain and compressed, as the official DBN reader has it: exported.py A B."""

import sys

from replay import read


def main(plain: str, compressed: str) -> None:
    """Both hold the same, and their metadata is that of one schema."""
    (metadata, records), (other, again) = read(plain), read(compressed)
    assert bytes(metadata) == bytes(other) and records == again
    assert metadata.version == 3 and not metadata.ts_out
    symbols = " ".join(metadata.symbols)
    times = [record.ts_recv for record in records]
    assert metadata.start <= min(times) and max(times) < metadata.end
    print(f"{len(records)} records of {metadata.schema} in both, {symbols}")


if __name__ == "__main__":
    main(*sys.argv[1:])
