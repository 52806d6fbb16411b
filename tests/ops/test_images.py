"""The container files: linted, and agreed with the rest of the project. Building needs a container engine."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from appliance.service.privileges import CAPABILITIES
from appliance.settings.api import Api
from appliance.settings.captures import Captures
from appliance.settings.control import Control

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
PINNED = re.compile(r"[\w./-]+:v?\d+[\w.-]*")


@pytest.fixture
def services():
    return yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]


def mounts(service):
    return {mount.split(":")[1]: mount.split(":")[0] for mount in service["volumes"]}


def test_the_dockerfile_is_clean():
    hadolint = Path(sys.executable).parent / "hadolint"
    done = subprocess.run((hadolint, DOCKER / "Dockerfile"), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_copied_is_there_and_not_ignored():
    taken = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    lines = (DOCKER / "Dockerfile").read_text().splitlines()
    copied = [word for line in lines if re.match("COPY (?!--from)", line) for word in line.split()[1:-1]]
    assert copied
    for name in copied:
        assert (ROOT / name).exists()
        assert name in taken


def test_what_the_build_needs_is_what_everybody_builds_with():
    text = (DOCKER / "Dockerfile").read_text().replace("\\\n", " ")
    build = re.findall(r"--no-install-recommends\s+(.*?)&&", text)[0].split()
    assert set(build) <= set((DOCKER / "packages.txt").read_text().split())


def test_the_engine_may_what_it_keeps_and_nobody_else_anything(services):
    assert set(services["engine"]["cap_add"]) == set(CAPABILITIES)
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert "privileged" not in service, name
        assert "cap_add" not in service or name == "engine"


def test_the_volumes_are_where_the_default_paths_are(services):
    engine, api = mounts(services["engine"]), mounts(services["api"])
    control = Control()
    assert {str(control.socket.parent), str(control.state.parent)} <= set(engine)
    assert api[str(control.socket.parent)] == engine[str(control.socket.parent)]
    for path in (Api().tokens, Api().audit, Api().certificate, Api().key):
        assert str(path.parent) in api
    assert engine[str(Captures().directory.parent)] == api[str(Captures().directory.parent)]
    user = services["api"]["user"]
    assert services["engine"]["group_add"] == [user.partition(":")[2]]
    assert f"USER {user}\n" in (DOCKER / "Dockerfile").read_text()


def test_files_that_are_mounted_are_there(services):
    own = {"./xdpcopy.yaml", "./xdpcopy.token"}  # the operator's
    for service in services.values():
        for source in mounts(service).values():
            assert not source.startswith(".") or source in own or (DOCKER / source).exists(), source


def test_images_of_others_have_a_version(services):
    for service in services.values():
        assert service["image"] == "xdpcopy" or PINNED.fullmatch(service["image"])
