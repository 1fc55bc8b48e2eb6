"""A table as a value that is written as Markdown and as HTML."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Final

_MARKDOWN_SIGNS: Final = str.maketrans({sign: f"\\{sign}" for sign in "\\`*_[]<|"} | {"\n": " ", "\r": " "})


@dataclass(frozen=True)
class Table:
    """A caption, column heads and rows of words. The first `words` columns hold words, the others numbers."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: int = 1

    def markdown(self) -> str:
        """The caption as a paragraph, if there is one, and a table in pipes; no sign in them becomes mark-up."""
        rules = ["---" if column < self.words else "---:" for column in range(len(self.head))]
        lines = [_cells(map(markdown_escape, self.head)), _cells(rules)]
        lines += [_cells(map(markdown_escape, row)) for row in self.rows]
        return "\n".join([markdown_escape(self.caption), "", *lines] if self.caption else lines)

    def html(self) -> str:
        """A table element that scrolls by itself where the window is narrow; everything is escaped.

        Rows that begin as the row above does have the class `again`, so that they can be shown as one group.
        """
        head = "".join(
            f'<th scope="col"{self._side(column)}>{escape(words)}</th>' for column, words in enumerate(self.head)
        )
        rows = "\n".join(
            f"<tr{_again(row, above)}>"
            + "".join(f"<td{self._side(n)}>{escape(words)}</td>" for n, words in enumerate(row))
            + "</tr>"
            for above, row in pairwise([(), *self.rows])
        )
        caption = f"<caption>{escape(self.caption)}</caption>\n" if self.caption else ""
        return f"""<div class="scroll" tabindex="0" role="region" aria-label="{escape(self.caption or "Table")}"><table>
{caption}<thead><tr>{head}</tr></thead>
<tbody>
{rows}
</tbody></table></div>"""

    def _side(self, column: int) -> str:
        return "" if column < self.words else ' class="number"'


def _again(row: Sequence[str], above: Sequence[str]) -> str:
    return ' class="again"' if row[:1] == above[:1] else ""


def markdown_escape(words: str) -> str:
    """Words as Markdown that shows them as they are, on one line."""
    return words.translate(_MARKDOWN_SIGNS)


def percent(rate: float) -> str:
    """A rate in percent with two decimals."""
    return f"{100 * rate:.2f}"


def _cells(words: "Sequence[str] | map[str]") -> str:
    return f"| {' | '.join(words)} |"
