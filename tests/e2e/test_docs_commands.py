"""The commands of README.md and docs/, page by page in the lab, as a reader would type them."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from appliance.demo.process import Replay
from tests import markdown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from appliance.lab.topology import Role
    from tests.e2e.bed import Bed

TIMEOUT_S = 40.0
REST_TIMEOUT_S = 20.0
LOOK_S = 0.05
STAYS = re.compile(r"ready|(?:tcpdump: )?listening on .*")  # what says so goes on until ^C
# /run and /var/lib are the page's own, in the mount namespace that each command gets.
ENTER = """
set -e
mount --bind "$0/run" /run
mount --bind "$0/lib" /var/lib
cd "$0/home"
exec bash -euo pipefail -c "$1"
"""
PAGES = [
    page
    for page in markdown.pages()
    if any(block.language == "console" and block.reason is None for block in markdown.blocks(page))
]


class Reader:
    """Types what a page says."""

    def __init__(self, bed: Bed, folder: Path) -> None:
        self.bed = bed
        self.folder = folder
        for name in ("run", "lib", "home"):
            (folder / name).mkdir()
        self.groups: list[int] = []  # of processes that were started with &
        self.running: list[tuple[str, subprocess.Popen[bytes], Path]] = []
        self.engine = Replay(bed.lab, folder / "run" / "xdpcopy", ())

    def read(self, page: Path) -> None:
        for block in markdown.blocks(page):
            if block.file:
                (self.folder / "home" / block.file).write_text(block.text)
            if block.language == "console" and block.reason is None:
                for command in markdown.commands(block):
                    self.type(command)
        assert not self.running, f"{markdown.name(page)}: a command without ^C"

    def type(self, command: markdown.Command) -> None:
        stays = bool(command.answer and STAYS.fullmatch(command.answer[-1].replace("…", "")))
        if stays:
            self.wait_for_background()
        if command.line == "^C":
            said = self.interrupt(command)
        else:
            process, output = self.start(command)
            if command.line.endswith("&"):
                self.groups.append(process.pid)
            if stays:
                self.running.append((command.role, process, output))
                said = self.wait_for(command, process, output)
            else:
                status = process.wait(TIMEOUT_S)
                said = output.read_text()
                assert status == 0, f"{command.where}: {command.line}: exit status {status}: {said}"
        compare(command, said)

    def start(self, command: markdown.Command) -> tuple[subprocess.Popen[bytes], Path]:
        argv = ("bash", "-c", ENTER, str(self.folder), command.line)
        output = self.folder / f"output-{len(list(self.folder.iterdir()))}"
        environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "COLUMNS": "400",
        }
        with output.open("wb") as file:
            more: dict[str, Any] = {"stdout": file, "stderr": subprocess.STDOUT, "env": environment}
            if command.role:
                role = cast("Role", command.role)
                return self.bed.lab.exec(role, argv, start_new_session=True, **more), output
            return subprocess.Popen(("unshare", "--mount", *argv), start_new_session=True, **more), output

    def wait_for(self, command: markdown.Command, process: subprocess.Popen[bytes], output: Path) -> str:
        """Until it has said its last line."""
        deadline = time.monotonic() + TIMEOUT_S
        while find(command.answer[-1], output.read_text()) is None:
            assert process.poll() is None, f"{command.where}: {command.line}: {output.read_text()}"
            assert time.monotonic() < deadline, f"{command.where}: {command.line}: {output.read_text()}"
            time.sleep(LOOK_S)
        return output.read_text()

    def wait_for_background(self) -> None:
        """Traffic for the command before must not be counted by the next one."""
        deadline = time.monotonic() + TIMEOUT_S
        for group in self.groups:
            with contextlib.suppress(ProcessLookupError):
                while time.monotonic() < deadline:
                    os.killpg(group, 0)
                    time.sleep(LOOK_S)
        self.groups.clear()

    def interrupt(self, command: markdown.Command) -> str:
        """When there is nothing left to do for it."""
        at = max(at for at, (role, *_) in enumerate(self.running) if role == command.role)
        _, process, output = self.running.pop(at)
        before = len(output.read_text())
        assert self.engine.come_to_rest(REST_TIMEOUT_S), self.engine.counters()
        self.engine = Replay(self.bed.lab, self.engine.directory, ())  # the next one has another segment
        os.killpg(process.pid, signal.SIGINT)
        status = process.wait(TIMEOUT_S)
        said = output.read_text()[before:]
        assert status == 0, f"{command.where}: exit status {status}: {output.read_text()}"
        return said

    def close(self) -> None:
        for group in (*self.groups, *(process.pid for _, process, _ in self.running)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        for _, process, _ in self.running:
            process.wait()


def compare(command: markdown.Command, said: str) -> None:
    """Each line of the page is a line that was said, in this order; ``…`` alone may be any number of them."""
    left = said
    for line in command.answer:
        if line != "…":
            found = find(line, left)
            assert found is not None, f"{command.where}: {command.line}: {line!r} is not in\n{left}"
            left = left[found:]


def find(line: str, said: str) -> int | None:
    """Where a line of the page ends in what was said; how many blanks stand between words does not count."""
    words = r"[ \t]+".join(re.escape(word).replace("…", ".*") for word in line.split())
    found = re.search(rf"^[ \t]*{words}[ \t]*$", said, re.MULTILINE)
    return found.end() if found else None


@pytest.fixture
def reader(bed: Bed, tmp_path: Path) -> Iterator[Reader]:
    made = Reader(bed, tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("page", PAGES, ids=markdown.name)
def test_the_commands_of_a_page_do_what_it_says(reader: Reader, page: Path) -> None:
    reader.read(page)


def test_a_command_that_fails_or_says_something_else_is_noticed(
    reader: Reader, make_page: Callable[[str], Path]
) -> None:
    with pytest.raises(AssertionError, match="exit status 3"):
        reader.read(make_page("client$ exit 3"))
    with pytest.raises(AssertionError, match="is not in"):
        reader.read(make_page("client$ echo one\ntwo"))


@pytest.fixture
def make_page(tmp_path: Path) -> Callable[[str], Path]:
    def make(text: str) -> Path:
        page = tmp_path / "page.md"
        page.write_text(f"```console\n{text}\n```\n")
        return page

    return make
