"""Scenes: made for each test, and closed with the ledger checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

pytest.register_assert_rewrite("tests.line.scene", "tests.line.tape")

from tests.line.scene import Scene  # noqa: E402 - after the line above, so that its asserts explain themselves
from tests.line.tape import Playback, Responder  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def make_scene() -> Iterator[Callable[..., Scene]]:
    scenes: list[Scene] = []

    def make(**settings: Any) -> Scene:
        scenes.append(Scene(**settings))
        return scenes[-1]

    yield make
    for scene in scenes:
        scene.finish()


@pytest.fixture
def make_playback() -> Iterator[Callable[..., Playback]]:
    """Playbacks; each is finished, and its ledger checked, at the end."""
    made: list[Playback] = []

    def one(*files: Path, target: Responder | None = None, **settings: Any) -> Playback:
        made.append(Playback(files, target=target or Responder(), **settings))
        return made[-1]

    yield one
    for playback in made:
        playback.finish()


@pytest.fixture
def scene(make_scene: Callable[..., Scene]) -> Scene:
    return make_scene()


@pytest.fixture
def open_scene(scene: Scene) -> Scene:
    """Established on both sides."""
    scene.establish()
    return scene
