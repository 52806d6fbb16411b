"""Builds the extension ``dataplane.pyxdp._pyxdp``: AF_XDP sockets and XDP programs for Python.

The headers ``afxdp.h`` and ``program.h`` are the cdef, so nothing is declared twice. Run by setuptools
through ``cffi_modules`` in setup.py, or alone, from the project's root, to build the extension in place.
"""

import re
from pathlib import Path

from cffi import FFI

ROOT = Path(__file__).resolve().parent.parent.parent
HERE = ROOT / "dataplane" / "pyxdp"
HEADERS = [HERE / "afxdp.h", HERE / "program.h"]

WARNINGS = ["-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Wstrict-prototypes", "-Werror"]


def cdef(header: str) -> str:
    """The header without the directives that cffi does not read (all but integer constants)."""
    return re.sub(r"^#(?!define \w+ (?:\d|0x)).*$", "", header, flags=re.MULTILINE)


def relative(pattern: str) -> list[str]:
    """Files of this folder, relative to the project's root, as setuptools wants them."""
    return sorted(str(path.relative_to(ROOT)) for path in HERE.glob(pattern))


ffibuilder = FFI()
for each in HEADERS:
    ffibuilder.cdef(cdef(each.read_text()))
ffibuilder.set_source(
    "dataplane.pyxdp._pyxdp",
    "".join(f'#include "{each.name}"\n' for each in HEADERS),
    sources=relative("[!_]*.c"),
    include_dirs=["dataplane/pyxdp"],
    depends=relative("*.h"),
    libraries=["xdp", "bpf"],
    extra_compile_args=["-std=gnu17", "-O2", "-g", "-fvisibility=hidden", *WARNINGS],
    py_limited_api=True,
)

if __name__ == "__main__":
    ffibuilder.compile(tmpdir=str(ROOT), verbose=True)
    for made in (*HERE.glob("*.o"), HERE / "_pyxdp.c"):
        made.unlink()
