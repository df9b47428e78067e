"""A report page: one HTML file that needs nothing else, for a wide screen and for a phone."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

from ffs_ros.evaluation.plots import Plot, svg

_STYLE = """
:root{color-scheme:light dark;--back:#fff;--text:#1c2024;--soft:#5f6b76;--line:#d9dee3;--card:#f5f7f9;--mark:#0b6bcb;
--second:#c2410c;--good:#157f3c;--bad:#b3261e}
@media(prefers-color-scheme:dark){:root{--back:#14171a;--text:#e6e9ec;--soft:#9aa5b1;--line:#343b42;--card:#1d2226;
--mark:#5aa9f5;--second:#f59e5b;--good:#5fcf80;--bad:#ff8a80}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1200px;padding:20px 16px 48px;background:var(--back);color:var(--text);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
h1{font-size:24px;line-height:1.25;margin:0 0 4px;overflow-wrap:anywhere}
h2{font-size:18px;margin:32px 0 10px;overflow-wrap:anywhere}
p{margin:6px 0;max-width:80ch;overflow-wrap:anywhere}
.soft,figcaption,th{color:var(--soft)}
.good{color:var(--good)}.bad{color:var(--bad)}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(128px,1fr));gap:10px;margin:16px 0}
.cards div{background:var(--card);border-radius:8px;padding:10px 12px}
.cards span{display:block;color:var(--soft);font-size:13px}
.cards b{font-size:20px;white-space:nowrap;font-weight:600;font-variant-numeric:tabular-nums}
.wide{overflow-x:auto}.wide+.wide{margin-top:18px}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;white-space:nowrap}
th,td{padding:5px 12px 5px 0;text-align:right;border-bottom:1px solid var(--line);font-weight:normal}
th:first-child,td:first-child{text-align:left}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,340px),1fr));gap:16px}
svg{width:100%;height:auto;display:block;background:var(--card);border-radius:8px}
svg text{fill:var(--soft);font-size:12px}
svg .title{fill:var(--text);font-size:14px}
.grid{stroke:var(--line)}.axis{stroke:var(--soft)}.bar{fill:var(--mark)}
.line{fill:none;stroke-width:1.8}.line0{stroke:var(--mark)}.line1{stroke:var(--second)}.line2{stroke:var(--good)}
svg .name{stroke:none}svg .name.line0{fill:var(--mark)}svg .name.line1{fill:var(--second)}
svg .name.line2{fill:var(--good)}
figure{margin:0 0 20px}
figcaption{font-size:14px;margin-bottom:4px;overflow-wrap:anywhere}
.panels{display:grid;grid-template-columns:repeat(var(--columns),1fr);gap:4px}
.panels div{font-size:12px;color:var(--soft)}
.panels img{width:100%;display:block;border-radius:4px}
@media(max-width:640px){.panels{grid-template-columns:repeat(2,1fr)}th,td{padding-right:10px}
td:first-child{white-space:normal;min-width:8.5em}h1{font-size:21px}}
"""


def page(title: str, lines: Sequence[str], sections: Sequence[str]) -> str:
    """The whole file: ``lines`` of text below the title, then ``sections``, which are HTML."""
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
    text = "".join(f'<p class="soft">{escape(line)}</p>' for line in lines)
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}<title>{escape(title)}</title><style>{_STYLE}</style></head>\n'
        f"<body><h1>{escape(title)}</h1>{text}\n" + "\n".join(sections) + "\n</body></html>\n"
    )


def section(title: str, *parts: str) -> str:
    """HTML ``parts`` under a heading."""
    return f"<h2>{escape(title)}</h2>" + "".join(parts)


def paragraph(text: str, kind: str = "") -> str:
    """A sentence; ``kind`` is ``good``, ``bad``, ``soft`` or nothing."""
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def details(summary: str, sentences: Sequence[str]) -> str:
    """Sentences behind a summary, the first ones of many; nothing where there are none."""
    if not sentences:
        return ""
    text = "".join(map(paragraph, sentences))
    return f'<details><summary class="bad">{escape(summary)}</summary>{text}</details>'


def cards(entries: Sequence[tuple[str, str]]) -> str:
    """Name and value of the figures that matter most."""
    return '<div class="cards">' + "".join(
        f"<div><span>{escape(name)}</span><b>{escape(value)}</b></div>" for name, value in entries
    ) + "</div>"  # fmt: skip


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows of text under a head; it scrolls sideways where it is too wide."""
    cells = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{cells}</tr>{body}</table></div>'


def plots(several: Sequence[Plot]) -> str:
    """Plots beside each other, below each other on a phone."""
    return f'<div class="plots">{"".join(map(svg, several))}</div>'


def panels(caption: str, labelled: Sequence[tuple[str, bytes]]) -> str:
    """JPEG pictures in a row, two in a row on a phone, each below its label."""
    pictures = "".join(
        f'<div>{escape(label)}<img alt="{escape(label)}" src="{_data_url(jpeg)}"></div>' for label, jpeg in labelled
    )
    grid = f'<div class="panels" style="--columns:{len(labelled)}">{pictures}</div>'
    return f"<figure><figcaption>{escape(caption)}</figcaption>{grid}</figure>"


def _data_url(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
