"""The demo client's requests, generated from a seed: repeatable, and of known size."""

from __future__ import annotations

import random
from dataclasses import dataclass

# (weight, method, least bytes, most bytes); bytes of the answer for GET, of the body for POST.
KINDS = (
    (780, "GET", 64, 4096),
    (150, "POST", 1, 4096),
    (40, "GET", 16384, 65536),
    (24, "POST", 16384, 65536),
    (3, "GET", 262144, 1 << 20),
    (3, "POST", 262144, 1 << 20),
)
SHORT_SHARE = 0.3  # of the requests, alone on their connection
LEAST_KEPT = 5
MOST_KEPT = 100
SERVER_CLOSES_SHARE = 0.5  # of the short connections: the server closes first


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request: its id, and ``size`` bytes of answer (GET) or body (POST)."""

    id: str
    method: str
    size: int


@dataclass(frozen=True, slots=True)
class Conversation:
    """The requests on one connection, and who closes it."""

    exchanges: tuple[Exchange, ...]
    server_closes: bool


def workload(requests: int, seed: int, answer_sizes: tuple[int, ...]) -> list[Conversation]:
    """Spreads exactly ``requests`` requests over connections, in a random but repeatable mix."""
    source = random.Random(seed)  # noqa: S311 - a repeatable mix, not a secret
    conversations: list[Conversation] = []
    made = 0
    kept_share = (1 - SHORT_SHARE) / ((LEAST_KEPT + MOST_KEPT) / 2)
    is_short = SHORT_SHARE / (SHORT_SHARE + kept_share)
    while made < requests:
        short = source.random() < is_short
        count = 1 if short else min(source.randint(LEAST_KEPT, MOST_KEPT), requests - made)
        exchanges = tuple(_exchange(source, f"{seed}-{made + n}", answer_sizes) for n in range(count))
        conversations.append(Conversation(exchanges, short and source.random() < SERVER_CLOSES_SHARE))
        made += count
    return conversations


def body(exchange: Exchange) -> bytes:
    """The body of a POST, different for each id."""
    return random.Random(exchange.id).randbytes(exchange.size)  # noqa: S311 - as above


def _exchange(source: random.Random, identity: str, answer_sizes: tuple[int, ...]) -> Exchange:
    _, method, least, most = source.choices(KINDS, weights=[kind[0] for kind in KINDS])[0]
    if method == "GET":
        return Exchange(identity, method, source.choice([s for s in answer_sizes if least <= s <= most]))
    return Exchange(identity, method, source.randint(least, most))
