"""Two processes and who looks after them: the api comes back, the engine's end is the end."""

import os
import pwd
import sys

import pytest

from api.tokens import Role, Tokens
from appliance import cli
from appliance.commands import supervise
from appliance.errors import ConfigError
from appliance.settings.api import Api

PROGRAM = """
import os, signal, sys
command, notes = sys.argv[1], sys.argv[3] + ".notes"
signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM,))
with open(notes, "a") as file:
    print(command, file=file, flush=True)
if command == "api":
    sys.exit(3)
while open(notes).read().count("api") < 2:
    pass
sys.exit(int(os.environ.get("STATUS", "0")))
"""


@pytest.mark.parametrize("status", [0, 1, 2])
def test_an_api_that_ends_is_started_again_and_the_engine_decides(tmp_path, monkeypatch, status):
    monkeypatch.setenv("STATUS", str(status))
    monkeypatch.setattr(supervise, "PROGRAM", (sys.executable, "-c", PROGRAM))
    monkeypatch.setattr(supervise, "RESTART_S", 0.0)
    config = tmp_path / "xdpcopy.yaml"
    config.write_text("{mirror: [{device: mirror0}], test: {device: test0}, api: {}}")
    with pytest.raises(SystemExit) as ended:
        cli.main(["run", "--config", str(config)])
    assert ended.value.code == status
    notes = config.with_name("xdpcopy.yaml.notes")
    assert notes.read_text().split().count("engine") == 1


def test_a_user_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="there is no user 'no-such'"):
        supervise.supervise(tmp_path / "none", (), Api(user="no-such"))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: another user")
def test_the_folders_of_the_api_are_its_users_and_so_are_tokens_that_root_makes(tmp_path):
    folder = tmp_path / "state" / "api"
    supervise._user(
        Api(user="nobody", **{name: folder / name for name in ("tokens", "audit", "certificate", "key")})
    )
    Tokens(folder / "tokens").create("me", Role.VIEWER)
    nobody = pwd.getpwnam("nobody")
    for path in (folder, folder / "tokens"):
        assert (path.stat().st_uid, path.stat().st_gid) == (nobody.pw_uid, nobody.pw_gid)
    assert (tmp_path / "state").stat().st_uid == 0
