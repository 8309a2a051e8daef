"""A value outside the allowance is refused before anything is made for it."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from harness.hostile import shown
from harness.hub import Hub, Person

ASKED_12 = "You asked for 12 CPU. The most offered to you is 4."

# JSON's text, since not all of it can be written as a Python value.
REST = [
    ('{"cpu": 12}', ASKED_12),
    ('{"cpu": "12"}', ASKED_12),
    ('{"cpu": 0}', "You asked for 0 CPU. The least offered to you is 0.25."),
    ('{"cpu": -1}', '"-1" is not an amount of CPU; write for example 1.5.'),
    ('{"cpu": NaN}', '"nan" is not an amount of CPU; write for example 1.5.'),
    ('{"cpu": 1e999}', '"inf" is not an amount of CPU; write for example 1.5.'),
    ('{"cpu": -1e999}', '"-inf" is not an amount of CPU; write for example 1.5.'),
    ('{"cpu": [1]}', "a list is not an amount of CPU; write for example 1.5."),
    ('{"cpu": {"min": 1}}', "an object is not an amount of CPU; write for example 1.5."),
    ('{"cpu": true}', '"True" is not an amount of CPU; write for example 1.5.'),
    ('{"cpu": "%s"}' % ("9" * 32), "is not an amount of CPU"),
    ('{"cpu": 1%s}' % ("0" * 400), "is not an amount of CPU"),
    ('{"memory": "1 TiB"}', "You asked for 1 TiB of memory. The most offered to you is 16 GiB."),
    ('{"memory": 2}', '"2" is not an amount of memory; write for example 2 GiB.'),
    ('{"memory": "%s"}' % ("x" * 100_000), "is not an amount of memory"),
    ('{"image": "evil"}', 'You asked for the image "evil". Offered to you: unified.'),
    ('{"image": ["unified"]}', "You asked for the image a list. Offered to you: unified."),
    ('{"image": "unified\\n"}', "Offered to you: unified."),
    ('{"size": "giant"}', 'You asked for the size "giant". Offered to you: small, standard, large, custom.'),
    ('{"size": null}', "Offered to you: small, standard, large, custom."),
    ('{"size": "small", "cpu": 4}', 'The size "small" has its own CPU and memory.'),
    ('{"colour": "red"}', 'There is no option "colour". The options are image, size, cpu, memory, gpu.'),
    ('{"<script>": 1}', 'There is no option "<script>".'),
]  # fmt: skip

FORM = [
    ({"size": "custom", "cpu": "12", "memory": "2"}, ASKED_12),
    ({"size": "custom", "cpu": "0", "memory": "2"}, "The least offered to you is 0.25."),
    ({"size": "custom", "cpu": "-1", "memory": "2"}, "is not an amount of CPU"),
    ({"size": "custom", "cpu": "NaN", "memory": "2"}, "is not an amount of CPU"),
    ({"size": "custom", "cpu": "1e999", "memory": "2"}, "is not an amount of CPU"),
    ({"size": "custom", "cpu": ["1", "2"], "memory": "2"}, "a list is not an amount of CPU"),
    ({"size": "custom", "cpu": "9" * 32, "memory": "2"}, "is not an amount of CPU"),
    ({"size": "custom", "cpu": "x" * 100_000, "memory": "2"}, "is not an amount of CPU"),
    ({"size": "custom", "cpu": "1", "memory": "1000"}, "The most offered to you is 16 GiB."),
    ({"size": "giant"}, 'You asked for the size "giant".'),
    ({"size": ["small", "large"]}, "You asked for the size a list."),
    ({"image": "evil"}, 'You asked for the image "evil".'),
    ({"colour": "red"}, 'There is no option "colour".'),
]


@pytest.fixture(scope="module")
def anybody(hub: Hub) -> Iterator[Person]:
    """Nothing is ever started for these, so that one person is enough."""
    anybody = hub.person()
    yield anybody
    anybody.close()


@pytest.mark.parametrize(("options", "sentence"), REST, ids=shown)
def test_over_rest_it_is_a_400_with_a_sentence(hub: Hub, anybody: Person, options: str, sentence: str) -> None:
    before = hub.servers.names()
    answer = anybody.start(f'{{"user_options": {options}}}')
    assert answer.status_code == 400, answer.text
    message = answer.json()["message"]
    assert sentence in message
    assert len(message) < 400
    assert message.isprintable()
    assert hub.servers.names() == before
    assert not anybody.active()


@pytest.mark.parametrize("body", ['{"cpu": 12}', '{"display_name": "x", "user_options": {"cpu": 12}}'])
def test_every_shape_of_a_request_is_checked(hub: Hub, anybody: Person, body: str) -> None:
    answer = anybody.start(body)
    assert (answer.status_code, answer.json()["message"]) == (400, ASKED_12)
    assert hub.servers.of(anybody.name) == []


@pytest.mark.parametrize("body", ["[]x", '"text"', "[1]", "12", '{"user_options": []}x', '{"user_options": [1]}'])
def test_what_is_no_object_is_a_400(hub: Hub, anybody: Person, body: str) -> None:
    assert anybody.start(body).status_code == 400
    assert hub.servers.of(anybody.name) == []
    # JupyterHub 5 stores options before they are checked.
    assert anybody.web.get(f"{hub.url}/hub/home").ok
    assert anybody.web.get(f"{hub.url}/hub/spawn/{anybody.name}").ok


@pytest.mark.parametrize(("fields", "sentence"), FORM, ids=shown)
def test_the_form_comes_back_with_a_400_and_the_sentence(
    hub: Hub, anybody: Person, fields: dict[str, Any], sentence: str
) -> None:
    before = hub.servers.names()
    answer = anybody.submit(fields)
    assert answer.status_code == 400
    page = text_of(answer.text)
    assert sentence in page
    assert "Traceback" not in page
    assert "stateroom.common.errors" not in page
    assert hub.servers.names() == before
    assert not anybody.active()


def test_what_was_typed_comes_back_with_each_fault_beside_its_field(anybody: Person) -> None:
    answer = anybody.submit({"size": "custom", "cpu": "12", "memory": "0.3"})
    page = answer.text
    assert re.search(r'name="cpu"[^>]* value="12"[^>]* aria-invalid="true"', page)
    assert re.search(r'name="memory"[^>]* value="0.3"[^>]* aria-invalid="true"', page)
    assert text_of(page).count(ASKED_12) == 1


def test_what_one_tab_typed_is_not_in_another(anybody: Person) -> None:
    with ThreadPoolExecutor(2) as tabs:
        typed = {"12": "13", "13": "12"}
        pages = list(tabs.map(lambda cpu: anybody.submit({"size": "custom", "cpu": cpu, "memory": "2"}).text, typed))
    for own, page in zip(typed, pages, strict=True):
        assert f'value="{own}"' in page
        assert f'value="{typed[own]}"' not in page
    assert "aria-invalid" not in anybody.web.get(f"{anybody.hub.url}/hub/spawn/{anybody.name}").text


@pytest.mark.parametrize("key", ["size", "cpu", "memory", "image", "colour"])
def test_what_was_typed_comes_back_as_text_and_never_as_html(anybody: Person, key: str) -> None:
    answer = anybody.submit({"size": "custom", key: '"><script>alert(1)</script>'})
    assert answer.status_code == 400
    assert "<script>alert(1)" not in answer.text


def test_a_link_fills_in_the_form_and_starts_nothing(hub: Hub, anybody: Person) -> None:
    link = f"{hub.url}/hub/spawn/{anybody.name}?size=custom&cpu=2.5&memory=3%20GiB"
    answer = anybody.web.get(link, allow_redirects=False)
    assert answer.status_code == 200
    assert 'value="2.5"' in answer.text
    assert hub.servers.of(anybody.name) == []
    assert not anybody.active()


def test_many_refusals_do_not_stop_the_hub(anybody: Person) -> None:
    """A hub ends after some starts in a row that failed; a person's mistakes are none of them."""
    for _ in range(12):
        assert anybody.start({"user_options": {"cpu": 12}}).status_code == 400
    assert anybody.api("GET", "user").ok


def text_of(page: str) -> str:
    """A page's text, without its tags and scripts."""
    without_scripts = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", without_scripts)).split())
