"""Lines, boxes and text as SVG, in the colours of the pages' pictures.

engine_blocks.py and teaching_pictures.py beside it draw with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.sax.saxutils import escape

PAPER, INK, GREY = "#fbfaf6", "#222222", "#555555"
BLUE, PALE_BLUE = "#3a6ea5", "#e7eef7"
ORANGE, PALE_ORANGE = "#a5573a", "#fff4ec"
DARK, FAINT = "#1d1f27", "#d9d6cc"

FONT = "DejaVu Sans, Verdana, sans-serif"


class Drawing:
    """A picture that grows by what is drawn; x goes right and y down, in pixels."""

    def __init__(self, width: int, height: int, title: str) -> None:
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'font-family="{FONT}" font-size="14" text-anchor="middle">',
            f"<title>{escape(title)}</title>",
            '<defs><marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" '
            'markerHeight="7" orient="auto"><path d="M0,0 L10,5 L0,10 z" fill="#555"/></marker>'
            "</defs>",
            f'<rect width="{width}" height="{height}" rx="10" fill="{PAPER}"/>',
        ]

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        fill: str = "#ffffff",
        stroke: str = BLUE,
        radius: float = 6,
    ) -> None:
        """A rectangle with round corners."""
        self._parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius:g}" '
            f'fill="{fill}" stroke="{stroke}" stroke-width="1.5"/>'
        )

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float = 14,
        fill: str = INK,
        anchor: str = "middle",
        bold: bool = False,
    ) -> None:
        """A line of text whose baseline is at `y`."""
        weight = ' font-weight="bold"' if bold else ""
        self._parts.append(
            f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" fill="{fill}" '
            f'text-anchor="{anchor}"{weight}>{escape(text)}</text>'
        )

    def line(
        self,
        points: Iterable[tuple[float, float]],
        stroke: str = GREY,
        width: float = 1.8,
        *,
        arrow: bool = False,
        dashed: bool = False,
    ) -> None:
        """A line through points, with an arrow at its end or without."""
        path = " L".join(f"{x:g},{y:g}" for x, y in points)
        end = ' marker-end="url(#arrow)"' if arrow else ""
        dashes = ' stroke-dasharray="5 4"' if dashed else ""
        self._parts.append(
            f'<path d="M{path}" fill="none" stroke="{stroke}" stroke-width="{width:g}"'
            f"{end}{dashes}/>"
        )

    def squares(self, places: Iterable[tuple[float, float]], side: float, fill: str) -> None:
        """Many squares of one colour, by their upper left corners."""
        path = "".join(f"M{x:g},{y:g}h{side:g}v{side:g}h-{side:g}z" for x, y in places)
        if path:
            self._parts.append(f'<path d="{path}" fill="{fill}"/>')

    def circle(self, x: float, y: float, radius: float, fill: str, stroke: str = "none") -> None:
        """A disc."""
        self._parts.append(
            f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" fill="{fill}" stroke="{stroke}"/>'
        )

    def __str__(self) -> str:
        """The SVG."""
        return "\n".join([*self._parts, "</svg>", ""])
