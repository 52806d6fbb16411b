"""Dependencies point one way: docs/architecture.md says which, #include and import lines must agree."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "dataplane" / "src"

PYTHON_MAY = {
    "api": {"api", "appliance"},
    "appliance": {"appliance", "dataplane", "dataplane.binding", "dataplane.steering", "dataplane.pyxdp"},
    "dataplane/steering.py": {"dataplane", "dataplane.binding", "dataplane.pyxdp"},
    "dataplane/pyxdp": {"dataplane.pyxdp"},
    "dataplane/binding.py": {"dataplane._dataplane"},
    "dataplane/__init__.py": {"dataplane.binding"},
    "dataplane/build.py": set(),
}

# What each folder of dataplane/src may include, beside itself, dataplane.h and the files of src/ that are
# listed under "".
C_MAY = {
    "": {"", "port", "wire", "session", "protocol", "observe"},
    "session": {"", "wire", "protocol", "observe"},
    "protocol": {"", "wire", "observe"},
    "port": {""},
    "wire": {""},
    "observe": {""},
}
C_SHARED = {"frame.h", "reason.h"}

PYTHON_FILES = [
    path for package in ("api", "appliance", "dataplane") for path in sorted((ROOT / package).rglob("*.py"))
]
C_FILES = sorted(SRC.rglob("*.[ch]"))


def name(path):
    return str(path.relative_to(ROOT))


def imports(path):
    """The project's own modules that a file imports; ``from package import module`` counts as the module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name(path)}: relative import"
            for each in node.names:
                inner = f"{node.module}.{each.name}"
                yield inner if is_module(inner) else node.module


def is_module(dotted):
    path = ROOT.joinpath(*dotted.split("."))
    compiled = path.name.startswith("_") and path.parent.is_dir()
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists() or compiled


def allowed(path):
    for start, modules in PYTHON_MAY.items():
        if name(path) == start or name(path).startswith(f"{start}/"):
            return modules
    raise AssertionError(f"{name(path)} has no place in the layout")


@pytest.mark.parametrize("path", PYTHON_FILES, ids=name)
def test_imports_point_one_way(path):
    may = allowed(path)
    for module in imports(path):
        if module.split(".")[0] in {"api", "appliance", "dataplane", "tests"}:
            inside = any(module == each or module.startswith(f"{each}.") for each in may - {"dataplane"})
            assert inside or module in may, f"{name(path)} must not import {module}"


def test_the_extensions_are_imported_by_their_one_module_alone():
    for path in PYTHON_FILES:
        found = set(imports(path))
        if "dataplane._dataplane" in found:
            assert name(path) == "dataplane/binding.py"
        if "dataplane.pyxdp._pyxdp" in found:
            assert path.parent == ROOT / "dataplane" / "pyxdp"


def includes(path):
    """The project's own headers that a C file includes, relative to dataplane/src."""
    for header in re.findall(r'^#include "(.+)"', path.read_text(), re.MULTILINE):
        near = (path.parent / header).resolve()
        found = near if near.exists() else (SRC / header).resolve()
        if found.exists() and found.is_relative_to(SRC):
            yield found.relative_to(SRC)


def folder(relative):
    return relative.parts[0] if len(relative.parts) > 1 else ""


@pytest.mark.parametrize("path", C_FILES, ids=name)
def test_includes_point_one_way(path):
    here = folder(path.relative_to(SRC))
    for header in includes(path):
        there = folder(header)
        if there == here or header.name in C_SHARED:
            continue
        assert there in C_MAY[here], f"{name(path)} must not include {header}"
        assert there, f"{name(path)} must not include {header}: that file is above it"


def test_the_check_sees_something():
    assert any(list(includes(path)) for path in C_FILES)
    assert any("dataplane.binding" in set(imports(path)) for path in PYTHON_FILES)
    assert "dataplane._dataplane" in set(imports(ROOT / "dataplane" / "binding.py"))
