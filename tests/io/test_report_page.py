"""The report's HTML: self-contained, escaped, in order; pictures small enough for a page."""

import base64
import hashlib
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lnmdetect.core.errors import OutputError
from lnmdetect.io.report_page import content_policy, render_report, slices_json, write_report
from lnmdetect.io.report_pictures import picture_uri
from lnmdetect.io.report_view import Browser, Plot, ReportView, Section, SliceBox, Table


class Elements(HTMLParser):
    """Collects elements, and the text of scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {"script": [], "style": []}
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._inside = tag

    def handle_data(self, data: str) -> None:
        if self._inside in self.texts:
            self.texts[self._inside].append(data)

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""


def test_nothing_is_loaded_from_outside(report_view: ReportView) -> None:
    for tag, attributes in Elements(render_report(report_view)).found:
        for name in ("src", "href", "xlink:href", "srcset", "action", "poster"):
            value = attributes.get(name)
            assert not value or value.startswith(("data:", "#")), (tag, value)
        assert tag not in ("iframe", "object", "embed", "base", "form")


def test_no_element_has_a_style_or_a_handler_of_its_own(report_view: ReportView) -> None:
    for tag, attributes in Elements(render_report(report_view)).found:
        assert not [name for name in attributes if name == "style" or name.startswith("on")], tag


def test_the_policy_allows_by_hash_the_very_style_and_script_of_the_page(
    report_view: ReportView,
) -> None:
    elements = Elements(render_report(report_view))
    policy = next(
        attributes["content"] or ""
        for tag, attributes in elements.found
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; img-src data:; ")
    assert "unsafe" not in policy
    for text in (elements.texts["style"][0], elements.texts["script"][-1]):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


def test_a_changed_script_has_another_policy() -> None:
    assert content_policy(style="a", script="b") != content_policy(style="a", script="c")


def test_text_of_files_is_escaped(report_view: ReportView) -> None:
    page = render_report(report_view)
    assert "Headline &lt;figures&gt;" in page
    assert "2 patients &amp; 6 slices." in page
    assert "Headline <figures>" not in page


def test_a_slice_cannot_end_the_element_that_holds_its_data(report_view: ReportView) -> None:
    evil = "</script><script>alert(1)</script><!--"
    first = replace(report_view.browser.slices[0], uid=evil)
    browser = Browser((first,), 1)
    assert "<" not in slices_json(browser)
    assert json.loads(slices_json(browser))[0]["uid"] == evil


def test_numbers_of_slices_keep_three_decimals(report_view: ReportView) -> None:
    first = replace(report_view.browser.slices[0], position_mm=1.23456)
    assert json.loads(slices_json(Browser((first,), 1)))[0]["position_mm"] == 1.235


def test_headings_go_down_one_level_at_a_time(report_view: ReportView) -> None:
    levels = [int(h) for h in re.findall(r"<h([1-6])\b", render_report(report_view))]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))


def test_the_language_is_told_and_every_table_has_a_caption_and_scoped_heads(
    report_view: ReportView,
) -> None:
    page = render_report(report_view)
    assert '<html lang="en">' in page
    assert page.count("<table") == page.count("<caption>") > 4
    assert not re.search(r"<th(?! scope=)[ >]", page)


def test_links_within_the_page_lead_somewhere_and_ids_are_distinct(report_view: ReportView) -> None:
    found = Elements(render_report(report_view)).found
    ids = [a["id"] for _, a in found if "id" in a]
    assert len(ids) == len(set(ids))
    links = {a["href"] or "" for tag, a in found if tag == "a"}
    assert {link[1:] for link in links} <= set(ids)
    labels = {a["aria-labelledby"] for _, a in found if "aria-labelledby" in a}
    assert labels <= set(ids)


def test_what_is_undefined_says_why(report_view: ReportView) -> None:
    page = render_report(report_view)
    row = page[page.index("Specificity") :]
    assert row.index("no patient without a metastatic node") < row.index("undefined")
    assert "Not drawn: the boxes carry no score." in page


def test_the_phantom_banner_is_there_for_phantoms_only(report_view: ReportView) -> None:
    assert "Phantom figures." in render_report(report_view)
    assert "Phantom figures." not in render_report(replace(report_view, phantom=False))


def test_every_page_says_research_only_at_its_top_and_foot(report_view: ReportView) -> None:
    page = render_report(replace(report_view, phantom=False))
    assert page.count("Not a medical device") == 2
    assert page.index("Not a medical device") < page.index("<h1>")


def test_blanks_of_the_checklist_are_marked(report_view: ReportView) -> None:
    page = render_report(report_view)
    assert page.count("to be filled in by the authors") == 2
    assert page.count('AP50 <span class="blank">the rest to be filled in') == 1


def test_how_many_slices_are_in_the_page_is_said(report_view: ReportView) -> None:
    assert "6 of 9 slices with truth or predictions" in render_report(report_view)


def test_a_page_without_slices_has_no_script(report_view: ReportView) -> None:
    page = render_report(replace(report_view, browser=Browser((), 0)))
    assert "<script" not in page
    assert "No slice has truth or predictions." in page


def test_the_same_view_gives_the_same_page(report_view: ReportView) -> None:
    assert render_report(report_view) == render_report(report_view)


def test_an_existing_report_stays(report_view: ReportView, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_report(report_view, path)
    with pytest.raises(OutputError, match=r"report\.html: expected a new file"):
        write_report(report_view, path)
    write_report(report_view, path, overwrite=True)
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def decoded(uri: str) -> Image.Image:
    head, _, data = uri.partition(",")
    assert head == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


@pytest.mark.parametrize(
    ("shape", "spacing_mm", "size"),
    [
        ((600, 800), (0.5, 0.5), (448, 336)),
        ((300, 400), (0.5, 0.5), (400, 300)),
        ((100, 80), (0.5, 0.5), (80, 100)),
        ((200, 200), (1.0, 0.5), (100, 200)),  # twice as high as wide in mm
    ],
)
def test_a_picture_has_square_pixels_and_448_a_side_at_most(
    shape: tuple[int, int], spacing_mm: tuple[float, float], size: tuple[int, int]
) -> None:
    assert decoded(picture_uri(np.zeros(shape, np.uint8), spacing_mm)).size == size


def test_a_picture_keeps_black_and_white() -> None:
    grey = np.zeros((64, 64), np.uint8)
    grey[:, 32:] = 255
    shown = np.asarray(decoded(picture_uri(grey, (1, 1))).convert("L"))
    assert shown[:, :28].max() < 30
    assert shown[:, 36:].min() > 225


def test_views_that_cannot_be_shown_are_refused(report_view: ReportView) -> None:
    with pytest.raises(ValueError, match=r"table: expected 2 cells, got \('a',\)"):
        Table("t", ("x", "y"), (("a",),))
    with pytest.raises(ValueError, match="box: expected a kind among"):
        SliceBox(0, 0, 1, 1, "truth", "hit", "", None, None, "", 0)
    with pytest.raises(ValueError, match="slice: expected sides > 0"):
        replace(report_view.browser.slices[0], width_mm=float("nan"))


def test_a_picture_of_the_page_is_not_escaped_but_its_caption_is(report_view: ReportView) -> None:
    section = Section("x", "X", plots=(Plot("T", "<svg></svg>", "a < b"),))
    page = render_report(replace(report_view, sections=(section,)))
    assert "<svg></svg>" in page
    assert "a &lt; b" in page
