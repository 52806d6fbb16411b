"""The example in dataplane/pyxdp/README.md does what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from dataplane import pyxdp
from dataplane.pyxdp import Socket
from tests.pyxdp.conftest import eventually, ip
from tests.pyxdp.frames import TO_SERVER

pytestmark = pytest.mark.e2e

README = Path(pyxdp.__file__).parent / "README.md"
ROOT = README.parent.parent.parent


def example(language: str) -> str:
    (text,) = re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)
    return str(text)


@pytest.mark.usefixtures("_pair")
def test_example_prints_ten_frames(tmp_path):
    (tmp_path / "ten.bpf.c").write_text(example("c"))
    subprocess.run(["sh", "-e", "-c", example("sh")], cwd=tmp_path, check=True)
    ip("link", "set", "px0", "address", "02:00:00:00:00:02")
    command = [
        sys.executable,
        "-c",
        f"import sys; sys.path.append({str(ROOT)!r})\n" + example("python"),
        "px0",
    ]
    with (
        subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as running,
        Socket("px1", ring_size=64) as sender,
    ):
        assert running.stdout is not None
        try:
            assert running.stdout.readline().startswith("note: driver veth has no zero-copy")
            assert running.stdout.readline() == "px0: program native, socket copy\n"
            assert eventually(
                lambda: not sender.send([bytes(TO_SERVER["ipv4"])]) or running.poll() is not None
            )
            lines = running.stdout.read().splitlines()
        finally:
            running.kill()
    assert lines == ["02:00:00:00:00:01 > 02:00:00:00:00:02 54 bytes"] * 10
