"""The units: systemd takes them, and they leave the processes little more than what they need."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.service.privileges import CAPABILITIES
from appliance.settings.api import Api
from appliance.settings.control import Control

ROOT = Path(__file__).resolve().parents[2]
UNITS = ROOT / "configs" / "systemd"
MOST_EXPOSED = {"xdpcopy-engine.service": 4.0, "xdpcopy-api.service": 2.0}  # of 10; below 5 is systemd's "ok"

pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")


def analyze(*words):
    return subprocess.run(("systemd-analyze", *words), capture_output=True, text=True, check=False)


def settings(unit):
    """Each setting with all of its words."""
    found: dict[str, list[str]] = {}
    for line in (UNITS / unit).read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).extend(value.split())
    return found


@pytest.fixture
def units(tmp_path):
    """As they are, with this checkout's command, which systemd looks for."""
    for unit in MOST_EXPOSED:
        text = (UNITS / unit).read_text()
        (tmp_path / unit).write_text(text.replace("/opt/xdpcopy/bin", str(Path(sys.executable).parent)))
    return tmp_path


def test_systemd_finds_nothing_wrong(units):
    done = analyze("verify", *(str(units / unit) for unit in MOST_EXPOSED))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("unit", MOST_EXPOSED)
def test_little_is_exposed(units, unit):
    threshold = str(int(MOST_EXPOSED[unit] * 10))
    done = analyze("security", "--offline=yes", f"--threshold={threshold}", str(units / unit))
    assert done.returncode == 0, done.stdout


def test_the_engine_may_what_it_keeps_and_the_api_nothing():
    kept = {f"CAP_{name}" for name in CAPABILITIES}
    assert set(settings("xdpcopy-engine.service")["CapabilityBoundingSet"]) == kept
    assert settings("xdpcopy-api.service")["CapabilityBoundingSet"] == []


def test_the_folders_of_the_default_paths_are_made():
    engine, api = settings("xdpcopy-engine.service"), settings("xdpcopy-api.service")
    control = Control()
    assert control.socket.parent == Path("/run", *engine["RuntimeDirectory"])
    assert control.state.parent == Path("/var/lib", *engine["StateDirectory"])
    for path in (Api().tokens, Api().audit, Api().certificate, Api().key):
        assert path.parent == Path("/var/lib", *api["StateDirectory"])
    assert engine["SupplementaryGroups"] == api["Group"]


def test_the_system_calls_of_the_engine_are_known_to_systemd():
    for unit in MOST_EXPOSED:
        for word in settings(unit)["SystemCallFilter"]:
            if word.lstrip("~").startswith("@"):
                assert analyze("syscall-filter", word.lstrip("~")).returncode == 0


def test_the_exposure_is_measured(units):
    """The threshold means something: without the sandbox the unit is above it."""
    unit = "xdpcopy-engine.service"
    lines = (units / unit).read_text().splitlines()
    keep = ("[", "Type", "Exec", "Description", "WantedBy")
    (units / unit).write_text("\n".join(line for line in lines if line.startswith(keep)))
    done = analyze("security", "--offline=yes", "--threshold=40", "--json=short", str(units / unit))
    assert done.returncode != 0
    assert json.loads(done.stdout)
