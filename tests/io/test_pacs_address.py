"""What may be typed as a PACS's address."""

import pytest

from lnmdetect.core.errors import UsageError
from lnmdetect.io.pacs_address import DimseAddress, WebAddress, parse_address
from lnmdetect.io.pacs_uids import is_uid


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("pacs.example.org:104", "pacs.example.org", 104),
        ("127.0.0.1:11112", "127.0.0.1", 11112),
        ("[::1]:4242", "::1", 4242),
    ],
)
def test_host_and_port_are_a_dicom_node(text: str, host: str, port: int) -> None:
    address = parse_address(text, called_ae="PACS", calling_ae=" US ")
    assert address == DimseAddress(host, port, "PACS", "US")


def test_a_url_is_a_dicomweb_service_and_its_login_comes_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LNMDETECT_PACS_LOGIN", "name:pass:word")
    address = parse_address("https://pacs.example.org/dicom-web/", called_ae=None)
    assert address == WebAddress("https://pacs.example.org/dicom-web", ("name", "pass:word"))
    assert "pass" not in repr(address)


@pytest.mark.parametrize(
    ("text", "called_ae", "where"),
    [
        ("pacs.example.org", "PACS", "--to"),
        ("pacs.example.org:0", "PACS", "--to"),
        ("pacs.example.org:65536", "PACS", "--to"),
        ("::1:4242", "PACS", "--to"),
        ("http://name:secret@pacs.example.org/", None, "--to"),
        ("http://pacs.example.org/?key=1", None, "--to"),
        ("http://pacs.example.org:port/", None, "--to"),
        ("http://", None, "--to"),
        ("127.0.0.1:104", None, "--ae"),
        ("127.0.0.1:104", "A" * 17, "--ae"),
        ("127.0.0.1:104", "A\\B", "--ae"),
        ("127.0.0.1:104", "Ä", "--ae"),
        ("127.0.0.1:104", "  ", "--ae"),
    ],
)
def test_anything_else_is_wrong_usage_and_its_login_is_not_repeated(
    text: str, called_ae: str | None, where: str
) -> None:
    with pytest.raises(UsageError) as caught:
        parse_address(text, called_ae=called_ae)
    assert caught.value.where == where
    assert "secret" not in str(caught.value)


def test_a_login_without_a_colon_is_wrong_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LNMDETECT_PACS_LOGIN", "token")
    with pytest.raises(UsageError, match="LNMDETECT_PACS_LOGIN: expected NAME:PASSWORD"):
        parse_address("https://pacs.example.org", called_ae=None)


@pytest.mark.parametrize("uid", ["1.2.840.10008.1.1", "2.25." + "9" * 39, "1"])
def test_a_uid_may_be_a_file_name(uid: str) -> None:
    assert is_uid(uid)


@pytest.mark.parametrize("text", ["", "..", "1..2", ".1", "1.2/3", "1.2\n", "1.2\0", "1" * 65, "a"])
def test_what_is_no_uid_may_not(text: str) -> None:
    assert not is_uid(text)
