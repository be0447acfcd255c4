import hashlib
import json
from pathlib import Path

import pytest

from lnmdetect.core.errors import InputError, OutputError
from lnmdetect.io.json_files import (
    atomic_output,
    json_text,
    read_json,
    refuse_existing,
    sha256_of_file,
    write_json,
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"file\.json: expected JSON text in UTF-8, got line 1, column 1"),
        (b'{"a": 1,\n "b" 2}', r"got line 2, column 6"),
        (b'{"a": NaN}', r"got NaN, which JSON does not have"),
        (b'{"a": -Infinity}', r"got -Infinity, which JSON does not have"),
        (b'{"a": "\xff"}', r"got a byte that is not UTF-8 at offset 7"),
        (b"[" * 200_000, r"got nesting too deep"),
        (b"1" * 5000, r"file\.json: expected JSON text"),
    ],
)
def test_text_that_is_not_json_is_refused_with_its_place(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_json(path)


def test_a_missing_file_is_named_without_its_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file") as caught:
        read_json(tmp_path / "absent.json")
    assert str(caught.value).startswith("absent.json: ")
    assert str(tmp_path) not in str(caught.value)


def test_a_name_that_is_no_text_is_refused_before_its_figures_are_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a file whose name is text in UTF-8"):
        read_json(tmp_path / "tr\udcffuth.json")


def test_a_file_larger_than_any_of_lnmdetect_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.json"
    path.write_text("[1, 2]")
    monkeypatch.setattr("lnmdetect.io.json_files._MAX_FILE_BYTES", 6)
    assert read_json(path) == [1, 2]
    monkeypatch.setattr("lnmdetect.io.json_files._MAX_FILE_BYTES", 5)
    with pytest.raises(InputError, match=r"file\.json: expected a JSON file of at most 0 GiB"):
        read_json(path)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(b"\xef\xbb\xbf[1]")
    assert read_json(path) == [1]


def test_records_take_one_line_each_and_keys_keep_their_order() -> None:
    text = json_text({"info": {"b": 1, "a": 2}, "images": [{"id": 1}, {"id": 2}], "none": []})
    info, images = '{\n "b": 1,\n "a": 2\n}', '[\n{"id": 1},\n{"id": 2}\n]'
    assert text == f'{{\n"info": {info},\n"images": {images},\n"none": []\n}}\n'


def test_text_is_written_as_it_is_not_as_escapes(tmp_path: Path) -> None:
    data = {"info": {"source": "Müller"}, "images": [{"name": "Ö"}], "plain": "é"}
    write_json(data, tmp_path / "out.json")
    assert all(word in (tmp_path / "out.json").read_text("utf-8") for word in ("Müller", "Ö", "é"))
    write_json(["ß"], tmp_path / "list.json")
    assert (tmp_path / "list.json").read_text("utf-8") == '[\n "ß"\n]\n'


def test_nan_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json({"value": float("nan")}, tmp_path / "out.json")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_output_is_refused_without_overwrite(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    write_json({"a": 1}, path)
    with pytest.raises(OutputError, match=r"out\.json: expected a new file.*--overwrite"):
        write_json({"a": 2}, path)
    assert read_json(path) == {"a": 1}
    write_json({"a": 2}, path, overwrite=True)
    assert read_json(path) == {"a": 2}


def test_a_folder_is_never_replaced_by_a_file(tmp_path: Path) -> None:
    (tmp_path / "out.json").mkdir()
    with pytest.raises(OutputError, match="got a folder of that name"):
        write_json({}, tmp_path / "out.json", overwrite=True)


def test_an_output_below_a_file_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for output in ("file/out.json", "file/new/deep/out.json"):
        with pytest.raises(OutputError, match="got file, which is a file, not a folder"):
            refuse_existing(tmp_path / output, overwrite=True)
        with pytest.raises(OutputError, match="got file, which is a file, not a folder"):
            write_json({}, tmp_path / output)


def test_an_output_in_a_folder_that_may_not_be_written_is_told_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lnmdetect.io.json_files.os.access", lambda path, mode: path != tmp_path)
    with pytest.raises(
        OutputError, match=r"new: expected a folder .*, got one that may not be wri"
    ):
        refuse_existing(tmp_path / "new" / "out.json", overwrite=False)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "out.bin"
    path.write_bytes(b"old")

    def fail_halfway() -> None:
        with atomic_output(path, overwrite=True) as stream:
            stream.write(b"half")
            raise KeyError("the caller failed")

    with pytest.raises(KeyError):
        fail_halfway()
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.bin"]


def test_missing_folders_of_an_output_are_made(tmp_path: Path) -> None:
    write_json([1], tmp_path / "new" / "deep" / "out.json")
    assert read_json(tmp_path / "new" / "deep" / "out.json") == [1]


def test_the_hash_is_sha256_of_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(b"abc" * 1_000_000)
    assert sha256_of_file(path) == hashlib.sha256(b"abc" * 1_000_000).hexdigest()
    with pytest.raises(InputError, match=r"absent\.bin: expected a file that can be read"):
        sha256_of_file(tmp_path / "absent.bin")


def test_numbers_and_digests_take_one_line_and_other_texts_one_each() -> None:
    data = {"info": {"n": [1, 2.5, None], "seen": ["0123456789abcdef"] * 3, "other": ["a", "b"]}}
    text = json_text(data)
    assert json.loads(text) == data
    assert ' "n": [ 1, 2.5, null ],' in text.splitlines()
    assert sum("0123456789abcdef" in line for line in text.splitlines()) == 1
    assert '  "b"' in text.splitlines()
