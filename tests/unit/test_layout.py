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
    "dataplane/binding": {"dataplane._dataplane", "dataplane.binding"},
    "dataplane/__init__.py": {"dataplane.binding"},
    "dataplane/build.py": set(),
}

# The layers of appliance, lowest first, and the lower ones that each may import beside itself. The clients,
# remote and api, reach the engine through the contract; all they import from it is the counters' reader.
APPLIANCE_MAY = {
    "errors": set(),
    "durable": set(),
    "signals": set(),
    "options": set(),
    "settings": {"errors"},
    "contract": {"errors", "settings"},
    "captures": {"durable", "settings", "contract"},
    "engine": {"errors", "durable", "signals", "settings", "contract"},
    "doctor": {"errors", "settings", "contract", "engine"},
    "service": {"errors", "durable", "signals", "settings", "contract", "captures", "engine", "doctor"},
    "remote": {"errors", "options", "settings", "contract", "engine.stats"},
    "commands": {"errors", "signals", "options", "settings", "contract", "engine", "doctor", "service"},
    "lab": {"errors"},
    "demo": {"lab"},
    "cli": {"errors", "settings", "engine", "remote", "commands", "lab"},
}
API_MAY = {"errors", "durable", "signals", "settings", "contract", "captures", "engine.stats"}

# The folders of dataplane/src, lowest first, and the lower ones that each may include beside itself,
# dataplane.h and C_SHARED.
C_MAY = {
    "wire": set(),
    "observe": set(),
    "store": {"wire"},
    "protocol": {"wire"},
    "port": set(),
    "session": {"wire", "observe", "store"},
    "admission": {"wire", "store"},
    "replay": {"wire", "observe", "store", "protocol", "session", "admission"},
    "line": {"wire", "observe", "store", "port", "session", "admission", "replay"},
    "engine": {"wire", "observe", "store", "port", "admission", "replay", "line"},
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


def lies_in(module, may):
    """Whether a module of appliance is one of these, or inside one."""
    return any(f"{module}.".startswith(f"appliance.{each}.") for each in may)


@pytest.mark.parametrize(
    "path", [path for path in PYTHON_FILES if not name(path).startswith("dataplane")], ids=name
)
def test_appliance_is_made_of_layers(path):
    root, *inner = path.relative_to(ROOT).with_suffix("").parts
    may = API_MAY if root == "api" else {inner[0], *APPLIANCE_MAY.get(inner[0], ())}
    for module in imports(path):
        if module.startswith("appliance."):
            assert lies_in(module, may), f"{name(path)} must not import {module}"


def test_the_layers_of_appliance_have_an_order():
    lower: set[str] = set()
    for each, may in APPLIANCE_MAY.items():
        assert {layer.split(".")[0] for layer in may} <= lower, each
        lower.add(each)
    there = {path.stem for path in (ROOT / "appliance").iterdir() if path.suffix == ".py" or path.is_dir()}
    assert lower == there - {"__init__", "__pycache__"}


def test_the_extensions_are_imported_by_their_packages_alone():
    for path in PYTHON_FILES:
        found = set(imports(path))
        if "dataplane._dataplane" in found:
            assert path.parent == ROOT / "dataplane" / "binding"
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


@pytest.mark.parametrize("path", [path for path in C_FILES if path.parent != SRC], ids=name)
def test_includes_point_one_way(path):
    here = folder(path.relative_to(SRC))
    for header in includes(path):
        there = folder(header)
        assert there in {here, *C_MAY[here]} or header.name in C_SHARED, (
            f"{name(path)} must not include {header}"
        )


def test_the_folders_of_the_line_are_layers():
    """Each may use those above it in the list alone, so there is no circle of folders."""
    lower: set[str] = set()
    for each, may in C_MAY.items():
        assert may <= lower, each
        lower.add(each)
    assert lower == {path.name for path in SRC.iterdir() if path.is_dir()}


# --- no circles -------------------------------------------------------------------------------------------

DEFINITION = re.compile(r"^(?!static|typedef|extern|#)[a-z][^;=(]*?[ *](\w+)\([^;{]*\)\n\{", re.MULTILINE)
PROTOTYPE = re.compile(r"^[a-z][^;={}]*\([^;{}]*\);", re.MULTILINE)
COMMENT = re.compile(r"/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"", re.DOTALL)


def unit(path):
    """A C file and its header are one: ``session/stream``."""
    return str(path.relative_to(SRC).with_suffix(""))


def c_uses():
    """What each unit includes, and what it calls."""
    texts = {path: COMMENT.sub("", path.read_text()) for path in C_FILES}
    defined = {function: unit(path) for path, text in texts.items() for function in DEFINITION.findall(text)}
    uses: dict[str, set[str]] = {unit(path): set() for path in C_FILES}
    for path, text in texts.items():
        uses[unit(path)] |= {unit(SRC / header) for header in includes(path) if header.suffix == ".h"}
        called = set(re.findall(r"\b(\w+)\(", PROTOTYPE.sub("", text)))
        uses[unit(path)] |= {defined[function] for function in called & defined.keys()}
    assert any(defined.values())
    return {each: used - {each} for each, used in uses.items()}


def python_uses():
    """What each module imports, for its types alone too; a package stands for its ``__init__``."""
    modules = {dotted(path) for path in PYTHON_FILES}
    return {
        dotted(path): {found for found in imports(path) if found in modules} - {dotted(path)}
        for path in PYTHON_FILES
    }


def dotted(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def circle(uses):
    """One circle, as the names along it, or nothing."""
    done: set[str] = set()
    trail: list[str] = []

    def walk(each):
        if each in trail:
            return [*trail[trail.index(each) :], each]
        if each in done:
            return []
        trail.append(each)
        found: list[str] = next(filter(None, map(walk, sorted(uses[each]))), [])
        trail.pop()
        done.add(each)
        return found

    return next(filter(None, map(walk, sorted(uses))), [])


def test_no_circle_of_c_files():
    assert not circle(c_uses())


def test_no_circle_of_python_modules():
    assert not circle(python_uses())


def test_the_check_sees_something():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    uses = c_uses()
    assert "session/reassembly" in uses["session/stream"]
    assert "port/kinds" in uses["engine/ports"], "called, not included"
    assert any("dataplane.binding" in set(imports(path)) for path in PYTHON_FILES)
    assert "dataplane._dataplane" in set(imports(ROOT / "dataplane" / "binding" / "engine.py"))
