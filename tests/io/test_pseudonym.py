import re
import stat
import threading
from pathlib import Path

import pytest

from lnmdetect.core.errors import OutputError
from lnmdetect.core.records import ImageRecord
from lnmdetect.io.pseudonym import (
    key_file,
    load_key,
    patient_pseudonym,
    pseudonymise_image,
    pseudonymise_uid,
)

KEY = b"0123456789abcdef"


def test_the_pseudonym_is_the_hmac_of_the_patient_id() -> None:
    # printf 'patient:4711' | openssl dgst -sha256 -hmac 0123456789abcdef
    assert patient_pseudonym("4711", "1.2", KEY) == "p-84a7e3072df4b01d"


def test_padding_blanks_of_the_patient_id_do_not_matter() -> None:
    assert patient_pseudonym(" 4711 ", "1.2", KEY) == patient_pseudonym("4711", "1.3", KEY)


def test_without_a_patient_id_the_study_stands_for_the_patient() -> None:
    # printf 'study:1.2' | openssl dgst -sha256 -hmac 0123456789abcdef
    assert patient_pseudonym("", "1.2", KEY) == "p-e6d980ba59323a1d"
    assert patient_pseudonym("  ", "1.2", KEY) != patient_pseudonym("", "1.3", KEY)


def test_another_key_gives_another_pseudonym() -> None:
    assert patient_pseudonym("4711", "1.2", KEY) != patient_pseudonym("4711", "1.2", KEY[::-1])


def test_a_uid_maps_to_a_valid_uid_under_2_25_and_keeps_its_frame() -> None:
    mapped = pseudonymise_uid("1.2.840.1", KEY)
    assert re.fullmatch(r"2\.25\.[1-9]\d{0,38}", mapped)
    assert pseudonymise_uid("1.2.840.1#7", KEY) == mapped + "#7"
    assert pseudonymise_uid("1.2.840.2", KEY) != mapped


def test_an_image_is_pseudonymised_in_all_three_places() -> None:
    image = ImageRecord(1, "1.2.3.dcm", 4, 4, "p-1", "1.2", "1.2.3", 0, 0.0, (1.0, 1.0))
    mapped = pseudonymise_image(image, KEY)
    uid = pseudonymise_uid("1.2.3", KEY)
    assert (mapped.sop_instance_uid, mapped.file_name) == (uid, f"{uid}.dcm")
    assert mapped.series == pseudonymise_uid("1.2", KEY)


def test_a_png_keeps_its_name_when_uids_are_pseudonymised() -> None:
    image = ImageRecord(1, "a.png", 4, 4, "p-1", "a.png", "", 0, 0.0, (1.0, 1.0))
    assert pseudonymise_image(image, KEY) == image


def test_the_key_is_made_once_for_its_owner_only() -> None:
    key = load_key()
    assert len(key) == 64
    assert load_key() == key
    assert stat.S_IMODE(key_file().stat().st_mode) == 0o600


def test_the_key_lies_in_the_configuration_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LNMDETECT_KEY_FILE")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/configuration")
    assert key_file() == Path("/configuration/lnmdetect/pseudonym.key")
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", "/home/someone")
    assert key_file() == Path("/home/someone/.config/lnmdetect/pseudonym.key")


def test_many_at_once_make_one_key() -> None:
    keys: list[bytes] = []
    threads = [threading.Thread(target=lambda: keys.append(load_key())) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 16
    assert len(set(keys)) == 1


def test_a_key_that_is_just_being_written_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    path = key_file()
    path.parent.mkdir(parents=True)
    path.touch()
    monkeypatch.setattr("time.sleep", lambda seconds: path.write_bytes(KEY))
    assert load_key() == KEY


def test_a_damaged_key_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    key_file().parent.mkdir(parents=True)
    key_file().write_bytes(b"short")
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(OutputError, match=r"pseudonym key: .*got a key file of 5 bytes"):
        load_key()


def test_a_folder_that_takes_no_key_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LNMDETECT_KEY_FILE", str(tmp_path / "file" / "key"))
    with pytest.raises(OutputError, match="Set LNMDETECT_KEY_FILE to a file in a folder"):
        load_key()


def test_no_home_folder_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("LNMDETECT_KEY_FILE", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(variable, raising=False)

    def no_home() -> Path:
        raise RuntimeError

    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(OutputError, match="got no home folder"):
        load_key()
