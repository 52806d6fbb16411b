"""Compares what production and target served: the verdict of the demo and of the tests.

Requests are matched by id. Order is compared within each of production's connections: a request is out of
order if the target served it before its predecessor, or on another connection.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from operator import attrgetter
from typing import TYPE_CHECKING

from appliance.demo.nginx import NO_ID, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


EXAMPLES = 10


@dataclass(frozen=True)
class Account:
    """How the target's log differs from production's; ``examples`` has some ids under each heading."""

    production: int = 0
    target: int = 0
    connections: int = 0
    missing: int = 0
    duplicated: int = 0
    unexpected: int = 0
    out_of_order: int = 0
    bodies_compared: int = 0
    bodies_different: int = 0
    answers_different: int = 0
    examples: dict[str, list[str]] = field(default_factory=dict)

    @property
    def equal(self) -> bool:
        """Whether the target served exactly production's requests."""
        return not (
            self.missing or self.duplicated or self.unexpected or self.out_of_order or self.bodies_different
        )

    def as_dict(self) -> dict[str, object]:
        """Every field, for JSON."""
        return asdict(self)


def compare(production: Iterable[Request], target: Iterable[Request]) -> Account:
    """Compares two access logs."""
    asked, served = _by_id(production), _by_id(target)
    both = [(asked[name][0], served[name][0]) for name in asked if name in served]
    conversations = _conversations(asked)
    headings = {
        "missing": list(asked.keys() - served.keys()),
        "unexpected": list(served.keys() - asked.keys()),
        "duplicated": [n for n in asked for _ in range(len(served.get(n, ())) - len(asked[n]))],
        "out_of_order": _out_of_order(conversations, served),
        "bodies_different": _differing(both, Request.body_digest),
        "answers_different": _differing(both, attrgetter("answer")),
    }
    return Account(
        production=sum(map(len, asked.values())),
        target=sum(map(len, served.values())),
        connections=len(conversations),
        bodies_compared=sum(one.body_file != NO_ID for one, _ in both),
        examples={heading: sorted(names)[:EXAMPLES] for heading, names in headings.items() if names},
        **{heading: len(names) for heading, names in headings.items()},
    )


def _differing(both: Iterable[tuple[Request, Request]], what: Callable[[Request], object]) -> list[str]:
    return [one.id for one, other in both if what(one) != what(other)]


def _by_id(requests: Iterable[Request]) -> dict[str, list[Request]]:
    found: dict[str, list[Request]] = defaultdict(list)
    for request in requests:
        if request.id != NO_ID:
            found[request.id].append(request)
    return dict(found)


def _conversations(asked: dict[str, list[Request]]) -> list[list[Request]]:
    """Production's requests by connection, in the order in which they were made."""
    found: dict[int, list[Request]] = defaultdict(list)
    for requests in asked.values():
        found[requests[0].connection].append(requests[0])
    return [sorted(requests, key=attrgetter("number")) for requests in found.values()]


def _out_of_order(conversations: list[list[Request]], served: dict[str, list[Request]]) -> list[str]:
    """The ids that the target served before their predecessor, or on another connection."""
    wrong: list[str] = []
    for conversation in conversations:
        copies = [served[request.id][0] for request in conversation if request.id in served]
        wrong += [
            later.id
            for earlier, later in pairwise(copies)
            if later.connection != earlier.connection or later.number <= earlier.number
        ]
    return wrong
