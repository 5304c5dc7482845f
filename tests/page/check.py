"""Holds the page, as Chromium shows it, against the run's file: every figure of the tables and pictures is computed here once more.

check.py RUN.json FOLDER, where tests/page/run has left dom.html, the screenshots, the widths and the print.
"""

import json
import re
import struct
import sys
import zlib
from html.parser import HTMLParser
from pathlib import Path
from statistics import median

ALWAYS = ["requests_per_second", "fastest_ms", "average_ms", "slowest_ms"]
SOMETIMES = ["cpu_us", "p50_ms", "p90_ms", "p99_ms"]


def shown(value):
    """A figure as benches/report/src/number.rs writes it."""
    if value >= 999.5:
        return f"{int(value + 0.5):,}"
    digits = 0 if value >= 99.95 else 1 if value >= 9.995 else 2 if value >= 0.0995 or value == 0 else 3
    return f"{value:.{digits}f}"


def figures(run):
    """(row, shape, metric) -> the figures of the rounds, of what failed in none."""
    failed = {(cell["row"], cell["shape"]) for cell in run["cells"] if "failed" in cell["outcome"]}
    values = {}
    for cell in run["cells"]:
        if (cell["row"], cell["shape"]) in failed:
            continue
        measured = cell["outcome"]["measured"]
        for metric in ALWAYS + SOMETIMES:
            if measured[metric] is not None:
                values.setdefault((cell["row"], cell["shape"], metric), []).append(measured[metric])
    return values


class Page(HTMLParser):
    """The cells of tables by what they show, and the texts of each picture."""

    def __init__(self):
        super().__init__()
        self.cells, self.pictures, self.svg_titles = {}, {}, {}
        self.cell = self.figure = self.inside = None
        self.columns = {}
        self.fetches = []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag in ("script", "link", "img", "iframe") or "src" in attributes or "href" in attributes:
            self.fetches.append(tag)
        if tag == "figure":
            self.figure = attributes["id"]
            self.pictures[self.figure] = []
        self.inside = tag
        if tag == "td" and "data-row" in attributes:
            self.cell = (attributes["data-row"], attributes["data-shape"], attributes["data-metric"])
            assert self.cell not in self.cells, f"{self.cell} is there twice"
            self.cells[self.cell] = ""

    def handle_endtag(self, tag):
        if tag == "td":
            self.cell = None
        if tag == "figure":
            self.figure = None
        self.inside = None

    def handle_data(self, data):
        if self.cell:
            self.cells[self.cell] += data
        elif self.figure and self.inside == "text":
            self.pictures[self.figure].append(data.strip())
        elif self.figure and self.inside == "title":
            self.svg_titles[self.figure] = data


def check_tables(page, values, run):
    ceilings = {row["id"] for row in run["rows"] if row["role"] == "ceiling"}
    # A column that no server has is left out, with what the timers had in it.
    columns = {(shape, metric) for row, shape, metric in values if row not in ceilings}
    expected = {key: shown(median(of)) for key, of in values.items() if key[1:] in columns or key[2] in ("requests_per_second", "cpu_us")}
    assert page.cells.keys() == expected.keys(), f"cells and figures differ: {sorted(page.cells.keys() ^ expected.keys())[:5]}"
    wrong = {key: (page.cells[key], expected[key]) for key in expected if page.cells[key] != expected[key]}
    assert not wrong, f"shown and measured: {wrong}"
    return len(expected)


def check_pictures(page, values, run):
    ceilings = {row["id"] for row in run["rows"] if row["role"] == "ceiling"}
    n_checked = 0
    for id, texts in page.pictures.items():
        assert page.svg_titles.get(id), f"the picture {id} has no title"
        kind, _, shape = id.partition("-")
        metric = {"rate": "requests_per_second", "cpu": "cpu_us"}.get(kind)
        if metric is None:
            continue
        expected = []
        for row in run["rows"]:
            of = values.get((row["id"], shape, metric))
            if of and row["id"] not in ceilings:
                spread = f" ({shown(min(of))} to {shown(max(of))})" if len(of) > 1 else ""
                expected.append(shown(median(of)) + spread)
        assert expected, f"the picture {id} is of nothing that was measured"
        drawn = [text for text in texts if text in expected]
        assert drawn == expected, f"the picture {id} shows {texts}, measured was {expected}"
        n_checked += len(expected)
    assert n_checked, "no picture shows requests a second or CPU"
    return n_checked


def check_sentences(dom, run):
    sentences = re.findall(r'<p class="sentence">(.*?)</p>', dom)
    assert len(sentences) == 3 and all(sentence.endswith(".") for sentence in sentences), sentences
    for fact in ("command", "kernel", "commit", "cpu"):
        text = run["machine"][fact].replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        assert text in dom, f"the page does not tell the {fact}"


def pixels(path):
    """The colours of a screenshot's pixels, by how often they occur."""
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n", f"{path} is no PNG"
    at, packed = 8, b""
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", body[:10])
        elif kind == b"IDAT":
            packed += body
        at += 12 + length
    assert depth == 8 and colour in (2, 6), f"{path}: {depth} bits, colour type {colour}"
    n, raw = (3 if colour == 2 else 4), zlib.decompress(packed)
    stride, above, seen = width * n, bytes(width * n), {}
    for y in range(height):
        kind, line = raw[y * (stride + 1)], bytearray(raw[y * (stride + 1) + 1 : (y + 1) * (stride + 1)])
        for x in range(stride):
            left, up, corner = line[x - n] if x >= n else 0, above[x], above[x - n] if x >= n else 0
            if kind == 4:
                nearest = min((abs(up - corner), 0, left), (abs(left - corner), 1, up), (abs(left + up - 2 * corner), 2, corner))[2]
            else:
                nearest = (0, left, up, (left + up) // 2)[kind]
            line[x] = (line[x] + nearest) & 255
        above = bytes(line)
        if y % 8 == 0:
            for x in range(0, stride, n):
                colour_of = above[x : x + 3]
                seen[colour_of] = seen.get(colour_of, 0) + 1
    return seen


def check_screenshots(folder):
    """Each shows something, and the dark one is dark."""
    for name, dark in (("desk", False), ("phone", False), ("print", False), ("dark", True)):
        seen = pixels(folder / f"{name}.png")
        paper = max(seen, key=seen.get)
        assert len(seen) > 50, f"{name}.png has {len(seen)} colours: an empty page"
        assert (sum(paper) < 200) == dark, f"{name}.png: the paper is {paper.hex()}"
    for name in ("desk", "phone", "print"):
        width, needs = re.findall(r"\d+", (folder / f"{name}.width").read_text())
        assert int(needs) <= int(width), f"{name}: the page is {needs} wide in a window of {width}"
    printed = (folder / "print.pdf").read_bytes()
    assert printed.startswith(b"%PDF-") and len(printed) > 20_000, "nothing was printed"


def main():
    run = json.loads(Path(sys.argv[1]).read_text())
    folder = Path(sys.argv[2])
    dom = (folder / "dom.html").read_text()
    page, values = Page(), figures(run)
    page.feed(dom)
    assert not page.fetches, f"the page is not alone: {page.fetches}"
    n_cells = check_tables(page, values, run)
    n_drawn = check_pictures(page, values, run)
    check_sentences(dom, run)
    check_screenshots(folder)
    print(f"the page of {sys.argv[1]}: {n_cells} figures in tables and {n_drawn} in pictures are those of the file; screenshots in {folder}")


main()
