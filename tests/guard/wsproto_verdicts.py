"""Reads clients' bytes, hexadecimal, a line each; prints what wsproto says of each line."""

import sys

from wsproto.frame_protocol import CloseReason, FrameProtocol, Opcode, ParseFailed


def event(letter: str, payload: bytes) -> str:
    return f"{letter}:{payload.hex()}"


def close(code: int, words: str) -> str:
    if code == CloseReason.NO_STATUS_RCVD:
        return event("close", b"")
    return event("close", int(code).to_bytes(2, "big") + words.encode())


def judge(data: bytes) -> list[str]:
    decoder = FrameProtocol(client=False, extensions=[])
    verdict: list[str] = []
    pieces: list[bytes] = []
    decoder.receive_bytes(data)
    try:
        for frame in decoder.received_frames():
            payload = frame.payload
            if frame.opcode is Opcode.CLOSE:
                verdict.append(close(*payload))
                return verdict
            if frame.opcode in (Opcode.PING, Opcode.PONG):
                verdict.append(event(frame.opcode.name.lower(), bytes(payload)))
                continue
            is_text = isinstance(payload, str)
            pieces.append(payload.encode() if is_text else bytes(payload))
            if frame.frame_finished and frame.message_finished:
                verdict.append(event("text" if is_text else "binary", b"".join(pieces)))
                pieces.clear()
    except ParseFailed as wrong:
        verdict.append(f"violation:{int(wrong.code)}")
    return verdict


for line in sys.stdin.read().split("\n")[:-1]:
    print(*judge(bytes.fromhex(line)))
