"""A page read back."""

from html.parser import HTMLParser

VOID = {"meta", "img", "br", "input", "rect", "path"}


class Page(HTMLParser):
    """A page read back: its elements with their attributes, its text, and whether every element is closed."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source, self.elements, self.open, self.words = source, [], [], ""  # type: ignore[var-annotated]
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data

    def all(self, tag: str, part: str = "") -> list[dict[str, str]]:
        """Attributes of the elements of one tag that have `part` among their classes."""
        return [a for name, a in self.elements if name == tag and (not part or part in a.get("class", "").split())]
