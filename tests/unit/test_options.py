"""docs/options.md: every letter of tcpcopy has a row, and a test that fails if the option is ignored.

What an option does in the line is tested in tests/line, what it does to real servers in tests/e2e.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import structlog

from appliance import cli
from appliance.commands import letters, playback
from appliance.commands import replay as replay_command
from appliance.commands.process_files import log_to, process_files
from appliance.engine.offline import Outcome
from appliance.errors import ConfigError
from appliance.settings.config import Config
from appliance.settings.transfer import Transfer
from tests.unit import test_replay

ROOT = Path(__file__).resolve().parents[2]
TCPCOPY = "xcHnfrgOWtkRMDmlPdvhioFaITUCspL"
NEEDED = ["-i", "mirror0", "-o", "test0", "-x", "80-198.19.0.2:8080"]
ROW = re.compile(r"^\| `(-.)` \| (\S[^|]*?) \|([^|]*)\|([^|]+)\|([^|]+)\|$", re.MULTILINE)
ROWS = {match[1]: match for match in ROW.finditer((ROOT / "docs" / "options.md").read_text())}

# What each letter changes: arguments, and the settings that follow from them.
EFFECTS: dict[str, tuple[list[str], dict[str, object]]] = {
    "-x": (["-x", "81-198.19.0.3"], {"transfers.1.source.port": 81, "transfers.1.target.port": 81}),
    "-c": (["-c", "198.18.7.x"], {"transfers.0.clients.0.count": 254}),
    "-H": (["-H", "198.18.9.9"], {"transfers.0.loopback_clients.exploded": "198.18.9.9"}),
    "-n": (["-n", "10"], {"transfers.0.multiplier": 10}),
    "-f": (["-f", "3/8"], {"transfers.0.instance": 3, "transfers.0.instances": 8}),
    "-r": (["-r", "0.5"], {"transfers.0.sample_percent": 0.5}),
    "-g": (["-g", "20"], {"transfers.0.ramp_s": 20}),
    "-O": (["-O"], {"transfers.0.full_sessions_only": True}),
    "-W": (["-W"], {"transfers.0.no_wait": True}),
    "-t": (["-t", "7.5"], {"timing.response_timeout_s": 7.5}),
    "-k": (["-k", "60"], {"timing.idle_timeout_s": 60}),
    "-R": (["-R", "30"], {"timing.settle_ms": 30}),
    "-M": (["-M", "1280"], {"test.mtu": 1280}),
    "-D": (["-D", "536"], {"transfers.0.mss": 536}),
    "-m": (
        ["-m", "1024"],
        {"limits.connections": 1 << 18, "limits.sessions": 1 << 18, "limits.buffer_bytes": 768 << 20},
    ),
    "-F": (["-F", "not port 99"], {"filter": "not port 99"}),
    "-i": (["-i", "mirror1"], {"mirror.1.device": "mirror1"}),
    "-o": (["-o", "test1"], {"test.device": "test1"}),
}
ELSEWHERE = {"-d", "-l", "-P", "-v", "-h"}  # tests below
FILES = {"-a": ("2.5", "speed", 2.5), "-I": ("100", "idle_cap", 100_000_000), "-T": ("3", "repeats", 3)}


def status_of(*arguments):
    with pytest.raises(SystemExit) as caught:
        cli.main(list(arguments))
    return caught.value.code


@pytest.fixture
def config_of(monkeypatch):
    """The configuration with which ``run`` would start."""

    def find(*arguments):
        found = []
        monkeypatch.setattr(cli, "replay", lambda config, *, live, **_: found.append((config, live)))
        assert status_of("run", *arguments) == 0
        return found[0][0]

    return find


def look_up(config, path):
    for step in path.split("."):
        config = config[int(step)] if step.isdecimal() else getattr(config, step)
    return config


def test_every_letter_of_tcpcopy_has_a_row_and_a_test():
    assert set(ROWS) == {f"-{letter}" for letter in TCPCOPY}
    tested = {
        "taken": EFFECTS.keys() | ELSEWHERE,
        "replay": FILES.keys(),
        "no effect": letters.WITHOUT_EFFECT.keys(),
    }
    assert {letter: row[2] for letter, row in ROWS.items()} == {
        letter: state for state, those in tested.items() for letter in those
    }


def test_the_settings_of_the_table_exist():
    text = " ".join(row[3] for row in ROWS.values())
    assert "transfers[].source" in text
    for name in re.findall(r"`transfers\[\]\.(\w+)`", text):
        assert name in Transfer.model_fields
    for top, name in re.findall(r"`(timing|limits)\.(\w+)`", text):
        assert name in type(Config.model_fields[top].default).model_fields


@pytest.mark.parametrize("letter", EFFECTS)
def test_a_letter_that_is_taken_has_its_effect(letter, config_of):
    arguments, settings = EFFECTS[letter]
    without = [*NEEDED[:2], *NEEDED[4:]] if letter == "-o" else NEEDED
    config = config_of(*without, *arguments)
    assert {path: look_up(config, path) for path in settings} == settings
    if letter not in ("-x", "-i", "-o"):
        plain = config_of(*NEEDED)
        assert config != plain


@pytest.mark.parametrize(("words", "seconds"), [(["-g"], 100), (["-g", "-O"], 100), (["-g", "5", "-O"], 5)])
def test_a_gradual_start_may_have_a_length(words, seconds, config_of):
    config = config_of(*NEEDED[:4], *words, *NEEDED[4:])
    assert config.transfers[0].ramp_s == seconds


def test_an_instance_alone_is_one_of_32(config_of):
    transfer = config_of(*NEEDED, "-f", "31").transfers[0]
    assert (transfer.instance, transfer.instances) == (31, 32)


def test_clients_go_to_the_transfers_of_their_version(config_of):
    config = config_of(*NEEDED, "-x", "80-[fd00::2]:8080", "-c", "198.18.7.1,fd00::9", "-c", "198.18.7.2")
    assert [[str(one) for one in each.clients] for each in config.transfers] == [
        ["198.18.7.1-198.18.7.2"],
        ["fd00::9"],
    ]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["-n", "1024"], "transfers[0].multiplier: 1024 cannot be used"),
        (["-n", "0"], "transfers[0].multiplier: 0 cannot be used"),
        (["-r", "0.001"], "transfers[0].sample_percent: 0.001 cannot be used"),
        (["-c", "nobody"], "-c: 'nobody' names no clients"),
        (["-c", "fd00::1"], "-c: no IPv4 clients for the target 198.19.0.2:8080; add some"),
        (["-f", "x"], "-f: 'x' is not an instance"),
        (["-f", "32"], "instances are counted from 0"),
        (["-m", "1"], "-m: 1 MB is too little; give 64 or more"),
        (["-M", "100"], "test.mtu: 100 cannot be used"),
        (["-F", "tcp prot 80"], "filter: 'tcp prot 80': "),
    ],
)
def test_what_cannot_be_used_is_said(words, sentence, capsys):
    assert status_of("run", *NEEDED, *words) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("letter", letters.WITHOUT_EFFECT)
@pytest.mark.parametrize("attached", [False, True])
def test_a_letter_without_effect_is_taken_with_a_notice(letter, attached, config_of, capsys):
    meaning, has_value, why = letters.WITHOUT_EFFECT[letter]
    words = [letter, "7"] if has_value else [letter]
    plain = config_of(*NEEDED)
    capsys.readouterr()
    assert config_of(*NEEDED[:2], *(["".join(words)] if attached else words), *NEEDED[2:]) == plain
    assert capsys.readouterr().err == f"xdpcopy: {letter} ({meaning}) has no effect: {why}\n"


@pytest.mark.parametrize("letter", letters.REFUSED)
def test_a_refused_letter_is_refused(letter, capsys):
    assert status_of("run", letter, *NEEDED) == 2
    assert "leave it out" in capsys.readouterr().err


@pytest.mark.parametrize("letter", FILES)
def test_letters_of_capture_files_belong_to_replay(letter, monkeypatch, tmp_path):
    value, name, expected = FILES[letter]
    (tmp_path / "a.pcap").write_bytes(b"")
    found = []
    outcome = Outcome(test_replay.PROGRESS, {}, {"closes": True})
    monkeypatch.setattr(playback, "run", lambda *asked, **_: found.append(asked) or outcome)  # type: ignore[func-returns-value]
    words = ["-o", "test0", "-x", "80-198.19.0.2:8080", letter, value, "-n", "3", "-W"]
    assert status_of("replay", str(tmp_path / "a.pcap"), *words) == 0
    config, capture = found[0]
    assert getattr(capture, name) == expected
    assert (config.transfers[0].multiplier, config.transfers[0].no_wait) == (3, True)
    assert letter in replay_command.OWN_LETTERS


def test_the_log_goes_to_the_file_of_l_and_the_process_id_to_that_of_p(monkeypatch, tmp_path):
    log, pid = tmp_path / "log", tmp_path / "pid"
    log.write_text("start\nbefore\n")
    seen = []

    def run(config, *, live, ready):
        assert config.transfers
        ready()
        assert not live
        structlog.get_logger().warning("something", cure="none")
        seen.append(pid.read_text())

    monkeypatch.setattr(cli, "replay", run)
    assert status_of("run", *NEEDED, "-l", str(log), "-P", str(pid)) == 0
    assert seen == [f"{os.getpid()}\n"]
    assert not pid.exists()
    assert log.read_text().startswith("start\nbefore\n")
    assert "something" in log.read_text()


DAEMON = """
import os, sys
from pathlib import Path
from appliance.commands.process_files import become_daemon
print("start")
ready = become_daemon(Path(sys.argv[1]))
print("before")
if sys.argv[2] == "fails":
    sys.exit(3)
ready()
print("after", os.getsid(0) == os.getpid())
"""


def as_daemon(log, how):
    """Status and output of what was started; it all has ended when this returns."""
    reading, writing = os.pipe()
    words = [sys.executable, "-c", DAEMON, str(log), how]
    done = subprocess.run(words, cwd=ROOT, pass_fds=[writing], capture_output=True, text=True, check=False)
    os.close(writing)
    with open(reading) as held:  # noqa: PTH123 - by the daemon, until its end
        assert held.read() == ""
    return done.returncode, done.stdout


def test_d_goes_on_in_the_background_with_its_output_in_the_file_of_l(tmp_path):
    log = tmp_path / "log"
    assert as_daemon(log, "works") == (0, "start\nbefore\n")
    assert log.read_text() == "after True\n"


def test_d_that_never_gets_ready_fails_as_it_would_without(tmp_path):
    assert as_daemon(tmp_path / "log", "fails") == (3, "start\nbefore\n")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["-d"], "-d: a daemon has no terminal for its log; add -l FILE"),
        (["-d", "-l", "log", "--live"], "--live needs a terminal; leave out -d or --live"),
    ],
)
def test_d_without_what_it_needs_is_refused(words, sentence, capsys):
    assert status_of("run", *NEEDED, *words) == 2
    assert sentence in capsys.readouterr().err


def test_files_that_cannot_be_written_are_refused(tmp_path):
    for log, pid in ((tmp_path / "no" / "log", None), (None, tmp_path / "no" / "pid")):
        with pytest.raises(ConfigError) as caught, process_files(log, pid):
            pass
        assert "cannot be written" in str(caught.value)
    log_to()


def test_a_process_that_runs_keeps_its_file(tmp_path):
    path = tmp_path / "pid"
    path.write_text(f"{os.getppid()}\n")
    with pytest.raises(ConfigError) as caught, process_files(None, path):
        pass
    assert f"names process {os.getppid()}, which is running" in str(caught.value)
    path.write_text("rubbish")
    with process_files(None, path):
        assert path.read_text() == f"{os.getpid()}\n"
    assert not path.exists()


@pytest.mark.parametrize("command", ["run", "replay"])
def test_v_shows_the_version(command, capsys):
    assert status_of(command, "-v") == 0
    assert capsys.readouterr().out.startswith("xdpcopy ")


@pytest.mark.parametrize("command", ["run", "replay"])
def test_h_shows_every_letter_that_is_taken(command, capsys):
    assert status_of(command, "-h") == 0
    said = capsys.readouterr().out
    shown = {letter for letter, row in ROWS.items() if row[2] == "taken"} - {"-i"}
    assert {letter for letter in shown if f"  {letter}" not in said} == set()
