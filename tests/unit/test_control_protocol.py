import json
import socket
import threading
from unittest.mock import Mock

import pytest
from pydantic import ValidationError

from appliance.contract.base import Answer, ControlError, ErrorKind
from appliance.contract.calls import REQUESTS
from appliance.contract.client import Client, EngineDownError
from appliance.contract.observed import GetProtocols, ListSessions
from appliance.contract.transfers import CreateTransfer, GetTransfer
from appliance.service.serve import handlers
from appliance.settings.transfer import Transfer


@pytest.fixture
def engine(tmp_path):
    """Answers one request with what the test puts into ``answers``; notes what was asked."""
    path = tmp_path / "control.sock"
    asked: list[dict] = []
    answers: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve():
            link, _ = listener.accept()
            with link, link.makefile("rwb") as lines:
                asked.append(json.loads(lines.readline()))
                lines.write(answers[0])

        thread = threading.Thread(target=serve)
        thread.start()
        yield path, asked, answers
        thread.join()


def test_each_call_has_a_name_and_an_answer():
    for name, kind in REQUESTS.items():
        assert kind.call == name
        assert issubclass(kind.answer, Answer)


def test_each_call_has_a_handler():
    assert set(handlers(Mock(), Mock(), Mock(), Mock(), Mock())) == set(REQUESTS.values())


def test_a_request_is_a_line_and_its_answer_a_model(engine):
    path, asked, answers = engine
    answers.append(b'{"id": 1, "result": {"connections": {"http1": 7}}}\n')
    assert Client(path).call(GetProtocols()).connections == {"http1": 7}
    assert asked == [{"id": 1, "call": "protocols", "with": {}}]


def test_settings_cross_as_they_are_written_in_files(engine):
    path, asked, answers = engine
    answers.append(b'{"id": 1, "error": {"kind": "conflict", "message": "no", "problems": []}}\n')
    settings = Transfer.model_validate({"source": 80, "target": "198.19.0.2:8080", "clients": "198.18.200.x"})
    with pytest.raises(ControlError, match="no") as caught:
        Client(path).call(CreateTransfer(transfer="shop", settings=settings))
    assert caught.value.kind is ErrorKind.CONFLICT
    assert CreateTransfer.model_validate(asked[0]["with"]).settings == settings


@pytest.mark.parametrize("answer", [b"", b'{"id": 1, "resu'])
def test_an_engine_that_dies_before_its_answer_counts_as_down(engine, answer):
    path, _, answers = engine
    answers.append(answer)
    with pytest.raises(EngineDownError, match="closed the connection") as caught:
        Client(path).call(GetProtocols())
    assert caught.value.kind is ErrorKind.UNAVAILABLE


def test_no_engine_is_said_with_the_path(tmp_path):
    with pytest.raises(EngineDownError, match=r"no engine answers at .*/control\.sock"):
        Client(tmp_path / "control.sock").call(GetProtocols())


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"limit": 1001}, {"state": "odd"}, {"surplus": 1}])
def test_a_request_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValidationError):
        ListSessions.model_validate(wrong)


@pytest.mark.parametrize("name", ["", "-a", "a b", "a/b", "x" * 65])
def test_ids_are_plain_words(name):
    with pytest.raises(ValidationError):
        GetTransfer(transfer=name)
