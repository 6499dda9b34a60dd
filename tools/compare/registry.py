"""All that can be compared, by name."""

from brokers import Nats, Nchan
from peers import Broadtape, Crate, Encrypted, Floor, Floor48, Node


def known(place):
    """All peers, by name."""
    peers = [
        *(Floor("send", place), Floor("uring", place), Floor48(place)),
        Broadtape("broadtape-epoll", ["--engine", "epoll"], place),
        Broadtape("broadtape-uring", ["--engine", "uring"], place),
        Encrypted("broadtape-tls", ["--engine", "epoll"], place),
        Crate("tungstenite", "tokio-tungstenite", place),
        Crate("fastwebsockets", "fastwebsockets", place),
        *(Node("node-ws", place), Nats("nats", place), Nchan("nchan", place)),
    ]
    return {peer.name: peer for peer in peers}
