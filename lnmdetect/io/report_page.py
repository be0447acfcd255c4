"""The report as one HTML page that needs nothing beside itself and asks nothing of a network."""

import base64
import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from lnmdetect.io.json_files import atomic_output
from lnmdetect.io.report_view import Browser, ReportView

_TEMPLATES = "io/templates"
_DECIMALS = 3


def write_report(view: ReportView, path: Path, *, overwrite: bool = False) -> None:
    """Write the page.

    Raises:
        OutputError: `path` exists and `overwrite` is false, or the folder cannot be written.
    """
    page = render_report(view)
    with atomic_output(path, overwrite=overwrite) as stream:
        stream.write(page.encode("utf-8"))


def render_report(view: ReportView) -> str:
    """Return the page's HTML; styles and script are within it, allowed by their hashes alone."""
    environment = Environment(
        loader=PackageLoader("lnmdetect", _TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = (_source(environment, name) for name in ("report.css", "report.js"))
    return environment.get_template("report.html.j2").render(
        view=view,
        style=Markup(style),
        script=Markup(script),
        policy=content_policy(style=style, script=script),
        slice_data=Markup(slices_json(view.browser)),
        svg=Markup,
    )


def content_policy(*, style: str, script: str) -> str:
    """Return the content security policy that allows these two, data: pictures, and no more."""
    return "; ".join(
        (
            "default-src 'none'",
            "img-src data:",
            f"style-src '{_hash(style)}'",
            f"script-src '{_hash(script)}'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def slices_json(browser: Browser) -> str:
    """Return the slices as JSON that can stand within a script element."""
    slices = [_rounded(asdict(item)) for item in browser.slices]
    text = json.dumps(slices, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # "</script>" or "<!--" in a file's text would end the element; in JSON both can be written so.
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, _DECIMALS)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return value


def _source(environment: Environment, name: str) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0].strip()


def _hash(text: str) -> str:
    """Return the source expression of an inline element's text (CSP level 3, 2.3.1)."""
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
