"""Makes the seeds of the fuzz targets in fuzz/seeds: small and made up.

    python3 fuzz/seeds.py BROADTAPE

BROADTAPE is the program: what it imports and records becomes the seeds of DBN files and tapes.
"""

import base64
import gzip
import json
import lzma
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SEEDS = Path(__file__).parent / "seeds"
TIME = 1_577_716_200_000_000_000


def seed(target: str, name: str, data: bytes | str) -> bytes:
    data = data.encode() if isinstance(data, str) else data
    folder = SEEDS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    return data


def frame(first: int, payload: bytes, length: int | None = None) -> bytes:
    length = len(payload) if length is None else length
    key = b"\x5a\x01\xff\x80"
    if length < 126:
        head = bytes([first, 0x80 | length])
    elif length < 65_536:
        head = bytes([first, 0xFE]) + struct.pack(">H", length)
    else:
        head = bytes([first, 0xFF]) + struct.pack(">Q", length)
    return head + key + bytes(b ^ key[n % 4] for n, b in enumerate(payload))


def frames() -> None:
    text = "héllo €".encode()
    seed("frames", "text", b"\x02" + frame(0x81, text))
    pieces = frame(0x01, text[:2]) + frame(0x89, b"hi") + frame(0x80, text[2:])
    seed("frames", "fragments", b"\x05" + pieces + frame(0x88, b"\x03\xe8bye"))
    seed("frames", "binary", b"\x10" + frame(0x82, bytes(130)) + frame(0x8A, b""))
    seed("frames", "empty-fragments", b"\x07" + frame(0x02, b"") + frame(0x00, b"") * 3)
    seed("frames", "too-big", b"\x00" + frame(0x82, b"xy", 1 << 17))
    seed("frames", "bad-text", b"\x01" + frame(0x81, b"\xed\xa0\x80"))
    seed("frames", "bad-close", b"\x01" + frame(0x88, b"\x03\xed"))


def handshake() -> None:
    head = (
        "GET /v1/stream?encoding=dbn HTTP/1.1\r\nHost: localhost:8080\r\nUpgrade: websocket\r\n"
        "Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    )
    seed("handshake", "right", head + "\r\n")
    seed("handshake", "origin", head + "Origin: http://localhost:8080\r\n\r\n")
    offer = "Sec-WebSocket-Protocol: broadtape.json.v1, other\r\n"
    seed("handshake", "subprotocol", head + offer + "Authorization: Bearer a.b.c\r\n\r\n")
    seed("handshake", "page", "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
    body = "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    seed("handshake", "body", "POST / HTTP/1.1\r\nHost: x\r\n" + body)
    seed("handshake", "old", "GET /v1/echo HTTP/1.0\r\nUpgrade: websocket\r\n\r\n")


def proxy() -> None:
    seed("proxy", "line", "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\nGET / HTTP/1.1\r\n")
    seed("proxy", "line-6", "PROXY TCP6 2001:db8::1 ::1 56324 443\r\n")
    seed("proxy", "unknown", "PROXY UNKNOWN\r\n")
    addresses = bytes([192, 0, 2, 1, 198, 51, 100, 1]) + struct.pack(">HH", 56324, 443)
    head = b"\r\n\r\n\0\r\nQUIT\n"
    block = addresses + b"\x04\0\1x"
    seed("proxy", "binary", head + b"\x21\x11" + struct.pack(">H", len(block)) + block)
    seed("proxy", "itself", head + b"\x20\0\0\0")


def control() -> None:
    requests = {
        "ping": '{"id":1,"method":"ping","params":{"data":"x"}}',
        "subscribe": '{"id":"a","method":"subscribe","params":[{"schema":["trades","mbp-1"],'
        '"symbols":["ES*","A?"],"snapshot":false,"max_rate":5,"policy":"conflate"},'
        '{"schema":"mbo","symbols":"*","from":{"epoch":"7","seq":"9"}}]}',
        "time": '{"id":2,"method":"subscribe","params":{"schema":"trades","symbols":["X"],'
        '"from":{"time":"1577716200000000000"}}}',
        "unsubscribe": '{"id":3,"method":"unsubscribe","params":{"subscription":1}}',
        "list": '{"id":4,"method":"subscriptions","params":{"after":2}}',
        "replay": '{"id":5,"method":"replay","params":{"recording":"live","start":"1","end":"2",'
        '"speed":"max","schema":"trades","symbols":["X"],"then":"live"}}',
        "speed": '{"id":6,"method":"speed","params":{"speed":0.5,"replay":1}}',
        "seek": '{"id":7,"method":"seek","params":{"time":"5"}}',
        "step": '{"id":8,"method":"step","params":{"records":10}}',
        "auth": '{"id":9,"method":"auth","params":{"token":"e30.e30.AA"}}',
        "deep": '{"id":10,"params":[[[[[[[[1]]]]]]]],"x":"\\ud83d\\ude00","y":-1.5e3}',
    }
    for name, text in requests.items():
        seed("control", name, text)


def token() -> None:
    claims = (
        '{"iss":"us","sub":"alice","aud":["other","broadtape"],"exp":1700003600,"nbf":1699999990,'
        '"jti":"1","broadtape":{"schemas":["trades"],"symbols":["ES*","AAPL"],"history":3600}}'
    )
    rights = '{"schemas":"*","symbols":"*","history":"all","replay":true,"admin":true,"delay":60}'
    seed("token", "claims", "\x01" + claims)
    seed("token", "all", "\x01" + claims.split(',"broadtape"')[0] + ',"broadtape":' + rights + "}")
    seed("token", "header", '\x02{"alg":"HS256","typ":"JWT","kid":"k"}\0' + claims)
    seed("token", "none", '\x02{"alg":"none","kid":"k"}\0' + claims)
    seed("token", "form", "\x00eyJhbGciOiJIUzI1NiIsImtpZCI6ImsifQ.e30.AAAA")
    entry = '[[key]]\nid = "k1"\nsha256 = "@"\nsubject = "bob"\n'
    grant = '[key.grant]\nschemas = ["trades", "mbp-1"]\nsymbols = "*"\nmax_rate = 5\n'
    seed("token", "api-key", "\x03bt_k1_secret\n---\n" + entry + grant)
    seed("token", "api-keys", "\x03bt_k2_x\n---\n" + entry + entry.replace("k1", "k2"))
    seed("token", "api-key-over", "\x03bt_k1_y\n---\n" + entry + "expires = 1700000000\n" + grant)


def keys() -> None:
    def number(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    # Points that each curve has by definition, and a number as long as an RSA modulus.
    point = bytes([0x58]) + bytes([0x66]) * 31
    x = bytes.fromhex("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296")
    y = bytes.fromhex("4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5")
    ed = {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": number(point), "use": "sig"}
    ec = {"kty": "EC", "crv": "P-256", "kid": "ec", "x": number(x), "y": number(y)}
    rsa = {"kty": "RSA", "kid": "rsa", "alg": "RS256", "n": number(b"\xc1" * 256), "e": "AQAB"}
    oct_ = {"kty": "oct", "kid": "oct", "alg": "HS256", "k": number(bytes(range(32)))}
    other = {"kty": "EC", "crv": "secp256k1", "kid": "k", "x": number(x), "y": number(y)}
    for name, found in (
        ("set", [ed, ec, rsa, oct_, other]),
        ("private", [ec | {"d": number(x)}]),
        ("twice", [ed, ed]),
        ("short", [oct_ | {"k": number(bytes(8))}]),
    ):
        seed("keys", name, "\x00" + json.dumps({"keys": found}))
    secret = number(bytes(range(32)))
    shared = f'[[key]]\nkid = "k"\nalg = "HS256"\nsecret = "{secret}"\n'
    der = bytes.fromhex("302a300506032b6570032100") + point
    pem = f"-----BEGIN PUBLIC KEY-----\n{base64.b64encode(der).decode()}\n-----END PUBLIC KEY-----"
    public = f'[[key]]\nkid = "e"\nalg = "EdDSA"\npublic = """{pem}\n"""\n'
    seed("keys", "ours", "\x01" + shared + public)
    seed("keys", "ours-wrong", "\x01" + shared.replace("HS256", "ES256") + public)


def config() -> None:
    seed("config", "serve", '\x00listen = ["127.0.0.1:0"]\nring = "1MiB"\nqueue = "256KiB"\n'
         'flush_interval = "500us"\nshards = 2\nbusy = false\n')
    seed("config", "replay", '\x01files = ["a.dbn"]\nspeed = "10"\nloop = true\n')
    seed("config", "record", '\x02record = "tape"\nretain = "1GiB"\nscenario = "metronome"\n')
    seed("config", "limits", '\x00ping = "20s"\npong_timeout = "60s"\nrate = 5\nburst = 10\n')


def pcap(packets: list[bytes], big: bool = False) -> bytes:
    order = ">" if big else "<"
    file = struct.pack(order + "IHHIIII", 0xA1B23C4D, 2, 4, 0, 0, 0x40000, 1)
    for n, packet in enumerate(packets):
        head = (TIME // 10**9, n, len(packet), len(packet))
        file += struct.pack(order + "IIII", *head) + packet
    return file


def pcapng(packets: list[bytes]) -> bytes:
    def block(kind: int, body: bytes) -> bytes:
        body += bytes(-len(body) % 4)
        length = struct.pack("<I", len(body) + 12)
        return struct.pack("<I", kind) + length + body + length

    file = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    file += block(1, struct.pack("<HHIHHBxxxHH", 1, 0, 0, 9, 1, 9, 0, 0))
    for n, packet in enumerate(packets):
        time = TIME + n
        head = (0, time >> 32, time & 0xFFFFFFFF, len(packet), len(packet))
        file += block(6, struct.pack("<IIIII", *head) + packet)
    return file


def datagram(payload: bytes, line: int = 1) -> bytes:
    udp = struct.pack(">HHHH", 9000, 9000, 8 + len(payload), 0) + payload
    addresses = bytes([10, 0, 0, line, 233, 0, 0, line])
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + addresses
    return bytes(12) + b"\x08\x00" + head + udp


def itch_message(kind: bytes, *parts: bytes) -> bytes:
    return kind + b"\0\7\0\0" + (34_200 * 10**9).to_bytes(6, "big") + b"".join(parts)


def itch_day() -> list[bytes]:
    order, size, price = struct.pack(">Q", 1), struct.pack(">I", 10), struct.pack(">I", 1_000_000)
    name, new, long = b"AAPL    ", struct.pack(">Q", 2), struct.pack(">Q", 9)
    return [
        itch_message(b"S", b"O"),
        itch_message(b"R", name, b"QN", size, b"NCZ PN 1N", bytes(5)),
        itch_message(b"H", name, b"T ", b"T12 "),
        itch_message(b"A", order, b"B", size, name, price),
        itch_message(b"F", new, b"S", size, name, price, b"MPID"),
        itch_message(b"E", order, size[:3] + b"\2", long),
        itch_message(b"C", order, size[:3] + b"\1", long, b"Y", price),
        itch_message(b"X", order, size[:3] + b"\1"),
        itch_message(b"U", order, struct.pack(">Q", 3), size, price),
        itch_message(b"D", new),
        itch_message(b"P", order, b"B", size, name, price, long),
        itch_message(b"Q", long, name, price, long, b"C"),
        itch_message(b"I", long, long, b"B", name, bytes(4), price, price, b"CL"),
    ]


def itch() -> None:
    day = itch_day()
    framed = b"".join(struct.pack(">H", len(message)) + message for message in day)
    seed("itch", "framed", framed)
    seed("itch", "framed.gz", gzip.compress(framed, mtime=0))
    packets = []
    for n, message in enumerate(day):
        block = struct.pack(">H", len(message)) + message
        packets.append(datagram(b"SESSION001" + struct.pack(">QH", n + 1, 1) + block))
    seed("itch", "capture", pcap(packets))
    seed("itch", "capture-hole", pcapng(packets[:4] + packets[6:] + packets[4:5]))
    seed("capture", "mold", b"\0" + pcap(packets[:6]))
    cme = [datagram(struct.pack("<IQ", n, TIME) + b"body") for n in (1, 2, 2, 4)]
    seed("capture", "cme", b"\2" + pcap(cme))


def iex_message(kind: bytes, byte: int, *parts: bytes) -> bytes:
    return kind + bytes([byte]) + struct.pack("<Q", TIME) + b"ZIEXT   " + b"".join(parts)


def iex_packet(sequence: int, protocol: int, messages: list[bytes], line: int = 1) -> bytes:
    blocks = b"".join(struct.pack("<H", len(message)) + message for message in messages)
    counts = (len(blocks), len(messages), 0, sequence, TIME)
    head = struct.pack("<BBHIIHHQQQ", 1, 0, protocol, 1, 77, *counts)
    return datagram(head + blocks, line)


def iex() -> None:
    size, price = struct.pack("<I", 100), struct.pack("<Q", 1_000_000)
    day = [
        iex_message(b"S", ord("O"))[:10],
        iex_message(b"D", 0, size, price, b"\1"),
        iex_message(b"H", ord("T"), b"    "),
        iex_message(b"Q", 0, size, price, price, size),
        iex_message(b"T", 0, size, price, bytes(8)),
        iex_message(b"B", 0, size, price, bytes(8)),
        iex_message(b"X", ord("Q"), price),
        iex_message(b"A", ord("C"), bytes(62)),
    ]
    deep = [
        iex_message(b"8", 0, size, price),
        iex_message(b"5", 1, size, price),
        iex_message(b"8", 1, bytes(4), price),
        iex_message(b"E", ord("O")),
    ]
    tops = [iex_packet(n + 1, 0x8003, [message]) for n, message in enumerate(day)]
    seed("iex", "tops", b"\0" + pcap(tops, big=True))
    seed("iex", "deep", b"\0" + pcapng([iex_packet(1, 0x8004, deep)]))
    line = pcap(tops[:4])
    seed("iex", "lines", b"\1" + line + line)
    seed("capture", "iex", b"\1" + pcapng(tops[:3] + tops[1:2]))


def exchange() -> None:
    def lines(*messages: str) -> str:
        return "".join(f"{TIME + n} {message}\n" for n, message in enumerate(messages))

    quote = '{"stream":"x","data":{"u":5,"s":"BTC","b":"10.5","B":"0.30","a":"11","A":"1.25"}}'
    trade = (
        '{"e":"trade","E":1700000000001,"s":"BTC","t":7,"p":"11.00","q":"0.20","T":1700000000000,'
        '"m":false}'
    )
    depth = (
        '{"e":"depthUpdate","E":1700000000002,"T":1700000000001,"s":"BTC","U":1,"u":3,"pu":0,'
        '"b":[["100","1"]],"a":[["101","0"]]}'
    )
    snapshot = '{"lastUpdateId":8,"bids":[["100","5"]],"asks":[["101","6"]]}'
    seed("exchange", "spot", "\x00" + lines(quote, trade, depth, snapshot, depth))
    seed("exchange", "futures", "\x01" + lines(depth, trade, quote))
    seed("exchange", "lots", b"\x81" + lines(trade).encode())
    at = '"product_id":"BTC-USD","time":"2020-01-01T00:00:00.000001Z"'
    coinbase = [
        '{"type":"snapshot","product_id":"BTC-USD","bids":[["10","1.5"]],"asks":[["11","2"]]}',
        '{"type":"l2update",' + at + ',"changes":[["buy","10","0"],["sell","12","1"]]}',
        '{"type":"ticker","sequence":5,' + at + ',"price":"10","best_bid":"10","best_ask":"11"}',
        '{"type":"match","trade_id":1,"sequence":6,"side":"sell","size":"0.5","price":"11",'
        + at + "}",
        '{"type":"subscriptions","channels":[]}',
    ]
    seed("exchange", "coinbase", "\x02" + lines(*coinbase))


def lobster() -> None:
    rows = [
        "34200.004241176,1,16113575,18,5853300,1",
        "34200.025551909,2,16113575,4,5853300,1",
        "34200.201743224,3,16113575,14,5853300,1",
        "34200.5,4,16120456,18,5859100,-1",
        "34201,5,0,100,5859150,-1",
        "34202,6,0,5,5859150,1",
        "34203,7,0,0,-1,-1",
    ]
    seed("lobster", "day", "\n".join(rows) + "\n")
    seed("lobster", "cut", "\n".join(rows)[:-3])


def csv() -> None:
    trades = (
        'schema = "trades"\ntime = "ms"\n[columns]\ntime = "ts"\nsymbol = "sym"\nprice = "px"\n'
        'size = "qty"\nside = "side"\n\n---\nts,sym,px,qty,side\n1700000000000.5,"A,B",1.25,3,buy\n'
        "1700000000001,X,2,4,S\n"
    )
    quotes = (
        'schema = "mbp-1"\nheader = false\ndelimiter = ";"\ntime = "iso"\n[columns]\ntime = 1\n'
        "symbol = 2\nbid = 3\nask = 4\nbid_size = 5\n\n---\n2021-04-17 16:43:37.5;X;1;;7\n"
    )
    orders = (
        'schema = "mbo"\ntime = "ns"\n[sides]\nbuy = ["1"]\nsell = ["2"]\n[columns]\ntime = 1\n'
        "symbol = 2\nprice = 3\nsize = 4\nside = 5\norder = 6\naction = 7\nsequence = 8\n"
        "received = 9\n\n---\na,b,c,d,e,f,g,h,i\n5,X,1,2,1,7,A,1,6\n5,X,1,2,2,7,C,2,6\n"
    )
    seed("csv", "trades", trades)
    seed("csv", "quotes", quotes)
    seed("csv", "orders", orders)


def run(*arguments: str | Path) -> None:
    subprocess.run(arguments, check=True, capture_output=True)


def dbn_and_tape(program: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        day = place / "day.itch"
        day.write_bytes((SEEDS / "itch" / "framed").read_bytes())
        for out in ("day.dbn", "day.dbn.zst"):
            run(program, "import", "itch", day, "--date", "2019-12-30", "-o", place / out)
            seed("dbn", out, (place / out).read_bytes())
        whole = (place / "day.dbn").read_bytes()
        records = whole[8 + struct.unpack_from("<I", whole, 4)[0]:]
        seed("dbn", "fragment", records[:200])
        seed("dbn", "fragment.xz", lzma.compress(records[:200]))
        older = {"definition-1": (0x13, 360), "definition-2": (0x13, 400), "mapping-1": (0x16, 80)}
        for name, (rtype, length) in older.items():
            seed("dbn", name, bytes([length // 4, rtype]) + b"X" * (length - 2))
        length = records[0] * 4
        batch = struct.pack("<BBHIQQ", 1, 0, 1, 7, 8, 9) + bytes([records[0] + 2])
        batch += records[1:length] + struct.pack("<Q", TIME)
        data = (
            '{"type":"data","epoch":"1","seq":"2","ts_send":"3","flags":["gap"],"records":'
            '[{"ts_out":"2024-07-01T23:58:00.123456789Z","price":"1.5","symbol":"X"}]}'
        ).encode()
        head = bytes([0x82, 126]) + struct.pack(">H", len(batch))
        text = bytes([0x81, 126]) + struct.pack(">H", len(data))
        seed("batch", "records", (head if len(batch) > 125 else bytes([0x82, len(batch)])) + batch)
        seed("batch", "json", text + data + bytes([0x88, 2]) + b"\x03\xe8")
        tape(program, place)


def tape(program: str, place: Path) -> None:
    folder = place / "tape"
    sim = ("--scenario", "metronome", "--rate", "200", "--symbols", "2", "--log", "error")
    recorder = subprocess.Popen((program, "record", folder, *sim), stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while sum(path.stat().st_size for path in folder.glob("*.tape")) < 2000:
        assert time.monotonic() < deadline, "nothing is recorded"
        time.sleep(0.05)
    recorder.terminate()
    recorder.wait(timeout=30)
    segment = next(folder.glob("*.tape")).read_bytes()
    seed("tape", "sealed", b"\0" + segment)
    seed("tape", "cut", b"\0" + segment[:1500])
    seed("tape", "two", b"\2" + segment[:1200] + segment[:1200])


def main() -> None:
    for target in (
        frames, handshake, proxy, control, token, keys, config, itch, iex, exchange, lobster, csv
    ):
        target()
    dbn_and_tape(sys.argv[1])


main()
