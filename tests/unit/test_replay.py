"""``xdpcopy replay`` over the real dataplane, with a test port in memory whose far end nobody is."""

import errno
import io
import json
import signal
import threading
import time
from dataclasses import replace

import pytest
from rich.console import Console

from appliance import cli
from appliance.commands import playback
from appliance.commands import replay as replay_command
from appliance.engine.offline import Outcome
from appliance.errors import ConfigError
from dataplane.binding import CaptureProgress, Dataplane, DataplaneError, PortKind
from tests.line.tape import Tape
from tests.unit.fakes import FakeMachine

PROGRESS = CaptureProgress(
    bytes=10,
    bytes_total=20,
    frames=3,
    position=0,
    late=0,
    repeat=0,
    repeats=2,
    broken=0,
    paused=False,
    finished=False,
)


@pytest.fixture
def scene(monkeypatch):
    """The machine is of Python alone, but its dataplane is real: the test port lies in memory."""
    scene = FakeMachine()

    def over_memory(config):
        mirror, test = config.ports
        return Dataplane(replace(config, ports=(mirror, replace(test, kind=PortKind.MEMORY))))

    scene.machine = replace(scene.machine, dataplane=over_memory)
    monkeypatch.setattr(playback, "Machine", lambda: scene.machine)
    return scene


@pytest.fixture
def capture(tmp_path):
    tape = Tape()
    for number in range(3):
        tape.conversation(("198.18.0.10", 40000 + number)).whole()
        tape.wait(0.2)
    return tape.write(tmp_path / "a.pcap")


@pytest.fixture
def arguments(tmp_path, capture):
    """Sessions whose SYN nobody answers end after the first try."""
    config = tmp_path / "config.yaml"
    config.write_text(
        "{mirror: [{device: mirror0}], test: {device: test0},"
        " transfers: [{source: 80, target: '198.19.0.2:8080'}],"
        f" cpus: none, timing: {{syn_tries: 1, linger_s: 0.1}}, stats: {tmp_path / 'stats'}}}"
    )
    return ["replay", str(capture), "--config", str(config)]


def status_of(*arguments):
    with pytest.raises(SystemExit) as caught:
        cli.main(list(arguments))
    return caught.value.code


def capture_of(monkeypatch, *arguments):
    """The settings and the capture with which ``replay`` would start."""
    found = []

    def note(config, asked, **_):
        found.append((config, asked))
        return Outcome(PROGRESS, {}, {"closes": True})

    monkeypatch.setattr(playback, "run", note)
    assert status_of("replay", *arguments) == 0
    return found[0]


class TestCommand:
    LETTERS = ("-o", "test0", "-x", "80-198.19.0.2:8080")

    def test_the_letters(self, monkeypatch, capture):
        config, asked = capture_of(
            monkeypatch, str(capture), str(capture), *self.LETTERS, "-a", "2.5", "-I", "100", "-T3"
        )
        assert asked.files == (str(capture), str(capture))
        assert (asked.speed, asked.idle_cap, asked.repeats, asked.fast) == (2.5, 100_000_000, 3, False)
        assert config.test.device == "test0"

    def test_the_defaults(self, monkeypatch, capture):
        _, asked = capture_of(monkeypatch, str(capture), *self.LETTERS)
        assert (asked.speed, asked.idle_cap, asked.repeats, asked.fast) == (1.0, 0, 1, False)

    def test_paths_are_absolute(self, monkeypatch, tmp_path, capture):
        monkeypatch.chdir(tmp_path)
        config, asked = capture_of(monkeypatch, "a.pcap", *self.LETTERS, "--fast", "--ledger", "l", "-t", "5")
        assert asked.files == (str(capture),)
        assert asked.fast
        assert config.ledger == tmp_path / "l"
        assert config.timing.response_timeout_s == 5

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            (["-d"], "-d: a daemon has no terminal for its log"),
            (["--fast", "-a", "2"], "--fast ignores the recorded pace"),
            (["--fast", "-I", "2"], "--fast ignores the recorded pace"),
            (["--config", "x"], "give either --config"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, capsys, capture, words, sentence):
        assert status_of("replay", str(capture), *self.LETTERS, *words) == 2
        assert sentence in capsys.readouterr().err

    @pytest.mark.parametrize("words", [["-a", "0"], ["-T", "0"], ["-a", "x"], ["-I", "-1"]])
    def test_numbers_have_bounds(self, capsys, capture, words):
        assert status_of("replay", str(capture), *self.LETTERS, *words) == 2
        assert words[0] in capsys.readouterr().err

    def test_files_must_be_there(self, tmp_path):
        with pytest.raises(ConfigError) as caught:
            playback.check_files([tmp_path / "no.pcap", tmp_path])
        assert len(caught.value.problems) == 2
        assert "no.pcap is not there" in caught.value.problems[0]
        assert "is no file" in caught.value.problems[1]

    def test_run_points_to_replay(self, capsys):
        assert status_of("run", "-a", "2", *self.LETTERS) == 2
        assert "belongs to xdpcopy replay" in capsys.readouterr().err

    def test_its_letters_are_those_of_files(self):
        assert replay_command.OWN_LETTERS == ("-a", "-I", "-T")


@pytest.mark.usefixtures("scene")
class TestRun:
    def test_it_ends_by_itself_with_a_summary(self, scene, arguments, capsys, tmp_path):
        assert status_of(*arguments, "-a", "10", "-T", "2", "--ledger", str(tmp_path / "ledger")) == 0
        said = capsys.readouterr().out.splitlines()
        size = (tmp_path / "a.pcap").stat().st_size
        assert "ready" in said
        assert (
            f"replayed: 1 file, 2 of 2 times; 54 frames, {2 * size:,} of {2 * size:,} bytes in " in said[-5]
        )
        assert said[-4] == "sessions: 6; as recorded 0 (none); incomplete 6 (target_unresponsive 6)"
        assert said[-3].startswith("requests: 6 turns, 0 bytes delivered, 30 not")
        assert said[-1] == "ledger closes: yes"
        ledger = json.loads((tmp_path / "ledger").read_text())
        assert ledger["closes"]
        assert ledger["capture"]["finished"]
        assert ledger["capture"]["frames"] == 54
        assert "silence mirror0" not in scene.events
        assert "detach test0" in scene.events

    def test_a_signal_ends_it_early(self, arguments, capsys, tmp_path):
        progress, main = tmp_path / "progress", threading.get_ident()

        def end():
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                if progress.exists() and json.loads(progress.read_text())["frames"]:
                    break
                time.sleep(0.05)
            signal.pthread_kill(main, signal.SIGTERM)

        thread = threading.Thread(target=end)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        try:
            thread.start()
            assert status_of(*arguments, "-a", "0.01", "--progress", str(progress)) == 0
            thread.join()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        said = capsys.readouterr().out
        assert "ended early: 1 file, 0 of 1 time;" in said
        assert "stopped 1" in said

    def test_signals_pause_and_resume(self, arguments, capsys):
        main = threading.get_ident()

        def signals():
            for number in (signal.SIGUSR1, signal.SIGUSR2):
                time.sleep(0.4)
                signal.pthread_kill(main, number)

        thread = threading.Thread(target=signals)
        start = time.monotonic()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGUSR2})
        try:
            thread.start()
            assert status_of(*arguments, "-a", "1") == 0
            thread.join()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        assert time.monotonic() - start >= 0.8
        said = capsys.readouterr()
        assert "replayed: 1 file, 1 of 1 time" in said.out
        assert "the capture is paused" in said.err
        assert "the capture goes on" in said.err

    def test_a_terminal_shows_progress(self, arguments, monkeypatch):
        shown = io.StringIO()
        monkeypatch.setattr(
            playback, "Console", lambda **_: Console(file=shown, force_terminal=True, width=100, height=20)
        )
        assert status_of(*arguments, "-T", "2") == 0
        assert "1/2 at 0." in shown.getvalue()
        assert "100 %" in shown.getvalue()
        assert "sessions" in shown.getvalue()

    def test_a_broken_file_is_told(self, arguments, capsys, capture):
        capture.write_bytes(capture.read_bytes()[:-5])
        assert status_of(*arguments, "-a", "10") == 0
        assert "its rest is left out after 26 frames" in capsys.readouterr().out

    def test_what_is_no_capture_is_refused_and_everything_undone(self, scene, arguments, capsys, capture):
        capture.write_bytes(b"not a capture")
        assert status_of(*arguments) == 1
        assert "is no capture file (pcap or pcapng)" in capsys.readouterr().err
        assert "detach test0" in scene.events

    def test_the_ledger_must_have_a_folder(self, arguments, tmp_path, capsys):
        assert status_of(*arguments, "--ledger", str(tmp_path / "no" / "ledger")) == 2
        assert "the folder" in capsys.readouterr().err

    def test_a_ledger_that_does_not_close_is_a_failure(self, monkeypatch, arguments):
        outcome = Outcome(PROGRESS, {}, {"closes": False})
        monkeypatch.setattr(playback, "run", lambda *_, **__: outcome)
        assert status_of(*arguments) == 1


class TestWords:
    def test_position(self):
        assert playback._position(replace(PROGRESS, position=1_500_000_000)) == "1/2 at 1.5 s"
        assert playback._position(replace(PROGRESS, repeats=1, paused=True)) == "at 0.0 s paused"
        assert (
            playback._position(replace(PROGRESS, repeat=2, late=2_000_000_000)) == "2/2 at 0.0 s, 2.0 s late"
        )

    def test_the_bar_is_for_terminals(self, monkeypatch):
        assert playback._bar().disable
        monkeypatch.setattr(playback, "Console", lambda **_: Console(force_terminal=True))
        assert not playback._bar().disable

    def test_the_dataplane_says_what_it_cannot_open(self):
        error = DataplaneError(errno.EINVAL, "a sentence")
        assert error.strerror == "a sentence"
