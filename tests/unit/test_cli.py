import json
import signal
import threading
import time
from pathlib import Path

import pytest

from appliance import cli, signals
from appliance.commands import letters, run
from appliance.engine.engine import Engine
from appliance.engine.stats import rates
from appliance.errors import ConfigError
from appliance.signals import STOP_SIGNALS
from dataplane.binding import COUNTERS, Config, Dataplane, Port, PortKind, PortRole
from tests.unit.fakes import FakeMachine

ROOT = Path(__file__).resolve().parents[2]
LETTERS = ["-i", "mirror0", "-o", "test0", "-x", "80-198.19.0.2:8080"]


@pytest.fixture
def segment(tmp_path):
    ports = (Port(PortKind.MEMORY, PortRole.MIRROR), Port(PortKind.MEMORY, PortRole.TEST))
    with Dataplane(Config(ports, (), stats_path=str(tmp_path / "stats"))) as dataplane:
        dataplane.step(time.monotonic_ns())
        yield tmp_path / "stats"


@pytest.fixture
def scene(monkeypatch, segment):
    """``xdpcopy run`` with a machine of Python alone."""
    assert segment.exists()
    scene = FakeMachine()
    monkeypatch.setitem(run.run.__kwdefaults__, "engine", lambda config: Engine(config, scene.machine))
    return scene


def status_of(*arguments):
    with pytest.raises(SystemExit) as caught:
        cli.main(list(arguments))
    return caught.value.code


def settings_of(monkeypatch, *arguments):
    """The configuration with which ``run`` would start."""
    found = []
    monkeypatch.setattr(cli, "replay", lambda config, *, live, **_: found.append((config, live)))
    assert status_of("run", *arguments) == 0
    return found[0]


SOCKETS = "socket of each queue: copy; buffers on normal pages"


class TestLetters:
    @pytest.mark.parametrize("letter", letters.REFUSED)
    @pytest.mark.parametrize("form", ["{} 10", "{}10", "{}"])
    def test_a_refused_letter_is_named_with_its_meaning(self, letter, form, capsys):
        assert status_of("run", *LETTERS, *form.format(letter).split()) == 2
        said = capsys.readouterr().err
        assert said.startswith(f"xdpcopy: {letter} ({letters.REFUSED[letter][0]}) ")
        assert "leave it out" in said

    def test_a_value_that_looks_like_a_letter_is_a_value(self):
        given = ["-i", "-d", "--ledger", "-a", "-x", "80-198.19.0.2", "-x80-198.19.0.2", "--", "-d"]
        assert letters.prepare(given) == (given, [])
        with pytest.raises(ConfigError):
            letters.prepare(["--live", "-a"])

    def test_they_mean_the_same_as_a_file(self, monkeypatch):
        config, live = settings_of(monkeypatch, *LETTERS, "-t", "7.5")
        assert [port.device for port in config.mirror] == ["mirror0"]
        assert config.test.device == "test0"
        assert [transfer.label for transfer in config.transfers] == ["80-198.19.0.2:8080"]
        assert config.timing.response_timeout_s == 7.5
        assert not live

    def test_they_can_be_attached_repeated_and_listed(self, monkeypatch):
        config, _ = settings_of(
            monkeypatch,
            "-im0,m1",
            "-i",
            "m2",
            "-ot0",
            "-x80-198.19.0.2,[fd00::1]:443-[fd00::2]-8443",
            "--live",
        )
        assert [port.device for port in config.mirror] == ["m0", "m1", "m2"]
        assert [str(transfer.target) for transfer in config.transfers] == ["198.19.0.2:80", "[fd00::2]:8443"]

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            ([], "-i: name the mirror device, like -i mirror0"),
            (["-i", "m0"], "-o: name the test device, like -o test0"),
            (["-i", "m0", "-o", "t0"], "-x: say what to replay where, like -x 80-198.19.0.2:8080"),
            (["-i", "m0", "-o", "t0", "-x", "80"], "-x: '80' is not a transfer"),
            (["-i", "m0", "-o", "m0", "-x", "80-198.19.0.2"], "'m0' is named twice"),
            (
                [*LETTERS, "-t", "0"],
                "timing.response_timeout_s: 0.0 cannot be used; it must be greater than 0",
            ),
            (["--config", "x.yaml", "-t", "3"], "give either --config, or -i, -o, -x and other letters"),
            (["--config", "nothing.yaml"], "nothing.yaml: cannot be read"),
        ],
    )
    def test_what_cannot_be_used_is_said_with_status_2(self, arguments, sentence, capsys):
        assert status_of("run", *arguments) == 2
        assert sentence in capsys.readouterr().err

    def test_an_option_of_nobody_is_refused(self, capsys):
        assert status_of("run", *LETTERS, "--nonsense") == 2
        assert "--nonsense" in capsys.readouterr().err


class TestRun:
    def stop_when_ready(self, number, capfd):
        """Sends the signal to this process's main thread once it has said ready."""
        seen: list[str] = []
        main = threading.get_ident()  # no other thread of the tests may get it

        def wait():
            deadline = time.monotonic() + 10
            while "ready" not in "".join(seen).splitlines() and time.monotonic() < deadline:
                seen.append(capfd.readouterr().out)
                time.sleep(0.01)
            signal.pthread_kill(main, number)

        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        thread = threading.Thread(target=wait)
        thread.start()
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        return seen, thread

    @pytest.mark.parametrize("number", sorted(STOP_SIGNALS))
    def test_a_signal_ends_it_with_a_ledger_and_status_0(self, number, scene, capfd, tmp_path, segment):
        seen, thread = self.stop_when_ready(number, capfd)
        files = ["--stats", str(segment), "--ledger", str(tmp_path / "ledger.json")]
        assert status_of("run", *LETTERS, *files) == 0
        thread.join()
        said = "".join(seen) + capfd.readouterr().out
        assert said.splitlines() == [
            f"mirror port mirror0: driver veth, XDP native, {SOCKETS}",
            f"test port test0: driver veth, XDP native, {SOCKETS}",
            "transfer 80-198.19.0.2:8080: next hop 198.19.0.2 at 02:00:00:00:00:02",
            (
                "transfer 80-198.19.0.2:8080: the mirrored clients' own addresses; 64,512 ports: 64,512"
                " connections of one client at once"
            ),
            "workers: 1, on CPUs: 1; control process on: 0",
            "ready",
            "stopped: 0 sessions (none); ledger closes: yes",
        ]
        assert json.loads((tmp_path / "ledger.json").read_text())["closes"]
        assert scene.events[-1] == "restore mirror0"

    def test_a_status_line_is_shown_on_request(self, scene, capfd, segment, monkeypatch):
        monkeypatch.setattr(signals, "TICK_S", 0.01)
        _, thread = self.stop_when_ready(signal.SIGTERM, capfd)
        assert status_of("run", *LETTERS, "--stats", str(segment), "--live") == 0
        thread.join()
        assert scene.events[-1] == "restore mirror0"

    def test_a_ledger_without_a_folder_is_refused_before_the_start(self, scene, capsys, segment, tmp_path):
        files = ["--stats", str(segment), "--ledger", str(tmp_path / "no" / "ledger.json")]
        assert status_of("run", *LETTERS, *files) == 2
        assert f"the folder {tmp_path}/no does not exist; create it" in capsys.readouterr().err
        assert scene.events == []

    def test_a_machine_that_refuses_is_said_with_status_1(self, scene, capsys, segment):
        scene.machine.__dict__["capabilities"] = self.refuse
        assert status_of("run", *LETTERS, "--stats", str(segment)) == 1
        assert capsys.readouterr().err == "xdpcopy: no such thing; run it as root\n"

    def refuse(self, _device):
        raise PermissionError(1, "no such thing")

    def test_the_status_line_shows_rates_and_sums(self):
        before = {counter.name: 0 for counter in COUNTERS}
        now = before | {"mirror_frames": 3000, "sessions_live": 7, "turns_sent": 20}
        assert rates(before, now, 2.0) == (
            "mirror 1,500/s · sent 0/s · answers 0/s · requests 10/s · sessions 7 live, 0 opened · again 0"
        )


class TestCounters:
    def test_they_are_shown_with_their_meaning(self, segment, capsys):
        assert status_of("counters", "--stats", str(segment)) == 0
        said = capsys.readouterr()
        assert "mirror_frames" in said.out
        assert said.err == ""

    def test_they_are_one_object_of_json(self, segment, capsys):
        assert status_of("counters", "--json", "--stats", str(segment)) == 0
        assert set(json.loads(capsys.readouterr().out)) == {counter.name for counter in COUNTERS}

    def test_a_dead_engine_is_mentioned(self, segment, capsys, monkeypatch):
        monkeypatch.setattr("appliance.engine.stats.STALE_S", 0.0)
        assert status_of("counters", "--json", "--stats", str(segment)) == 0
        assert "no heartbeat" in capsys.readouterr().err

    def test_without_an_engine_the_file_is_named(self, capsys, tmp_path):
        assert status_of("counters", "--stats", str(tmp_path / "stats")) == 1
        assert f"no engine writes its counters to {tmp_path}/stats" in capsys.readouterr().err

    @pytest.mark.parametrize("content", [b"", b"rubbish" * 100])
    def test_a_file_of_something_else_is_refused(self, capsys, tmp_path, content):
        (tmp_path / "stats").write_bytes(content)
        assert status_of("counters", "--stats", str(tmp_path / "stats")) == 1
        assert "Traceback" not in capsys.readouterr().err


class TestOthers:
    def test_config_check_sums_up_a_good_file(self, capsys):
        assert status_of("config", "check", str(ROOT / "configs" / "minimal.yaml")) == 0
        assert "mirror mirror0; test test0; transfers 80-198.19.0.2:8080" in capsys.readouterr().out

    def test_config_check_says_everything_that_is_wrong(self, capsys, tmp_path):
        path = tmp_path / "bad.yaml"
        path.write_text("mirror: 3\ntest: {device: t0, queues: 0}\n")
        assert status_of("config", "check", str(path)) == 2
        lines = capsys.readouterr().err.splitlines()
        assert [line.split(": ")[2] for line in lines] == ["mirror", "test.queues"]

    @pytest.mark.parametrize("arguments", [["version"], ["-v"], ["--version"]])
    def test_the_version_is_that_of_the_project(self, arguments, capsys):
        assert status_of(*arguments) == 0
        version = next(
            line.split('"')[1]
            for line in (ROOT / "pyproject.toml").read_text().splitlines()
            if line.startswith("version")
        )
        assert capsys.readouterr().out == f"xdpcopy {version}\n"

    def test_the_lab_is_part_of_the_command(self, capsys):
        assert status_of("lab", "--help") == 0
        assert "up" in capsys.readouterr().out

    def test_without_arguments_it_helps(self, capsys):
        assert status_of() == 2
        assert "Usage: xdpcopy" in capsys.readouterr().err
