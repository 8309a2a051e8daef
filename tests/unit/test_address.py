"""Where a hub of `stateroom up` is for browsers."""

from __future__ import annotations

from pathlib import Path

import pytest

from stateroom.common.errors import SetupError
from stateroom.operations.local.address import Address, parse_url, require_consistent


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://hub.example.org", "https://hub.example.org"),
        (" HTTPS://Hub.Example.org/ ", "https://hub.example.org"),
        ("http://hub.localhost:8080", "http://hub.localhost:8080"),
        ("http://10.0.0.5:8000", "http://10.0.0.5:8000"),
        ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
    ],
)
def test_a_url_has_one_spelling(text: str, url: str) -> None:
    assert parse_url(text) == url


@pytest.mark.parametrize(
    "text",
    ["", "hub.example.org", "ftp://hub.example.org", "https://", "https://a b", "https://hub.example.org:99999", "http://[::1",
     "https://-a.example.org", "https://hub..org", "https://hüb.example.org", "https://a.b.example.org:x"],
)  # fmt: skip
def test_what_is_no_url_is_refused(text: str) -> None:
    with pytest.raises(SetupError, match=r"is not the URL of a hub; write it as https://hub\.example\.org"):
        parse_url(text)


@pytest.mark.parametrize("more", ["/jupyter", "/?x=1", "/#x"])
def test_a_url_is_a_host_name_and_a_port(more: str) -> None:
    with pytest.raises(SetupError, match="more than a host name and a port"):
        parse_url(f"https://hub.example.org{more}")


def test_a_password_in_a_url_is_refused() -> None:
    with pytest.raises(SetupError, match="more than a host name"):
        parse_url("https://me:secret@hub.example.org")


@pytest.mark.parametrize(
    ("address", "url"),
    [
        (Address(8000), "http://hub.localhost:8000"),
        (Address(8000, host_names=False), "http://127.0.0.1:8000"),
        (Address(8000, "https://hub.example.org"), "https://hub.example.org"),
        (Address(8000, "http://10.0.0.5", host_names=False), "http://10.0.0.5"),
        (Address(8000, "https://hub.example.org", "0.0.0.0"), "https://hub.example.org"),
    ],
)
def test_what_can_be_served(address: Address, url: str) -> None:
    require_consistent(address)
    assert address.public_url == url


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (Address(8000, "http://10.0.0.5"), "no host names below 10.0.0.5"),
        (Address(8000, "http://localhost:8000"), "no host names below localhost"),
        (Address(8000, bind="0.0.0.0"), "name the URL that they use"),
        (Address(8000, "https://hub.example.org", tls_cert="a.pem"), "--tls-key"),
        (Address(8000, "https://hub.example.org", tls_cert="/no/a.pem", tls_key="/no/a.key"), "There is no file /no/a"),
    ],
)
def test_what_cannot_be_served_is_refused_with_what_to_do(address: Address, words: str) -> None:
    with pytest.raises(SetupError, match=words):
        require_consistent(address)


def test_tls_and_a_url_without_it_do_not_go_together(tmp_path: Path) -> None:
    file = tmp_path / "file.pem"
    file.touch()
    address = Address(8000, "http://hub.example.org", tls_cert=str(file), tls_key=str(file))
    with pytest.raises(SetupError, match="With TLS the URL begins with https"):
        require_consistent(address)
