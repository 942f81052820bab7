"""The parts of the demo, one a file; each has ``run(tick) -> Part``."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

Tick = Callable[[float], None]  # called with the fraction done


@dataclass
class Part:
    """What a part found: one line for the terminal, HTML for the report, and the failures of its own checks."""

    title: str
    line: str
    html: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def text(self, *paragraphs: str) -> None:
        """Add paragraphs."""
        self.html += [f"<p>{paragraph}</p>" for paragraph in paragraphs]

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Add a table."""
        head = "".join(f"<th>{heading}</th>" for heading in headings)
        body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
        self.html.append(f"<div class='scroll'><table><tr>{head}</tr>{body}</table></div>")

    def code(self, text: str) -> None:
        """Add preformatted text."""
        escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        self.html.append(f"<pre>{escaped}</pre>")

    def figure(self, figure: Any, caption: str) -> None:
        """Add a matplotlib figure as an embedded PNG, and close it."""
        import matplotlib.pyplot as plt

        stream = io.BytesIO()
        figure.savefig(stream, format="png", dpi=110, bbox_inches="tight")
        plt.close(figure)
        encoded = base64.b64encode(stream.getvalue()).decode()
        self.html.append(
            f"<figure><img src='data:image/png;base64,{encoded}' alt='{caption}'><figcaption>{caption}</figcaption></figure>"
        )

    def check(self, holds: bool, sentence: str) -> None:
        """Record a failure unless ``holds``."""
        if not holds:
            self.failures.append(sentence)
