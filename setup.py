"""The cffi extensions: a setup() keyword that pyproject.toml cannot carry."""

from setuptools import setup

setup(
    cffi_modules=[
        "dataplane/build.py:ffibuilder",
        "dataplane/pyxdp/build.py:ffibuilder",
    ]
)
