"""Whether a page is well-formed and needs nothing else."""

from __future__ import annotations

import re
from html.parser import HTMLParser

VOID = {"meta", "img"}
"""Elements of HTML that have no end."""


class Checked(HTMLParser):
    """Raises when elements are not closed in turn, or run programs; collects what is loaded from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "link", "iframe", "object", "embed", "use", "base")
        for name, value in attrs:
            assert not name.startswith("on")
            if name in ("src", "href", "xlink:href", "srcset", "poster") and not str(value).startswith("data:"):
                self.loaded.append(str(value))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def check(text: str) -> None:
    """A well-formed page that loads nothing and fits a phone."""
    checked = Checked()
    checked.feed(text)
    checked.close()
    assert checked.open == []
    assert checked.loaded == []
    assert not re.search(r"@import|url\(|https?:", text)
    assert 'name="viewport"' in text
