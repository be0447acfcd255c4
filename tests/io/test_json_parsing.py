import gc
import json
from typing import Any

import pytest

from lnmdetect.core.errors import InputError
from lnmdetect.io import json_parsing
from lnmdetect.io.json_parsing import parse_json


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": [1, NaN]}', r"f\.json: a\[1\]: expected JSON text.*, got NaN, which JSON does not"),
        ("Infinity", r"f\.json: expected JSON text.*, got Infinity, which JSON does not have"),
        ('[{"b": {"c": -Infinity}}]', r"f\.json: \[0\]\.b\.c: expected .* got -Infinity"),
        ('[{}, {"a": 1, "b": 2, "a": 1}]', r"f\.json: \[1\]: expected .* got an object with two f"),
        ('{"a": "\\ud83d"}', r"f\.json: a: expected .* got half of a surrogate pair"),
        ('{"a": {"x\\udc00": 1}}', r"f\.json: a: .* a field whose name holds half of a surrogate"),
        ('{"\\u001b[31m": NaN}', r"f\.json: \(a field\): expected"),
        ('{"a": ' + "1" * 5000 + "}", r"f\.json: .* got a whole number of more than 4300 digits"),
        ("[" * 200_000, r"f\.json: .* got nesting too deep"),
    ],
)
def test_what_json_does_not_have_is_refused_where_it_stands(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_json(text, "f.json")


def test_the_first_odd_place_of_the_file_is_named() -> None:
    text = '{"a": [1, {"b": NaN}], "c": Infinity, "d": [NaN]}'
    with pytest.raises(InputError, match=r"f\.json: a\[1\]\.b: "):
        parse_json(text, "f.json")


def test_whole_surrogate_pairs_and_their_escapes_are_text() -> None:
    assert parse_json('["\\ud83d\\ude00", "\\\\ud83d", "\\u001b"]', "f.json") == [
        "\N{GRINNING FACE}",
        "\\ud83d",
        "\x1b",
    ]


def test_many_small_values_are_refused_before_they_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # 1,000 lists of 240 bytes, 998 commas of 60, and its characters.
    text = "[" + ",".join(["[]"] * 999) + "]  "
    monkeypatch.setattr(json_parsing, "_MAX_MEMORY_GB", (240_000 + 998 * 60 + len(text)) / 1e9)
    assert len(parse_json(text, "f.json")) == 999
    monkeypatch.setattr(json, "loads", None)
    with pytest.raises(InputError, match=r"f\.json: expected a file whose records fit into .* GB"):
        parse_json(text + " ", "f.json")


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("text", ["[1]", "[1"])
def test_the_garbage_collector_is_left_as_it_was(enabled: bool, text: str) -> None:
    seen: list[bool] = []

    def read() -> Any:
        try:
            return parse_json(text, "f.json")
        except InputError:
            seen.append(gc.isenabled())

    before = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        read()
        seen.append(gc.isenabled())
    finally:
        (gc.enable if before else gc.disable)()
    assert set(seen) == {enabled}
