"""The tests' own house: every folder is explained, and the limits on files are noticed."""

import re
from pathlib import Path

import pytest

from tests import sizes

TESTS = Path(__file__).resolve().parents[1]
README = (TESTS / "README.md").read_text()


def test_every_folder_of_tests_is_in_the_readme_and_no_other():
    made = {"artefacts", "__pycache__"}
    folders = {path.name for path in TESTS.iterdir() if path.is_dir()} - made
    assert set(re.findall(r"^\| \[(\w+)\]\(\1\)", README, re.MULTILINE)) == folders


def test_the_tests_that_the_readme_names_are_there():
    named = re.findall(r"(tests/\w+/test_\w+\.py)(?:::(\w+))?", README)
    assert named
    for path, test in named:
        assert f"def {test}" in (TESTS.parent / path).read_text()


@pytest.mark.parametrize(
    ("name", "lines", "columns", "finding"),
    [
        ("api/a.py", 300, 200, ""),
        ("api/a.py", 301, 1, "api/a.py: 301 lines, at most 300"),
        ("appliance/deep/down/a.py", 301, 1, "appliance/deep/down/a.py: 301 lines, at most 300"),
        ("dataplane/src/a.c", 401, 1, "dataplane/src/a.c: 401 lines, at most 400"),
        ("dataplane/pyxdp/_made.c", 4000, 1, ""),
        ("tests/line/a.py", 400, 1, ""),
        ("tests/line/a.py", 401, 1, "tests/line/a.py: 401 lines, at most 400"),
        ("api/dashboard/static/a.js", 301, 1, "api/dashboard/static/a.js: 301 lines, at most 300"),
        ("api/dashboard/static/a.js", 1, 111, "api/dashboard/static/a.js:1: 111 columns, at most 110"),
        ("api/dashboard/static/a.css", 500, 110, ""),
    ],
)
def test_a_file_beyond_its_limit_is_named(tmp_path, name, lines, columns, finding):
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_text(f"{'x' * columns}\n" * lines)
    assert sizes.findings(tmp_path) == ([finding] if finding else [])
