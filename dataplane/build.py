"""Builds the extension ``dataplane._dataplane``: the C line, with the XDP object embedded.

The headers in ``include`` are both those of the C sources and the cdef, so nothing is declared twice.
Run by setuptools through ``cffi_modules`` in setup.py.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from cffi import FFI

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / "dataplane"
HEADERS = [HERE / "include" / name for name in ("dataplane_config.h", "dataplane.h")]
STEER = HERE / "bpf" / "steer.bpf.c"

WARNINGS = ["-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Wstrict-prototypes", "-Werror"]


def c_sources() -> list[str]:
    """All C files of the line, relative to the project's root, as setuptools wants them."""
    files = [*(HERE / "src").rglob("*.c"), *(HERE / "pyxdp").glob("afxdp*.c")]
    return sorted(str(path.relative_to(ROOT)) for path in files)


def cdef(header: str) -> str:
    """The header without the directives that cffi does not read (all but integer constants)."""
    return re.sub(r"^#(?!define \w+ (?:\d|0x)).*$", "", header, flags=re.MULTILINE)


def compile_bpf(source: Path) -> bytes:
    """The BPF ELF object of a C source; needs clang and the headers of libbpf."""
    clang = shutil.which("clang")
    if clang is None:
        sys.exit("xdpcopy: clang is needed to compile dataplane/bpf; run 'make build' or install clang")
    machine = subprocess.run(["gcc", "-dumpmachine"], capture_output=True, text=True, check=True)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "steer.bpf.o"
        command = [clang, "-O2", "-g", "-target", "bpf", "-Wall", "-Werror", "-mcpu=v3"]
        command += [f"-I/usr/include/{machine.stdout.strip()}", f"-I{HERE / 'src'}"]
        command += ["-c", str(source), "-o", str(target)]
        subprocess.run(command, check=True)
        return target.read_bytes()


def embedded(name: str, data: bytes) -> str:
    """C source of a function that returns the bytes."""
    numbers = ",".join(map(str, data))
    return (
        f"static const uint8_t {name}_bytes[] __attribute__((aligned(8))) = {{{numbers}}};\n"
        f"const uint8_t *{name}(size_t *size)\n{{\n    *size = sizeof({name}_bytes);\n"
        f"    return {name}_bytes;\n}}\n"
    )


ffibuilder = FFI()
ffibuilder.cdef("".join(cdef(header.read_text()) for header in HEADERS))
ffibuilder.set_source(
    "dataplane._dataplane",
    '#include "dataplane.h"\n' + embedded("dp_steer_object", compile_bpf(STEER)),
    sources=c_sources(),
    include_dirs=["dataplane/include", "dataplane/src", "dataplane/pyxdp"],
    depends=[str(p.relative_to(ROOT)) for p in [*HERE.rglob("*.[hc]"), *HERE.rglob("*.def")]],
    libraries=["xdp", "bpf", "pcap"],
    extra_compile_args=["-std=gnu17", "-O3", "-g", "-fvisibility=hidden", "-pthread", *WARNINGS],
    extra_link_args=["-pthread"],
    py_limited_api=True,
)

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
