"""What engines say, told to the person who waits. The words are those of real engines and registries."""

from __future__ import annotations

import pytest

from stateroom.backends.diagnosis import PULL, START, Trouble, diagnosed

IMAGE = "team/notebook:1"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("manifest for 127.0.0.1:5000/a:1 not found: manifest unknown: manifest unknown", "has no image"),
        ('Head "http://127.0.0.1:5000/v2/a/manifests/1": no basic auth credentials', "without a login"),
        ("pull access denied for a, repository does not exist or may require 'docker login'", "without a login"),
        ("unauthorized: authentication required", "without a login"),
        ('Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused', "cannot be reached"),
        ("dial tcp: lookup nowhere.invalid on 127.0.0.53:53: no such host", "cannot be reached"),
        ("net/http: request canceled (Client.Timeout exceeded while awaiting headers)", "cannot be reached"),
        ("x509: certificate signed by unknown authority", "cannot be reached"),
        ("received unexpected HTTP status: 503 Service Unavailable", "cannot be reached"),
        ("write /var/lib/docker/tmp/GetImageBlob1: no space left on device", "disk"),
        ("no such image: A/B: invalid reference format: repository name must be lowercase", "no name of an image"),
    ],
)
def test_pulls(said: str, told: str) -> None:
    assert told in diagnosed(said, PULL, IMAGE)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("no available IPv4 addresses on this network's address pools: x", "addresses"),
        ("could not find an available, non-overlapping IPv4 address pool", "addresses"),
        ('OCI runtime create failed: exec: "lab": executable file not found in $PATH: unknown', "command is missing"),
        ("exec /usr/bin/tini: exec format error", "command is missing"),
        ("Minimum memory limit allowed is 6MB", "Choose more"),
        ("invalid mount config for type bind: bind source path does not exist: /srv/homes/x", "home"),
        ('could not select device driver "" with capabilities: [[gpu]]', "GPU"),
        ("failed to create shim: mkdir /run/x: no space left on device", "disk"),
        ("driver failed programming external connectivity: Bind for 0.0.0.0:80: port is already allocated", "port"),
        ("network stateroom-net-1 not found", "network was removed"),
        ("No such image: team/notebook:1", "no longer on the machine"),
    ],
)
def test_starts(said: str, told: str) -> None:
    assert told in diagnosed(said, START, IMAGE)


@pytest.mark.parametrize("table", [PULL, START])
def test_what_is_not_known_is_not_guessed(table: tuple[Trouble, ...]) -> None:
    assert diagnosed("the storage driver is not in the mood", table, IMAGE) == ""


@pytest.mark.parametrize("trouble", [*PULL, *START], ids=lambda trouble: trouble.words[:20])
def test_every_sentence_has_a_remedy_and_none_of_the_engines_words(trouble: Trouble) -> None:
    told = trouble.sentence.replace("{image}", IMAGE)
    assert told.endswith(".")
    assert "{" not in told
    remedies = ("tell an administrator", "Tell an administrator", "Choose more", "Start again")
    assert any(remedy in told for remedy in remedies)


def test_an_images_name_is_only_text() -> None:
    assert '"{0}"' in diagnosed("manifest unknown", PULL, "{0}")
