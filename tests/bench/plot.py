"""The cost of a frame against the number of sessions, as a picture (SVG)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

Result = dict[str, Any]

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 60, 170, 40, 50
COLOURS = {"requests": "#1f6feb", "client": "#d29922", "both": "#2da44e"}
WORDS = {"requests": "requests mirrored", "client": "client's frames", "both": "both directions"}
GRID = 100  # nanoseconds


def sessions(results: Sequence[Result]) -> str:
    """One line for each thing that the mirror shows; keep-alive connections, one worker."""
    kept = [result for result in results if result["case"] == "keep-alive"]
    counts = sorted({result["sessions"] for result in kept})
    most = math.ceil(max(result["ns_per_frame"] for result in kept) / GRID) * GRID
    first, decades = math.log10(counts[0]), math.log10(counts[-1] / counts[0])

    def place(count: int, nanoseconds: float) -> tuple[float, float]:
        x = LEFT + (math.log10(count) - first) / decades * (WIDTH - LEFT - RIGHT)
        return round(x, 1), round(HEIGHT - BOTTOM - nanoseconds / most * (HEIGHT - TOP - BOTTOM), 1)

    parts = [words(WIDTH / 2, 20, "ns for each received frame, by sessions at the same time", "middle")]
    for value in range(0, most + 1, GRID):
        _, y = place(counts[0], value)
        parts.append(f'<line x1="{LEFT}" y1="{y}" x2="{WIDTH - RIGHT}" y2="{y}" stroke="#ccc"/>')
        parts.append(words(LEFT - 8, y + 4, str(value), "end"))
    parts += [words(place(count, 0)[0], HEIGHT - BOTTOM + 20, f"{count:,}", "middle") for count in counts]
    for mirrored, colour in COLOURS.items():
        points = sorted(
            (result["sessions"], result["ns_per_frame"]) for result in kept if result["mirrored"] == mirrored
        )
        parts += curve([place(*point) for point in points], colour, WORDS[mirrored])
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}"'
    return "\n".join([f'{head} font-family="sans-serif" font-size="12">', *parts, "</svg>", ""])


def curve(points: Sequence[tuple[float, float]], colour: str, name: str) -> list[str]:
    """A line through the points, with its name at the end."""
    if not points:
        return []
    path = " ".join(f"{x},{y}" for x, y in points)
    dots = [f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in points]
    x, y = points[-1]
    line = f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
    return [line, *dots, words(x + 8, y + 4, name, "start")]


def words(x: float, y: float, text: str, anchor: str) -> str:
    """A piece of text."""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{text}</text>'
