"""The commands that ask the api: before the application and the real engine on memory ports, over HTTP."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import uvicorn
from rich.console import Console

from api.serve import make_certificate
from api.tokens import Role
from appliance import cli
from appliance.contract.appliance import Emergency, GetStatus, GetWorkers
from appliance.contract.observed import GetCounters, GetLatency
from appliance.contract.transfers import ListTransfers
from appliance.errors import MachineError
from appliance.remote import tables, top
from appliance.remote.asked import console
from appliance.remote.connection import connection

ROOT = Path(__file__).resolve().parents[2]
SHOP = ("transfers", "create", "--id", "shop", "source=80", "target=198.19.0.2:8080")


@contextmanager
def serving(app, **tls):
    """The application at a free port of the loopback device: the port."""
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, log_level="critical", timeout_graceful_shutdown=1, **tls)
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.005)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A user's own folder, and nothing in the environment."""
    for name in ("API", "TOKEN", "TOKEN_FILE", "CACERT"):
        monkeypatch.delenv(f"XDPCOPY_{name}", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def remote(scene, home, monkeypatch):
    """The scene, served, and a user who may operate it."""
    assert home
    monkeypatch.setenv("XDPCOPY_TOKEN", scene.tokens.create("me", Role.OPERATOR))
    with serving(scene.app) as port:
        monkeypatch.setenv("XDPCOPY_API", f"http://127.0.0.1:{port}")
        yield scene


def status_of(*arguments):
    with pytest.raises(SystemExit) as caught:
        cli.main(list(arguments))
    return caught.value.code


@pytest.fixture
def said(capsys):
    """What a command prints when it succeeds."""

    def run(*arguments):
        capsys.readouterr()
        assert status_of(*arguments) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    return run


def test_a_transfer_from_the_first_to_the_last_command(remote, said):
    assert "shop: running, version 1; in force on every worker after" in said(*SHOP)
    assert "nothing had to change" in said(*SHOP)
    assert "version 2" in said(
        "transfers", "set", "shop", "multiplier=3", "sample_percent=12.5", "name=The shop"
    )
    (line,) = (each for each in said("transfers", "list").splitlines() if "shop" in each)
    assert all(part in line for part in ("running", "198.19.0.2:8080", " 3 ", "12.5 %", "The shop"))
    assert "version 3" in said("transfers", "set", "shop", "multiplier=null", "--version", "2")
    assert "shop: paused" in said("transfers", "pause", "shop")
    shown = said("transfers", "show", "shop")
    assert "64,512 connections of one client" in shown
    found = remote.viewer.get("/api/v1/transfers/shop").json()
    assert json.loads(said("transfers", "show", "shop", "--json")) == found
    assert (found["settings"]["multiplier"], found["settings"]["sample_percent"]) == (1, 12.5)
    assert "shop: running" in said("transfers", "resume", "shop")
    assert "shop: " in said("transfers", "delete", "shop")
    assert json.loads(said("transfers", "list", "--json"))["items"] == []


def test_an_address_in_brackets_and_a_strange_name_are_shown_as_text(capsys):
    console().print(tables.pairs(target="[fd00:198:18::9]:80", name="a\x1b[31mb"))
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == [
        "[fd00:198:18::9]:80",
        "a?[31mb",
    ]


@pytest.mark.parametrize(
    ("command", "path", "parts"),
    [
        ("status", "appliance", ("mirror0", "test0", "memory", "armed", "all workers run")),
        ("sessions", "sessions", ("waits for", "0 sessions")),
        ("ledger", "ledger", ("request_bytes", "closes")),
        ("latency", "latency", ("p99.9", "shop", "target")),
    ],
)
def test_what_the_api_says_is_shown(remote, said, command, path, parts):
    said(*SHOP)
    shown = said(command)
    assert all(part in shown for part in parts), shown
    found = remote.viewer.get(f"/api/v1/{path}").json()
    assert json.loads(said(command, "--json")).keys() == found.keys()


def test_top_shows_looks_until_it_has_seen_enough(remote, said):
    said(*SHOP)
    shown = said("top", "--interval", "0.1", "--count", "2")
    assert all(part in shown for part in ("armed", "requests 0/s", "shop", "worker", "any")), shown
    lines = [
        json.loads(line) for line in said("top", "--json", "--interval", "0.1", "--count", "3").splitlines()
    ]
    assert [line["event"] for line in lines] == ["counters"] * 3
    remote.bed.end(signal.SIGKILL)
    remote.app.state.context.counters._last = None
    assert "no engine answers" in said("top", "--interval", "0.1", "--count", "1")


@pytest.mark.parametrize("width", [80, 200])
def test_no_column_is_lost_in_a_narrow_terminal(remote, said, width):
    said(*SHOP)
    client = remote.bed.client
    look = top.Look(
        counters=client.call(GetCounters()),
        status=client.call(GetStatus()),
        transfers=client.call(ListTransfers()),
        workers=client.call(GetWorkers()),
        latency=client.call(GetLatency()),
    )
    output = io.StringIO()
    Console(width=width, file=output).print(top.picture("http://127.0.0.1:8600", look, look))
    shown = output.getvalue()
    assert all(
        part in shown for part in ("shop", "running", "100 %", "req./s", "production ms", "mirrored/s")
    )


@pytest.mark.parametrize(("unconfirmed", "doubt"), [(0, ""), (1200, " (1,200 not confirmed)")])
def test_a_stop_says_how_many_sessions_the_target_may_hold_yet(unconfirmed, doubt):
    done = Emergency(armed=False, sessions_reset=5000, unconfirmed=unconfirmed, took_ms=54.06)
    assert str(tables.emergency(done)).endswith(f"; 5,000 sessions reset{doubt} in 54.1 ms")


def test_the_emergency_stop_asks_first(remote, said, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    assert status_of("stop") == 1
    assert "and stop sending?" in capsys.readouterr().err
    assert "armed" in said("status")
    assert "nothing is sent; xdpcopy arm" in said("stop", "--yes")
    assert "nothing is sent" in said("status")
    assert said("arm") == "armed\n"
    assert remote.viewer.get("/api/v1/appliance").json()["armed"]


@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        (("status", "--token", "xdp_no_no"), (3, "a valid token is needed")),
        (("status", "--token", ""), (3, "XDPCOPY_TOKEN")),
        (("status", "--token", "a b"), (2, "characters")),
        (("transfers", "show", "none"), (4, "there is no transfer 'none'")),
        (("transfers", "show", ".."), (2, "is not an id")),
        (("transfers", "show", "shop/pause"), (2, "is not an id")),
        (("sessions", "0-0"), (4, "session")),
        ((*SHOP, "multiplier=2"), (5, "with other settings")),
        (("transfers", "pause", "shop", "--version", "7"), (5, "xdpcopy transfers show")),
        (("transfers", "set", "shop", "multiplier=0"), (2, "multiplier")),
        (("transfers", "set", "shop", "multiplier=NaN"), (2, "multiplier")),
        (("transfers", "set", "shop", "multiplierr=2"), (2, "did you mean 'multiplier'?")),
        (("transfers", "set", "shop", "multiplier"), (2, "multiplier=3")),
        (("transfers", "set", "shop", "mss=99", "mss=98"), (2, "given twice")),
        (("transfers", "create", "source=80"), (2, "target")),
        (("status", "--api", "http://127.0.0.1:1"), (1, "no api answers at http://127.0.0.1:1")),
        (("top", "--api", "http://127.0.0.1:1"), (1, "no api answers")),
        (("status", "--api", "localhost:8600"), (2, "http://127.0.0.1:8600")),
        (("status", "--cacert", "/none.pem"), (2, "/none.pem cannot be used: No such file")),
        (("status", "--token-file", "/none"), (2, "/none: cannot be read")),
    ],
)
def test_a_refusal_is_one_line_with_its_cure_and_its_status(remote, said, capsys, arguments, refusal):
    status, sentence = refusal
    said(*SHOP)
    before = remote.viewer.get("/api/v1/transfers").json()
    assert status_of(*arguments) == status
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err.startswith("xdpcopy: ")
    assert len(found.err.splitlines()) == 1
    assert sentence in found.err
    assert remote.viewer.get("/api/v1/transfers").json() == before


def test_a_viewer_may_look_and_change_nothing(remote, said, capsys, monkeypatch):
    monkeypatch.setenv("XDPCOPY_TOKEN", remote.tokens.create("eye", Role.VIEWER))
    said("transfers", "list")
    for refused in (SHOP, ("stop", "--yes"), ("arm",)):
        assert status_of(*refused) == 3
        assert "needs the role operator; the token has viewer; use a token of" in capsys.readouterr().err


def test_an_engine_that_is_down_has_a_status_of_its_own(remote, capsys):
    remote.bed.end(signal.SIGKILL)
    assert status_of("status") == 6
    assert "no engine answers" in capsys.readouterr().err
    remote.bed.start()
    assert status_of("status") == 0


def test_somebody_elses_server_is_not_taken_for_the_api(home, capsys):
    class Other(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if "appliance" in self.path else 404)
            self.end_headers()
            self.wfile.write(b"<p>hello")

        def log_message(self, *_):
            pass

    assert home
    with HTTPServer(("127.0.0.1", 0), Other) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            for command in ("status", "latency"):
                assert status_of(command, "--api", f"http://127.0.0.1:{server.server_port}") == 1
                assert "is not xdpcopy" in capsys.readouterr().err
        finally:
            server.shutdown()
            thread.join()


def test_a_certificate_that_was_made_is_trusted_when_it_is_named(scene, home, capsys):
    files = {"certificate": home / "c.pem", "key": home / "k.pem"}
    make_certificate(scene.settings.model_copy(update=files))
    (home / "token").write_text(scene.tokens.create("me", Role.VIEWER) + "\n")
    tls = {"ssl_certfile": str(files["certificate"]), "ssl_keyfile": str(files["key"])}
    with serving(scene.app, **tls) as port:
        asked = ("status", "--api", f"https://127.0.0.1:{port}", "--token-file", str(home / "token"))
        assert status_of(*asked) == 1
        assert "is not trusted" in capsys.readouterr().err
        assert status_of(*asked, "--cacert", str(files["certificate"])) == 0


def test_options_go_before_the_environment_and_that_before_the_file(home, monkeypatch):
    assert connection().api == "http://127.0.0.1:8600"
    (home / "secret").write_text("xdp_file\n")
    own = home / "xdpcopy.yaml"
    own.write_text(f"api: https://lab.example:8600\ntoken_file: {home}/secret\n")
    assert (connection().api, connection().token) == ("https://lab.example:8600", "xdp_file")
    found = connection(api="http://127.0.0.1:1", token="xdp_given")  # noqa: S106 - no secret
    assert (found.api, found.token) == ("http://127.0.0.1:1", "xdp_given")
    monkeypatch.setenv("XDPCOPY_API", "http://127.0.0.1:2")
    seen = []

    def noted(where):
        seen.append(where)
        raise MachineError("enough")

    monkeypatch.setattr("appliance.remote.asked.Remote", noted)
    assert status_of("status") == 1
    assert status_of("status", "--api", "http://127.0.0.1:3") == 1
    assert [where.api for where in seen] == ["http://127.0.0.1:2", "http://127.0.0.1:3"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("api: [", "xdpcopy.yaml: is not YAML"),
        ("tokn: x", "tokn: it"),
        ("- x", "it must be a block of"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(home, capsys, text, sentence):
    (home / "xdpcopy.yaml").write_text(text)
    assert status_of("status") == 2
    assert sentence in capsys.readouterr().err


def completed(*words):
    asked = {
        "_XDPCOPY_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }
    argv = (sys.executable, "-m", "appliance.cli")
    done = subprocess.run(argv, env=os.environ | asked, capture_output=True, text=True, check=False)
    return done.stdout.split()


def test_the_shell_completes_commands_transfers_and_settings(remote, said):
    assert said(*SHOP)
    assert remote
    assert completed("xdpcopy", "t") == ["top", "transfers", "token"]
    assert completed("xdpcopy", "transfers", "set", "s") == ["shop"]
    assert completed("xdpcopy", "transfers", "set", "shop", "mul") == ["multiplier="]


def test_the_page_has_every_command_and_every_exit_status(said):
    page = (ROOT / "docs" / "commands.md").read_text()
    for line in said("--help").split("Commands:")[1].splitlines():
        if line.startswith("  ") and line[2] != " ":
            assert f"xdpcopy {line.split()[0]}" in page, line
    for status in range(7):
        assert f"| {status} |" in page
    assert "Exit status: 0 done" in said("transfers", "list", "--help")
