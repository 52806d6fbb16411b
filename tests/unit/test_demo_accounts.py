"""The accounts of two servers, on logs that are made up."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from appliance.demo.accounts import compare
from appliance.demo.nginx import Request

if TYPE_CHECKING:
    from pathlib import Path


def request(name: str, connection: int, number: int) -> Request:
    return Request(name, "198.18.0.1", 1000 + connection, connection, number, 200, "GET", "/64", 64, 0.0, "-")


PRODUCTION = [request("a1", 1, 1), request("b1", 2, 1), request("a2", 1, 2), request("a3", 1, 3)]
# The same at the target: other serial numbers of the connections.
TARGET = [replace(each, connection=each.connection + 70) for each in PRODUCTION]


def test_equal_logs_are_equal() -> None:
    account = compare(PRODUCTION, TARGET)
    assert account.equal
    assert (account.production, account.target, account.connections) == (4, 4, 2)
    assert account.examples == {}


def test_request_that_never_arrived_is_missing() -> None:
    account = compare(PRODUCTION, TARGET[:-1])
    assert not account.equal
    assert account.missing == 1
    assert account.examples == {"missing": ["a3"]}
    assert account.out_of_order == 0


def test_request_that_came_three_times_is_duplicated_twice() -> None:
    account = compare(PRODUCTION, [*TARGET, TARGET[0], TARGET[0]])
    assert not account.equal
    assert account.duplicated == 2


def test_request_that_production_never_saw_is_unexpected() -> None:
    account = compare(PRODUCTION, [*TARGET, request("stray", 9, 1)])
    assert not account.equal
    assert account.unexpected == 1


def test_swapped_requests_are_out_of_order() -> None:
    swapped = [replace(each, number={1: 1, 2: 3, 3: 2}[each.number]) for each in TARGET]
    account = compare(PRODUCTION, swapped)
    assert not account.equal
    assert account.out_of_order == 1
    assert account.examples == {"out_of_order": ["a3"]}


def test_request_on_another_connection_than_its_predecessor_is_out_of_order() -> None:
    moved = [replace(each, connection=99) if each.id == "a2" else each for each in TARGET]
    account = compare(PRODUCTION, moved)
    assert not account.equal
    assert account.out_of_order == 2


def test_order_among_connections_does_not_matter() -> None:
    assert compare(PRODUCTION, reversed(TARGET)).equal


@pytest.mark.parametrize(("received", "different"), [(b"body", 0), (b"bodY", 1), (None, 1)])
def test_bodies_are_compared(tmp_path: Path, received: bytes | None, different: int) -> None:
    def stored(name: str, body: bytes | None) -> str:
        if body is None:
            return "-"
        (tmp_path / name).write_bytes(body)
        return str(tmp_path / name)

    one = replace(PRODUCTION[0], method="POST", body_file=stored("production", b"body"))
    other = replace(TARGET[0], method="POST", body_file=stored("target", received))
    account = compare([one], [other])
    assert account.bodies_compared == 1
    assert account.bodies_different == different
    assert account.equal == (different == 0)


def test_other_answer_is_reported_and_no_fault_of_the_replay() -> None:
    account = compare(PRODUCTION, [replace(each, status=500) for each in TARGET])
    assert account.equal
    assert account.answers_different == 4


def test_requests_without_id_are_not_compared() -> None:
    assert compare([*PRODUCTION, request("-", 5, 1)], TARGET).production == 4


def test_digest_is_of_the_whole_body(tmp_path: Path) -> None:
    path = tmp_path / "body"
    path.write_bytes(b"x" * 100_000)
    digest = replace(PRODUCTION[0], body_file=str(path)).body_digest()
    assert digest == hashlib.sha256(b"x" * 100_000).hexdigest()
