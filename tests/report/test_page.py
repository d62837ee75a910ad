import base64
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from landslide_tf.errors import DataError
from landslide_tf.report import (
    Chart,
    Charts,
    Code,
    Figure,
    KeyNumbers,
    Line,
    Link,
    Section,
    Table,
    markdown,
    write_page,
)

DASH = "\u2013"
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Checker(HTMLParser):
    """Reads a page strictly: every element closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def read(path):
    checker = Checker()
    checker.feed(path.read_text(encoding="utf-8"))
    checker.close()
    assert checker.open == []
    return checker


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "a picture.png"
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(path)
    return path


def sections(picture, **figure):
    table = Table(
        caption="Scores",
        header=["model", "IoU"],
        rows=[["fstf_net", 0.73214], ["rae_d", None]],
        strong=0,
    )
    shown = Figure(path=picture, alt='Image & "truth"', caption="One", **figure)
    return [
        Section("", ["First `code <b>`.", KeyNumbers(numbers=[("IoU", 0.7, "test")])]),
        Section("Scores & more", [table]),
        Section("Pictures", [shown]),
        Section("Next", [Code("landslide-tf demo --out <DIR>")]),
    ]


def test_the_page_is_well_formed_and_accessible(tmp_path, picture):
    page = read(write_page(tmp_path / "index.html", "A <title>", sections(picture)))
    assert page.all("html") == [{"lang": "en"}]
    assert [i["alt"] for i in page.all("img")] == ['Image & "truth"']
    scopes = [heading["scope"] for heading in page.all("th")]
    assert scopes == ["col", "col", "row", "row"]
    assert len(page.all("caption")) == 1
    links = [a["href"].removeprefix("#") for a in page.all("a")]
    assert links == [h["id"] for h in page.all("h2")]
    text = "".join(page.text)
    for shown in ("A <title>", "code <b>", "0.732", DASH, "demo --out <DIR>"):
        assert shown in text
    assert page.all("tr")[1] == {"class": "strong"}
    assert "b" not in {tag for tag, _ in page.tags}


def test_the_page_needs_nothing_from_outside(tmp_path, picture):
    path = write_page(tmp_path / "index.html", "Title", sections(picture))
    text = path.read_text()
    page = read(path)
    assert not page.all("script") and not page.all("link")
    assert not re.search(r"https?://|@import|url\(", text)
    (image,) = page.all("img")
    kind, content = image["src"].split(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(content) == picture.read_bytes()
    assert "color-scheme: light dark" in text


def test_pictures_can_stay_files(tmp_path, picture):
    path = tmp_path / "sub" / "index.html"
    page = read(write_page(path, "Title", sections(picture, embed=False)))
    assert page.all("img")[0]["src"] == "../a%20picture.png"


def test_links_lead_to_files_beside_the_page(tmp_path):
    link = Link("The map & <more>", tmp_path / "a map" / "map#1.html")
    path = write_page(tmp_path / "sub" / "index.html", "T", [Section("", [link])])
    page = read(path)
    assert page.all("a") == [{"class": "go", "href": "../a%20map/map%231.html"}]
    assert "The map & <more>" in "".join(page.text)


def test_equal_content_gives_equal_bytes(tmp_path, picture):
    one = write_page(tmp_path / "1.html", "Title", sections(picture)).read_bytes()
    assert (
        one == write_page(tmp_path / "2.html", "Title", sections(picture)).read_bytes()
    )


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (Figure(path="absent.png", alt="x"), "existing PNG, JPEG or SVG"),
        (Figure(path=__file__, alt="x"), "existing PNG, JPEG or SVG"),
        (Table(caption="", header=["a", "b"], rows=[[1]]), "must have 2 cells"),
    ],
)
def test_bad_blocks_leave_no_page(tmp_path, block, message):
    with pytest.raises(DataError, match=message):
        write_page(tmp_path / "index.html", "Title", [Section("A", [block])])
    assert list(tmp_path.iterdir()) == []


def test_a_picture_needs_words(tmp_path, picture):
    wordless = Section("A", [Figure(path=picture, alt=" ")])
    with pytest.raises(DataError, match="needs `alt`"):
        write_page(tmp_path / "index.html", "Title", [wordless])


HOSTILE = (
    "</svg></style><script>alert('x')</script>\"'><img src=x onerror=1>&amp;{{ 1 }}"
)


def hostile_blocks(picture, text):
    """Every block of a page, with a text at every place that takes one."""
    table = Table(caption=text, header=[text, "n"], rows=[[text, text], [text, 1.0]])
    line = Line(text, [(1.0, 2.0), (2.0, 3.0)])
    return [
        text,
        table,
        Figure(path=picture, alt=text, caption=text),
        KeyNumbers(numbers=[(text, text, text)]),
        Code(text),
        Link(text, picture),
        Charts([Chart(title=text, lines=[line], x_name=text)]),
    ]


def test_text_stays_text_wherever_it_stands(tmp_path, picture):
    wanted = read(write_page(tmp_path / "1.html", "T", [
        Section("A", hostile_blocks(picture, "plain"))
    ]))  # fmt: skip
    page = read(write_page(tmp_path / "2.html", HOSTILE, [
        Section(HOSTILE, hostile_blocks(picture, HOSTILE))
    ]))  # fmt: skip
    # The same elements, and the text in full as often as the plain one.
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in wanted.tags]
    text = "".join(page.text)
    assert text.count(HOSTILE) == "".join(wanted.text).count("plain") + 3
    values = [value for _, attributes in page.tags for value in attributes.values()]
    plain = [value for _, attributes in wanted.tags for value in attributes.values()]
    assert values.count(HOSTILE) == plain.count("plain")


def test_markdown_holds_the_tables_and_words_of_the_page(tmp_path, picture):
    parts = sections(picture)
    page = "".join(read(write_page(tmp_path / "index.html", "A\nt", parts)).text)
    text = markdown("A\nt", parts)
    lines = text.splitlines()
    assert lines[0] == "# A t"
    for section in parts[1:]:
        assert f"## {section.heading}" in lines and section.heading in page
    assert "| fstf_net | 0.732 |" in lines
    assert f"| rae_d | {DASH} |" in lines and DASH in page
    assert '![Image & "truth"](a picture.png)' in lines
    assert text.endswith("\n") and "\n\n\n" not in text
