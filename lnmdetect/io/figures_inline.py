"""A matplotlib SVG as part of an HTML page: no style attributes, no ids of others, themed ink."""

import re
import xml.etree.ElementTree as ET

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_INK = frozenset({"#000000", "#222222", "#555555"})
"""Colours of text and axes: they follow the page's own, light or dark."""
_REFERENCE = re.compile(r"#([\w-]+)")
_GROUND = "#ffffff"
"""The page's own ground behind a picture: light or dark, so a class, not a colour."""
_DROPPED_PROPERTIES = frozenset({"font-family"})


def inline_svg(svg: bytes, *, name: str, description: str) -> str:
    """Return the picture as an `<svg>` element that a strict content policy shows as it is.

    Style attributes, which such a policy blocks, become attributes of their own; black follows the
    page's text colour, and what is white gets the class "ground"; ids get `name` before them, so
    that several pictures can stand on one page.

    Args:
        svg: as matplotlib writes it, with text as text.
        name: of the picture, unique on the page.
        description: what a person who cannot see it should know.
    """
    for prefix, uri in (("", _SVG), ("xlink", _XLINK)):
        ET.register_namespace(prefix, uri)
    root = ET.fromstring(svg)
    for child in [c for c in root if c.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}defs")]:
        if child.find(f"{{{_SVG}}}style") is not None or child.tag.endswith("metadata"):
            root.remove(child)
    _remove_ground(root)
    used = _references(root)
    for element in root.iter():
        _unstyle(element)
        _rename(element, name, used)
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute, None)
    root.set("role", "img")
    root.set("aria-label", description)
    root.set("stroke-linejoin", "round")
    return ET.tostring(root, encoding="unicode")


def _remove_ground(root: ET.Element) -> None:
    """Drop the white rectangles behind figure and axes, the first patch of each."""
    for parent in root.iter(f"{{{_SVG}}}g"):
        for child in list(parent):
            paths = child.findall(f"{{{_SVG}}}path")
            if (
                child.get("id") in ("patch_1", "patch_2")
                and len(paths) == 1
                and "fill: #ffffff" in paths[0].get("style", "")
            ):
                parent.remove(child)


def _references(root: ET.Element) -> frozenset[str]:
    """Return the ids that something in the picture points to."""
    values = (
        value
        for element in root.iter()
        for key, value in element.attrib.items()
        if key in ("clip-path", f"{{{_XLINK}}}href") or key == "style"
    )
    return frozenset(found for value in values for found in _REFERENCE.findall(value))


def _unstyle(element: ET.Element) -> None:
    style = element.attrib.pop("style", "")
    for part in filter(None, (part.strip() for part in style.split(";"))):
        key, _, value = part.partition(":")
        key, value = key.strip(), value.strip()
        if (key, value) == ("fill", _GROUND):
            element.set("class", "ground")
        elif key not in _DROPPED_PROPERTIES:
            element.set(key, "currentColor" if value in _INK else value)
    if element.tag == f"{{{_SVG}}}text" and "fill" not in element.attrib:
        element.set("fill", "currentColor")


def _rename(element: ET.Element, name: str, used: frozenset[str]) -> None:
    identity = element.attrib.pop("id", None)
    if identity in used:
        element.set("id", f"{name}-{identity}")
    for key in ("clip-path", f"{{{_XLINK}}}href"):
        value = element.get(key, "")
        if value.startswith(("#", "url(#")):
            element.set(key, value.replace("#", f"#{name}-", 1))
