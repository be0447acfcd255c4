import os
import pickle
import zipfile
from pathlib import Path

import pytest

from lnmdetect.core.errors import InputError
from lnmdetect.io.input_files import FolderFiles, list_input_files, printable


def zip_of(path: Path, entries: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def test_a_folder_gives_all_its_files_by_relative_path(tmp_path: Path) -> None:
    for name in ("b", "deep/er/a", "a"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    files = list_input_files(tmp_path)
    assert files.names == ("a", "b", "deep/er/a")
    assert files.size("deep/er/a") == 9
    with files.open("deep/er/a") as stream:
        assert stream.read() == b"deep/er/a"


def test_one_file_is_a_set_of_one(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "b").touch()
    assert list_input_files(tmp_path / "b") == FolderFiles(tmp_path, ("b",))


def test_pipes_dangling_links_and_link_loops_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert list_input_files(tmp_path).names == ("a",)


def test_a_linked_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a").touch()
    (tmp_path / "scan").mkdir()
    (tmp_path / "scan" / "link").symlink_to(tmp_path / "elsewhere")
    assert list_input_files(tmp_path / "scan").names == ("link/a",)


def test_a_path_with_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a folder, a file or a \.zip archive"):
        list_input_files(tmp_path / "nothing")


def test_a_file_that_vanishes_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="gone: expected a file that can be read"):
        FolderFiles(tmp_path, ("gone",)).open("gone")


def test_a_zip_is_read_where_it_lies(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "scan.zip", {"b/2": b"two", "a": b"one"})
    files = list_input_files(path)
    assert files.names == ("a", "b/2")
    assert files.size("b/2") == 3
    with files.open("b/2") as stream:
        assert stream.read() == b"two"
    assert list(tmp_path.iterdir()) == [path]


def test_a_zip_is_known_by_its_content(tmp_path: Path) -> None:
    assert list_input_files(zip_of(tmp_path / "scan", {"a": b"one"})).names == ("a",)


def test_entries_that_point_outside_stay_names(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "x.zip", {"../../evil": b"x"})
    files = list_input_files(path)
    with files.open("../../evil") as stream:
        assert stream.read() == b"x"
    assert not (tmp_path.parent.parent / "evil").exists()


def test_an_open_zip_goes_to_another_process(tmp_path: Path) -> None:
    files = list_input_files(zip_of(tmp_path / "scan.zip", {"a": b"one"}))
    files.open("a").close()
    with pickle.loads(pickle.dumps(files)).open("a") as stream:
        assert stream.read() == b"one"


def test_a_forked_process_opens_the_zip_for_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = list_input_files(zip_of(tmp_path / "scan.zip", {"a": b"one"}))
    opened: list[str] = []
    original = zipfile.ZipFile

    def counting(path: Path) -> zipfile.ZipFile:
        opened.append(str(path))
        return original(path)

    monkeypatch.setattr(zipfile, "ZipFile", counting)
    files.open("a").close()
    files.open("a").close()
    assert len(opened) == 1
    monkeypatch.setattr(os, "getpid", lambda: -1)
    files.open("a").close()
    assert len(opened) == 2


def test_a_broken_zip_is_refused(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "scan.zip", {"a": b"one" * 1000})
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InputError, match=r"scan\.zip: expected a complete zip archive"):
        list_input_files(path)


def test_a_file_that_only_claims_to_be_a_zip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "scan.zip").write_bytes(b"")
    with pytest.raises(InputError, match=r"\(BadZipFile\)\. Copy or download the archive again"):
        list_input_files(tmp_path / "scan.zip")


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "scan.zip", {"a": b"one"})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1  # general purpose flag, central directory
    path.write_bytes(content)
    with pytest.raises(InputError, match="expected a zip archive without a password"):
        list_input_files(path)


def test_a_zip_that_unpacks_to_more_than_deflate_can_is_refused(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "scan.zip", {"a": b"one"})
    content = bytearray(path.read_bytes())
    size_at = content.index(b"PK\x01\x02") + 24
    content[size_at : size_at + 4] = (5 * 2**30 - 2**32 - 1).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"1100 times the archive's size, got 1\.0 GiB in all"):
        list_input_files(path)


def test_a_damaged_entry_is_refused_by_name(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "scan.zip", {"a": b"one"})
    content = bytearray(path.read_bytes())
    content[0:4] = b"XXXX"
    path.write_bytes(content)
    files = list_input_files(path)
    with pytest.raises(InputError, match=r"a: expected a file that can be read, got BadZipFile"):
        files.open("a")


def test_names_are_made_fit_for_a_terminal() -> None:
    assert printable("a\x1b[2Jb\nc\udcff é") == "a?[2Jb?c? é"
