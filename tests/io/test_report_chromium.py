"""The report in a real browser: nothing blocked or fetched, slices move, phones and paper too."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lnmdetect.io.report_page import write_report
from lnmdetect.io.report_view import ReportView
from tests.chromium import Page, chromium_path

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(chromium_path() is None, reason="no Chromium is installed"),
]


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    with Page(tmp_path / "profile") as page:
        yield page


@pytest.fixture
def report(report_view: ReportView, tmp_path: Path) -> Path:
    path = tmp_path / "report.html"
    write_report(report_view, path)
    return path


def position(page: Page) -> str:
    return str(page.evaluate("document.getElementById('position').textContent"))


def place(page: Page) -> tuple[int, int]:
    """Return which slice of how many is shown."""
    found = re.match(r"Slice (\d+) of (\d+): ", position(page))
    assert found, position(page)
    return int(found[1]), int(found[2])


def has_picture(page: Page) -> bool:
    decoded = "(p => p.decode().then(() => p.naturalWidth))(document.getElementById('picture'))"
    return int(page.evaluate(decoded)) > 0


def test_the_page_opens_without_an_error_a_blocked_part_or_a_request(
    page: Page, report: Path
) -> None:
    page.open(report)
    assert has_picture(page)
    assert page.errors == []
    assert page.requests == [report.resolve().as_uri()]


def test_the_policy_blocks_a_script_that_is_not_the_pages_own(page: Page, report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    report.write_text(text.replace("</body>", "<script>window.evil = 1</script></body>"))
    page.open(report)
    assert page.evaluate("window.evil === undefined")
    assert any("Content Security Policy" in error for error in page.errors)


def test_keys_wheel_buttons_and_slider_move_through_the_slices(page: Page, report: Path) -> None:
    page.open(report)
    assert place(page) == (1, 6)
    page.evaluate("document.getElementById('stage').focus()")
    page.press("ArrowRight")
    assert place(page) == (2, 6)
    page.press("End")
    assert place(page) == (6, 6)
    page.press("ArrowLeft")
    assert place(page) == (5, 6)
    page.press("Home")
    page.turn_wheel("#stage", 120)
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert place(page) == (2, 6)
    page.click("#next")
    assert place(page) == (3, 6)
    page.click("#previous")
    assert place(page) == (2, 6)
    page.evaluate(
        "(e => { e.value = 4; e.dispatchEvent(new Event('input')); })"
        "(document.getElementById('slider'))"
    )
    assert place(page) == (4, 6)
    assert has_picture(page)
    assert page.errors == []


def test_every_slice_shows_its_own_picture_and_boxes(page: Page, report: Path) -> None:
    page.open(report)
    sources = set()
    for _ in range(6):
        assert has_picture(page)
        sources.add(page.evaluate("document.getElementById('picture').src"))
        assert page.evaluate("document.querySelectorAll('#overlay rect').length") == 2
        assert page.evaluate("document.querySelectorAll('#boxes tbody tr').length") == 2
        page.click("#next")
    assert len(sources) == 6


def places(page: Page) -> list[list[float]]:
    """Return [x, y, width, height] of the missed node, of the stage and of the sheet, px."""
    found: list[list[float]] = page.evaluate(
        "['#overlay .missed rect', '#stage', '#sheet'].map(s => document.querySelector(s)"
        ".getBoundingClientRect()).map(r => [r.x, r.y, r.width, r.height])"
    )
    return found


def test_a_box_lies_over_the_picture_where_the_data_say(page: Page, report: Path) -> None:
    page.open(report)
    box, stage, sheet = places(page)
    scale = sheet[2] / 30  # the shown part is 30 mm x 20 mm
    assert sheet[3] == pytest.approx(20 * scale, abs=1)
    assert [box[0] - sheet[0], box[1] - sheet[1], box[2], box[3]] == pytest.approx(
        [5 * scale, 6 * scale, 7 * scale, 8 * scale], abs=2
    )
    assert stage[2] == stage[3] == sheet[2]
    assert sheet[1] - stage[1] == pytest.approx((stage[3] - sheet[3]) / 2, abs=1)


def test_filters_leave_the_slices_of_a_kind_and_the_worst_come_first(
    page: Page, report: Path
) -> None:
    page.open(report)
    page.choose("#kind", "background")
    assert place(page) == (1, 2)
    page.choose("#patient", "p-0")
    assert place(page) == (1, 1)
    page.choose("#patient", "")
    page.choose("#kind", "missed")
    assert place(page) == (1, 6)
    assert "slice 5" in position(page)  # the largest missed node, 15 mm
    page.choose("#order", "scan")
    page.evaluate("document.getElementById('stage').focus()")
    page.press("Home")
    assert "p-0, slice 4, -4.0 mm" in position(page)
    page.choose("#kind", "poorly placed")
    assert position(page) == "No slice of this kind."


def test_truth_and_predictions_can_be_hidden_and_stay_so(page: Page, report: Path) -> None:
    page.open(report)
    visible = (
        "[...document.querySelectorAll('#overlay g')].map(g => getComputedStyle(g).visibility)"
    )
    assert page.evaluate(visible) == ["visible", "visible"]
    page.click("#show-truth")
    assert page.evaluate(visible) == ["hidden", "visible"]
    page.click("#next")
    assert page.evaluate(visible) == ["hidden", "visible"]


def test_zooming_brings_the_error_to_the_middle_and_keeps_the_picture_on_the_stage(
    page: Page, report: Path
) -> None:
    page.open(report)
    page.click("#zoom")
    box, stage, sheet = places(page)
    assert sheet[2:] == pytest.approx([3 * stage[2], 2 * stage[3]], abs=1)
    for axis in (0, 1):
        middle = stage[axis] + stage[axis + 2] / 2
        assert box[axis] + box[axis + 2] / 2 == pytest.approx(middle, abs=2)
    page.choose("#kind", "duplicate")  # at 11 mm, 11 mm: the same but for the edges
    _, stage, sheet = places(page)
    assert sheet[0] <= stage[0] + 1
    assert sheet[1] <= stage[1] + 1


def test_a_swipe_goes_on(page: Page, report: Path) -> None:
    page.open(report)
    page.drag("#stage", -80)
    assert place(page) == (2, 6)
    page.drag("#stage", 80)
    assert place(page) == (1, 6)
    page.drag("#stage", -10)
    assert place(page) == (1, 6)


def test_a_screen_reader_finds_a_name_for_all_that_can_be_operated_and_for_pictures(
    page: Page, report: Path
) -> None:
    page.open(report)
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    told = [(n["role"]["value"], n.get("name", {}).get("value", "")) for n in nodes if "role" in n]
    roles = ("button", "slider", "combobox", "checkbox", "link", "image", "table", "region")
    found = [(role, name) for role, name in told if role in roles]
    assert {role for role, _ in found} == set(roles)
    assert [role for role, name in found if not name] == []
    assert {"banner", "navigation", "main", "contentinfo", "status"} <= {role for role, _ in told}


def test_the_tab_key_stops_at_a_table_only_where_it_scrolls(page: Page, report: Path) -> None:
    stops = "[...document.querySelectorAll('.scrolled')].map(e => e.tabIndex)"
    page.open(report)
    assert set(page.evaluate(stops)) == {-1}
    page.open(report, width=320)
    assert 0 in page.evaluate(stops)


@pytest.mark.parametrize("width", [320, 375, 768, 1200])
def test_the_page_never_scrolls_sideways(page: Page, report: Path, width: int) -> None:
    page.open(report, width=width, height=700)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_first_tab_leads_to_the_figures_and_focus_is_seen(page: Page, report: Path) -> None:
    page.open(report)
    page.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the figures"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


CONTRAST = """(() => {
  const light = c => { c /= 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
  const numbers = s => (s.match(/[\\d.]+/g) || []).map(Number);
  const luminance = ([r, g, b]) => 0.2126 * light(r) + 0.7152 * light(g) + 0.0722 * light(b);
  const ground = e => {
    for (; e; e = e.parentElement) {
      const c = numbers(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !e.checkVisibility()) continue;
    if (e.closest('svg, script, style, :disabled')) continue;
    const [a, b] = [luminance(numbers(getComputedStyle(e).color)), luminance(ground(e))];
    found.push((Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
  }
  return Math.min(...found);
})()"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(page: Page, report: Path, scheme: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.call("Emulation.setEmulatedMedia", {"features": features})
    page.open(report)
    assert page.evaluate(CONTRAST) >= 4.5  # WCAG 2.2, 1.4.3


def test_the_page_prints(page: Page, report: Path) -> None:
    page.open(report)
    assert page.pdf().startswith(b"%PDF")
    page.call("Emulation.setEmulatedMedia", {"media": "print"})
    assert page.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"


def test_a_report_without_pixels_still_lists_its_boxes(
    page: Page, report_view: ReportView, tmp_path: Path
) -> None:
    slices = tuple(replace(item, picture="") for item in report_view.browser.slices)
    path = tmp_path / "no_pixels.html"
    write_report(replace(report_view, browser=replace(report_view.browser, slices=slices)), path)
    page.open(path)
    page.click("#next")
    assert place(page) == (2, 6)
    assert page.evaluate("document.querySelectorAll('#overlay rect').length") == 2
    assert page.errors == []
