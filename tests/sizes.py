"""Limits on files, as lizard has them for functions: ``python -m tests.sizes`` names every file beyond one.

Line lengths are checked here for JavaScript and CSS only; ruff and clang-format see to the rest.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TREES = ("api", "appliance", "dataplane", "tests")
MOST_LINES = {".c": 400, ".h": 400, ".py": 300, ".js": 300}
MOST_LINES_OF_A_TEST = 400
MOST_COLUMNS = 110
BROWSER = {".js", ".css"}


def sources(root: Path) -> list[Path]:
    """The files written by hand; what cffi generates begins with an underscore."""
    return sorted(
        path
        for tree in TREES
        for path in (root / tree).rglob("*")
        if path.suffix in MOST_LINES.keys() | BROWSER
        and not (path.suffix == ".c" and path.name.startswith("_"))
        and path.is_file()
    )


def findings(root: Path) -> list[str]:
    """One line for each limit that a file exceeds."""
    return [finding for path in sources(root) for finding in _of(path, path.relative_to(root))]


def _of(path: Path, name: Path) -> list[str]:
    lines = path.read_text().splitlines()
    most = MOST_LINES.get(path.suffix)
    if most is not None and name.parts[0] == "tests":
        most = MOST_LINES_OF_A_TEST
    found = [f"{name}: {len(lines)} lines, at most {most}"] if most is not None and len(lines) > most else []
    if path.suffix in BROWSER:
        found += [
            f"{name}:{number}: {len(line)} columns, at most {MOST_COLUMNS}"
            for number, line in enumerate(lines, 1)
            if len(line) > MOST_COLUMNS
        ]
    return found


if __name__ == "__main__":
    found = findings(ROOT)
    print(*found, sep="\n", end="\n" if found else "", file=sys.stderr)
    sys.exit(bool(found))
