"""The form: what it shows and says, against golden files too, and what is read from what it posts.

`STATEROOM_UPDATE_GOLDEN=1` writes the golden files anew; read the difference before committing it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader
from jupyterhub._data import DATA_FILES_PATH

import stateroom.hub.form.render
from harness.hostile import HOSTILE, shown
from stateroom.catalog.load import load_catalog, parse_catalog
from stateroom.catalog.sizes import Quota
from stateroom.common.errors import ChoiceRefused
from stateroom.common.quantity import GiB, Machine, MiB, Resources
from stateroom.hub.form.render import render_form
from stateroom.hub.form.request import options_from_form, values_from_query
from stateroom.hub.form.state import FormState, values_from_choice
from stateroom.offers.allowance import Allowance, Person, allowance_for
from stateroom.offers.choice import choose
from stateroom.offers.quota import Left, left_for
from stateroom.workloads.names import ServerRef

from .conftest import ADA

EVIL = '"><script>alert(1)</script>'
CASES = Path(__file__).parents[1] / "data" / "form"
SHIPPED = Path(__file__).parents[2] / "config"


@dataclass
class Element:
    """A start tag, with the text up to the next one."""

    tag: str
    attributes: dict[str, str | None]
    text: str = ""

    def __getitem__(self, name: str) -> str | None:
        return self.attributes.get(name)


@dataclass
class Page(HTMLParser):
    """HTML as a flat list of elements, in their order."""

    html: str
    elements: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.html)
        for element in self.elements:
            element.text = element.text.strip()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.elements:
            self.elements[-1].text += data

    def all(self, tag: str, **attributes: str) -> list[Element]:
        return [
            element
            for element in self.elements
            if element.tag == tag and all(element[name] == value for name, value in attributes.items())
        ]

    def one(self, tag: str, **attributes: str) -> Element:
        (element,) = self.all(tag, **attributes)
        return element

    def checked(self, name: str) -> list[str | None]:
        return [radio["value"] for radio in self.all("input", type="radio", name=name) if "checked" in radio.attributes]

    def described(self, element: Element) -> str:
        """The texts that a screen reader adds to `element`."""
        ids = (element["aria-describedby"] or "").split()
        return " ".join(other.text for name in ids for other in self.elements if other["id"] == name)


def page(
    allowance: Allowance,
    values: dict[str, str] | None = None,
    errors: dict[str, str] | None = None,
    notices: tuple[str, ...] = (),
    admin_notices: tuple[str, ...] = (),
    *,
    left: tuple[Left, ...] = (),
    machine: Machine | None = None,
) -> Page:
    return Page(render_form(allowance, FormState(values or {}, errors or {}, notices, admin_notices, left, machine)))


def title_of(form: Page, card: str) -> str:
    """The title, which stands in an element of its own inside the one with the id."""
    (place,) = [number for number, element in enumerate(form.elements) if element["id"] == f"{card}-title"]
    return form.elements[place + 1].text


IMAGE = '[{id: a, image: "a:1", default: true}]'
CPU = "cpu: {min: 1, max: 2, step: 1}"
MEMORY = "memory: {min: 1 GiB, max: 2 GiB, step: 1 GiB}"


def images(number: int) -> Allowance:
    """An allowance of so many images, of which the twentieth or else the first is the default."""
    default = 20 if number >= 20 else 1
    entries = [
        f'{{id: i{place}, image: "a:1"{", default: true" if place == default else ""}}}'
        for place in range(1, number + 1)
    ]
    return offering(f"[{', '.join(entries)}]")


def offering(images: str, custom: str = "", *, more_sizes: str = "") -> Allowance:
    sizes = f"[{{id: standard, title: Standard, cpu: 1, memory: 2 GiB, default: true}}, {more_sizes}]"
    return allowance_for(parse_catalog(f"version: 1\nimages: {images}\nsizes: {sizes}\n{custom}"), ADA)


def left_of(
    allowance: Allowance,
    running: dict[str, Resources] | None = None,
    members: dict[str, list[str]] | None = None,
    *,
    machine: Machine | None = None,
) -> tuple[Left, ...]:
    """What is left for Ada's default server while these servers run, each under "server" or "user/server"."""
    refs = {
        ServerRef("hub-1", *(["ada", name] if "/" not in name else name.split("/"))): it
        for name, it in (running or {}).items()
    }
    return tuple(left_for(ServerRef("hub-1", "ada", ""), allowance, refs, members or {}, machine=machine))


@dataclass(frozen=True)
class Golden:
    """A form that was read by eye: whose it is, and in which state."""

    catalog: str
    person: Person = ADA
    values: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    running: dict[str, Resources] = field(default_factory=dict)

    @property
    def html(self) -> str:
        """The form without its style and script, which say nothing of what it offers."""
        path = SHIPPED / f"{self.catalog}.yaml"
        allowance = allowance_for(
            load_catalog(path if path.exists() else CASES / self.catalog / "catalog.yaml"), self.person
        )
        left = left_of(allowance, self.running, {"gpu": ["ada", "ben"]})
        html = render_form(allowance, FormState(self.values, self.errors, self.notices, (), left))
        return re.sub(r"(<(style|script)>).*?(</\2>)", r"\1\3", html, flags=re.DOTALL)


GOLDEN = {
    "catalog": Golden("catalog"),
    "minimal": Golden("minimal"),
    "teaching": Golden("teaching"),
    "teaching-member": Golden("teaching", Person("ada", frozenset({"course", "projects"})), {"size": "project"}),
    "research": Golden("research", Person("ben")),
    "research-user": Golden("research", Person("guest")),
    "research-member": Golden(
        "research", Person("ada", frozenset({"gpu"})), {"image": "deep-learning", "size": "gpu-1"}
    ),
    "research-refused": Golden(
        "research",
        Person("ada", frozenset({"gpu"})),
        {"image": "next", "size": "custom", "cpu": "33.3", "memory": "2.3 GiB", "gpu": "two"},
        {"cpu": "You asked for 33.3 CPU. The most offered to you is 32.", "gpu": '"two" is not a whole number.'},
        running={"ada/one": Resources(60_000, 1010 * GiB, 3), "ben/": Resources(8_000, 64 * GiB, 4)},
    ),
    "many": Golden("many", values={"image": "spark-4.1", "size": "g8-m1536"}),
    "scripts": Golden("scripts", values={"image": "script", "size": "script"}),
}


@pytest.mark.parametrize("case", GOLDEN)
def test_the_form_is_as_it_was_read_by_eye(case: str) -> None:
    file = CASES / case / "form.html"
    html = GOLDEN[case].html
    if os.environ.get("STATEROOM_UPDATE_GOLDEN"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(html)
    assert html == file.read_text()


class TestWhatIsChosen:
    def test_the_defaults_of_a_first_visit(self, allowance: Allowance) -> None:
        form = page(allowance)
        assert (form.checked("image"), form.checked("size")) == (["unified"], ["standard"])

    def test_custom_starts_from_the_default_size(self, allowance: Allowance) -> None:
        form = page(allowance)
        assert form.one("input", name="cpu")["value"] == "1"
        assert form.one("input", name="memory")["value"] == "2"

    def test_custom_starts_within_its_range(self) -> None:
        ranges = "{cpu: {min: 1.5, max: 4, step: 1.25}, memory: {min: 512 MiB, max: 1.5 GiB, step: 1 GiB}}"
        form = page(offering(IMAGE, f"custom: {ranges}"))
        assert form.one("input", name="cpu")["value"] == "1.5"
        assert form.one("input", name="memory")["value"] == "1.5"

    def test_a_remembered_choice(self, allowance: Allowance) -> None:
        accepted = choose({"image": "classic", "size": "custom", "cpu": "1.5", "memory": "3 GiB"}, allowance)
        form = page(allowance, values_from_choice(accepted))
        assert (form.checked("image"), form.checked("size")) == (["classic"], ["custom"])
        assert form.one("input", name="cpu")["value"] == "1.5"
        assert form.one("input", name="memory")["value"] == "3"

    def test_amounts_without_a_size_are_custom_as_they_are_for_choose(self, allowance: Allowance) -> None:
        assert page(allowance, {"cpu": "1.5"}).checked("size") == ["custom"]

    def test_a_link_to_a_retired_image_leads_to_its_successor_and_says_so(self) -> None:
        retired = offering(f'[{IMAGE[1:-1]}, {{id: b, image: "b:1", replaced_by: a}}]')
        assert "The image &#34;b&#34; was replaced; a is chosen instead." in page(retired, {"image": "b"}).html
        assert "The size &#34;b&#34; is not offered to you" in page(retired, {"size": "b"}).html

    @pytest.mark.parametrize("field", ["image", "size"])
    def test_what_is_not_offered_gives_way_to_the_default_and_says_so(self, allowance: Allowance, field: str) -> None:
        form = page(allowance, {field: "gone"})
        assert (form.checked("image"), form.checked("size")) == (["unified"], ["standard"])
        assert f"The {field} &#34;gone&#34; is not offered to you" in form.html

    def test_custom_is_no_choice_where_only_sizes_are_offered(self, sizes_only: Allowance) -> None:
        assert page(sizes_only, {"size": "custom"}).checked("size") == ["standard"]

    @pytest.mark.parametrize("value", [value for value in HOSTILE if isinstance(value, str)], ids=shown)
    def test_one_of_each_is_chosen_whatever_a_link_says(self, allowance: Allowance, value: str) -> None:
        form = page(allowance, dict.fromkeys(("image", "size", "cpu", "memory"), value))
        assert (len(form.checked("image")), len(form.checked("size"))) == (1, 1)
        assert len(form.html) < 100_000


class TestWhatIsOffered:
    def test_each_size_in_plain_words(self, allowance: Allowance) -> None:
        form = page(allowance)
        assert [radio["value"] for radio in form.all("input", type="radio", name="size")] == [
            "small", "standard", "huge", "custom",
        ]  # fmt: skip
        texts = [element.text for element in form.elements]
        start = texts.index("Small")
        assert texts[start : start + 4] == ["Small", "", "0.5 CPU,", "1 GiB memory"]

    def test_an_entry_without_a_title_shows_its_id(self, allowance: Allowance) -> None:
        assert title_of(page(allowance), "stateroom-image-2") == "classic"

    def test_a_single_image_is_named_and_not_posted(self) -> None:
        form = page(offering('[{id: a, title: Alpha, description: The first, image: "a:1", default: true}]'))
        assert form.all("input", name="image") == []
        assert [e.text for e in form.elements if e.text in {"Alpha", "The first"}] == ["Alpha", "The first"]

    def test_without_ranges_there_is_no_custom_card(self, sizes_only: Allowance) -> None:
        form = page(sizes_only)
        assert form.all("input", value="custom") == []
        assert [element["name"] for element in form.all("input") if element["type"] != "radio"] == []

    def test_the_range_stands_at_the_field_and_on_its_slider(self, allowance: Allowance) -> None:
        form = page(allowance)
        assert "0.25 to 4, in steps of 0.25" in form.described(form.one("input", name="cpu"))
        assert "0.5 to 16, in steps of 0.25" in form.described(form.one("input", name="memory"))
        assert [(s["min"], s["max"], s["step"]) for s in form.all("input", type="range")] == [
            ("0.25", "4", "0.25"),
            ("0.5", "16", "0.25"),
        ]

    def test_a_range_of_one_amount_needs_no_slider(self) -> None:
        form = page(offering(IMAGE, f"custom: {{cpu: {{min: 2, max: 2, step: 1}}, {MEMORY}}}"))
        assert form.described(form.one("input", name="cpu")) == "2 only"
        assert [slider["aria-label"] for slider in form.all("input", type="range")] == ["GiB memory"]

    @pytest.mark.parametrize(("most", "fields"), [(0, ["cpu", "memory"]), (2, ["cpu", "memory", "gpu"])])
    def test_gpus_are_asked_for_where_there_may_be_one(self, most: int, fields: list[str]) -> None:
        form = page(offering(IMAGE, f"custom: {{{CPU}, {MEMORY}, gpu: {{max: {most}}}}}"))
        assert [element["name"] for element in form.all("input", type="text")] == fields

    def test_up_to_twelve_cards_are_all_in_sight(self) -> None:
        assert page(images(12)).all("details") == []

    @pytest.mark.parametrize("chosen", ["i1", "i30"])
    def test_of_more_nine_are_in_sight_the_chosen_one_and_the_default_among_them(self, chosen: str) -> None:
        form = page(images(30), {"image": chosen})
        fold = next(place for place, element in enumerate(form.elements) if element.tag == "details")
        in_sight = [element["value"] for element in form.elements[:fold] if element["name"] == "image"]
        assert len(in_sight) == 9
        assert {chosen, "i20"} <= set(in_sight)
        assert sorted(in_sight, key=lambda name: int(str(name)[1:])) == in_sight
        assert form.one("summary").text == "21 more images"
        assert len(form.all("input", name="image")) == 30

    def test_a_hidden_image_is_shown_to_whoever_asks_for_it(self) -> None:
        offered = offering(f'[{IMAGE[1:-1]}, {{id: b, image: "b:1", hidden: true}}]')
        assert page(offered).all("input", name="image") == []
        assert page(offered, {"image": "b"}).checked("image") == ["b"]

    @pytest.mark.parametrize("chosen", ["a", "b"])
    def test_a_size_is_shown_only_with_an_image_that_is_shown(self, chosen: str) -> None:
        more = '{id: b, title: Secret, image: "b:1", hidden: true}, {id: c, image: "c:1", users: [ben]}'
        tied = "{id: tied, cpu: 2, memory: 2 GiB, images: [b, c]}, {id: other, cpu: 2, memory: 2 GiB, images: [c]}"
        offered = offering(f"[{IMAGE[1:-1]}, {more}]", more_sizes=tied)
        form = page(offered, {"image": chosen, "size": "tied"})
        assert ("Only with Secret" in form.html) is (chosen == "b")
        assert form.checked("size") == ["tied" if chosen == "b" else "standard"]
        assert ("The size &#34;tied&#34; is not offered to you; Standard is chosen instead." in form.html) is (
            chosen == "a"
        )
        assert form.all("input", value="other") == []

    def test_a_deprecated_image_is_marked_and_says_what_to_use_instead(self) -> None:
        old = '{id: b, title: Old, image: "b:1", deprecated: Ends in March., replaced_by: a}'
        form = page(offering(f"[{IMAGE[1:-1]}, {old}]"))
        texts = [element.text for element in form.elements]
        assert texts.count("Deprecated") == 1
        assert {"Ends in March.", "Use a instead."} <= set(texts)

    def test_the_browser_checks_nothing_and_sliders_post_nothing(self, allowance: Allowance) -> None:
        form = page(allowance)
        assert [e for e in form.all("input") if "required" in e.attributes or e["type"] == "number"] == []
        assert [slider["name"] for slider in form.all("input", type="range")] == [None, None]
        assert all("hidden" in slider.attributes for slider in form.all("input", type="range"))

    def test_ids_are_unique_and_references_lead_somewhere(self, allowance: Allowance) -> None:
        form = page(allowance, errors=dict.fromkeys(("image", "size", "cpu", "memory"), "No."))
        ids = [element["id"] for element in form.elements if element["id"]]
        assert len(ids) == len(set(ids))
        for element in form.elements:
            for name in ("aria-labelledby", "aria-describedby", "for"):
                assert set((element[name] or "").split()) <= set(ids)


class TestWhatIsSaid:
    def test_an_error_stands_at_its_field_with_what_was_typed(self, allowance: Allowance) -> None:
        sentence = "You asked for 12 CPU. The most offered to you is 4."
        form = page(allowance, {"size": "custom", "cpu": "12", "memory": "3 GiB"}, {"cpu": sentence})
        cpu, memory = form.one("input", name="cpu"), form.one("input", name="memory")
        assert (cpu["value"], cpu["aria-invalid"], memory["aria-invalid"]) == ("12", "true", None)
        assert sentence in form.described(cpu)
        assert form.html.count(sentence) == 1
        assert form.checked("size") == ["custom"]

    @pytest.mark.parametrize("field", ["image", "size"])
    def test_an_error_of_a_group_stands_at_the_group(self, allowance: Allowance, field: str) -> None:
        form = page(allowance, {field: "gone"}, {field: "It is gone."})
        (group,) = [element for element in form.all("fieldset") if element["aria-invalid"]]
        assert form.described(group) == "It is gone."
        assert "is not offered to you" not in form.html

    @pytest.mark.parametrize("field", ["cpu", "image", "gpu", "quota", "colour"])
    def test_an_error_without_a_field_stands_on_top_and_has_the_focus(self, field: str) -> None:
        form = page(
            offering(f'[{IMAGE[1:-1]}, {{id: b, image: "b:1", hidden: true}}]'), errors={field: "No such thing."}
        )
        alert = form.one("div", role="alert")
        assert form.html.count("No such thing.") == 1
        assert [element for element in form.elements if "autofocus" in element.attributes] == [alert]

    @pytest.mark.parametrize(
        ("faults", "name", "value"),
        [
            (["memory", "gone"], "memory", "2"),
            (["memory", "cpu"], "cpu", "1"),
            (["cpu", "size"], "size", "standard"),
            (["size", "image"], "image", "unified"),
        ],
    )
    def test_the_first_field_at_fault_has_the_focus(
        self, allowance: Allowance, faults: list[str], name: str, value: str
    ) -> None:
        form = page(allowance, errors=dict.fromkeys(faults, "No."))
        (focused,) = [element for element in form.elements if "autofocus" in element.attributes]
        assert (focused["name"], focused["value"]) == (name, value)

    def test_without_an_error_nothing_is_an_alert(self, allowance: Allowance) -> None:
        form = page(allowance)
        assert form.all("div", role="alert") == []
        assert form.all("input", **{"aria-invalid": "true"}) == []

    def test_notices_and_the_admins_own(self, allowance: Allowance) -> None:
        form = page(allowance, notices=("It ended.",), admin_notices=("catalog.yaml:3: oops",))
        assert [element.text for element in form.all("p", role="status") if element.text] == ["It ended."]
        assert [element.text for element in form.all("li")] == ["catalog.yaml:3: oops"]

    @pytest.mark.parametrize(
        ("typed", "shown_as"),
        [
            ("3 GiB", "3"), ("2.3 GiB", "2.3"), ("512 MiB", "0.5"), ("1.5", "1.5"), ("lots", "lots"),
            ("500 MB", "500 MB"), ("GiB", "GiB"), ("9" * 100, "9" * 64),
        ],
    )  # fmt: skip
    def test_memory_is_shown_in_the_fields_unit(self, allowance: Allowance, typed: str, shown_as: str) -> None:
        assert page(allowance, {"memory": typed}).one("input", name="memory")["value"] == shown_as


class TestWhatIsLeft:
    QUOTA = "quota: {servers: 2, cpu: 4, memory: 8 GiB, gpu: 0}"

    @pytest.fixture
    def limited(self) -> Allowance:
        return offering(IMAGE, f"custom: {{{CPU}, {MEMORY}}}\n{self.QUOTA}")

    def test_without_a_limit_nothing_is_said_of_it(self, allowance: Allowance) -> None:
        assert "Left for" not in page(allowance, left=left_of(allowance)).html

    def test_of_what_is_unused_all_is_left(self, limited: Allowance) -> None:
        html = page(limited, left=left_of(limited)).html
        assert "Left for you: 2 servers, 4 CPU and 8 GiB memory." in html

    def test_of_the_rest_how_much_and_what_runs(self, limited: Allowance) -> None:
        html = page(limited, left=left_of(limited, {"box": Resources(1500, 512 * MiB)})).html
        assert "Left for you: 1 of 2 servers, 2.5 of 4 CPU and 7.5 GiB of 8 GiB memory. Running: box." in html

    def test_a_size_and_an_amount_beyond_it_say_so(self, limited: Allowance) -> None:
        form = page(limited, left=left_of(limited, {"box": Resources(3500, 512 * MiB)}))
        assert form.html.count("More than is left for you now") == 1
        assert form.described(form.one("input", name="cpu")) == "1 to 2, in steps of 1; 0.5 left for you now"
        assert form.described(form.one("input", name="memory")) == "1 to 2, in steps of 1"

    def test_that_no_server_is_left_is_said_once_on_top(self, limited: Allowance) -> None:
        left = left_of(limited, dict.fromkeys(("one", "two"), Resources(500, 512 * MiB)))
        form = page(limited, left=left)
        warning = "You run as many servers as you may. Stop one on your home page to start another."
        assert [element.text for element in form.all("p", role="status") if element.text] == [warning]
        assert "More than is left" not in form.html
        assert warning not in page(limited, errors={"quota": "Too many."}, left=left).html

    def test_the_total_of_a_group_where_it_leaves_less_than_the_users_own_limit(self) -> None:
        catalog = parse_catalog(f"""\
version: 1
images: {IMAGE}
sizes: [{{id: s, cpu: 1, memory: 1 GiB, default: true}}]
quota: {{servers: 2, cpu: 2}}
groups: {{lab: {{total: {{servers: 4, cpu: 8, memory: 8 GiB}}}}}}
""")
        allowance = allowance_for(catalog, Person("ada", frozenset({"lab"})))
        members = {"lab": ["ada", "ben"]}
        running = {f"ben/{number}": Resources(1000, GiB) for number in range(4)}
        html = page(allowance, left=left_of(allowance, running, members)).html
        assert "Left for you: 2 servers and 2 CPU." in html
        assert "Left for all members of lab together: 0 of 4 servers and 4 GiB of 8 GiB memory.</p>" in html
        assert "Members of lab run as many servers as they may. Wait until somebody stops one." in html
        running.pop("ben/0")
        running.pop("ben/1")
        html = page(allowance, left=left_of(allowance, running, members)).html
        assert "Left for all members of lab together: 6 GiB of 8 GiB memory.</p>" in html


class TestTheMachine:
    """Of 20 GiB, servers may have 18. Offered are up to 16 GiB of one's own, and a size of 128 GiB."""

    MACHINE = Machine(2000, 20 * GiB)

    def page_beside(self, allowance: Allowance, *memory: int, **more: Any) -> Page:
        """The form while servers of others run that have so much memory."""
        running = {f"ben/{number}": Resources(500, amount) for number, amount in enumerate(memory)}
        left = left_of(allowance, running, machine=self.MACHINE)
        return page(allowance, left=left, machine=self.MACHINE, **more)

    def test_more_cpus_than_it_has_are_shown_as_such_and_can_be_chosen(self, allowance: Allowance) -> None:
        form = page(allowance, machine=self.MACHINE)
        notes = [element.text for element in form.all("span", **{"class": "stateroom-note"})]
        assert notes == ["The machine has 2 CPU"]
        assert form.described(form.one("input", name="cpu")) == "0.25 to 4, in steps of 0.25; the machine has 2"
        assert not [element for element in form.elements if "disabled" in element.attributes]

    def test_of_less_cpus_than_it_has_nothing_is_said(self, sizes_only: Allowance) -> None:
        assert "The machine has" not in page(sizes_only, machine=Machine(32_000, 0)).html
        assert "The machine has" not in page(sizes_only, machine=Machine(0, 0)).html

    def test_where_less_cpu_is_left_than_it_has_that_is_said_instead(self) -> None:
        limited = offering(IMAGE, f"custom: {{{CPU}, {MEMORY}}}\nquota: {{cpu: 1}}")
        form = page(limited, left=left_of(limited), machine=Machine(1500, 0))
        assert form.described(form.one("input", name="cpu")) == "1 to 2, in steps of 1; 1 left for you now"

    def test_a_size_that_it_cannot_hold_says_so(self, allowance: Allowance) -> None:
        assert "More memory than the machine has for servers" in self.page_beside(allowance).html

    def test_a_size_and_an_amount_beyond_what_it_has_left_say_so(self, allowance: Allowance) -> None:
        form = self.page_beside(allowance, 16 * GiB + 700 * MiB)
        assert form.html.count("More than is left for you now") == 1
        assert form.described(form.one("input", name="memory")).endswith("; 1.31 left for you now")
        assert "Left on the machine: 1.31 GiB of 18 GiB memory." in form.html

    def test_what_is_left_is_told_only_where_it_may_be_in_the_way(self, allowance: Allowance) -> None:
        small = replace(allowance, sizes=allowance.sizes[:2])
        assert "Left on the machine" not in self.page_beside(small, 2 * GiB).html
        assert "Left on the machine: 15 GiB of 18 GiB memory." in self.page_beside(small, 3 * GiB).html
        limited = replace(small, quota=Quota(memory="4 GiB"))
        assert "Left on the machine" not in self.page_beside(limited, 14 * GiB).html
        assert "Left on the machine: 3.5 GiB of 18 GiB memory." in self.page_beside(limited, 14 * GiB, 512 * MiB).html

    def test_that_it_is_full_is_said_once_on_top(self, allowance: Allowance) -> None:
        full = "The machine has too little memory left for another server. Wait until somebody stops one."
        form = self.page_beside(allowance, 17 * GiB, 513 * MiB)
        assert [element.text for element in form.all("p", role="status") if element.text] == [full]
        assert full not in self.page_beside(allowance, 17 * GiB, 512 * MiB).html
        assert full not in self.page_beside(allowance, 17 * GiB, 513 * MiB, errors={"quota": "Full."}).html


class TestHostileText:
    def test_a_title_does_not_turn_a_sentence_round(self) -> None:
        old = '{id: b, image: "b:1", deprecated: Gone soon., replaced_by: a}'
        html = page(offering(f'[{{id: a, title: "مختبر", image: "a:1", default: true}}, {old}]')).html
        assert "Use \u2068مختبر\u2069 instead." in html

    def test_titles_are_only_text(self) -> None:
        titles = f"{{id: a, title: '{EVIL}', description: '{EVIL}', image: \"a:1\""
        form = page(offering(f'[{titles}, default: true}}, {{id: b, title: "研究室 مختبر", image: "b:1"}}]'))
        assert len(form.all("script")) == 1
        assert title_of(form, "stateroom-image-1") == EVIL
        assert title_of(form, "stateroom-image-2") == "研究室 مختبر"

    def test_values_and_sentences_are_only_text(self, allowance: Allowance) -> None:
        everything = dict.fromkeys(("image", "size", "cpu", "memory", EVIL), EVIL)
        form = page(allowance, everything, everything, (EVIL,), (EVIL,))
        assert len(form.all("script")) == 1
        assert form.one("input", name="cpu")["value"] == EVIL

    def test_style_and_script_cannot_end_early(self, allowance: Allowance) -> None:
        html = page(allowance).html
        assert (html.count("</script"), html.count("</style")) == (1, 2)


class TestOptionsFromForm:
    def test_an_empty_form_means_the_defaults(self) -> None:
        assert options_from_form({}) == {}

    def test_the_hubs_own_field_is_no_option(self) -> None:
        assert options_from_form({"_xsrf": ["2|abc"]}) == {}

    def test_custom_amounts(self, allowance: Allowance) -> None:
        posted = {"image": ["unified"], "size": ["custom"], "cpu": [" 1.5 "], "memory": ["3"]}
        choice = choose(options_from_form(posted), allowance)
        assert (choice.size, choice.resources.cpu, choice.resources.memory) == (None, 1500, 3 * GiB)

    def test_amounts_beside_a_named_size_do_not_count(self, allowance: Allowance) -> None:
        options = options_from_form({"size": ["standard"], "cpu": ["junk"], "memory": [""]})
        assert options == {"size": "standard"}
        assert choose(options, allowance).size == allowance.default_size

    @pytest.mark.parametrize(
        ("typed", "option"),
        [
            ("3", "3 GiB"), ("1.5", "1.5 GiB"), ("1,5", "1.5 GiB"), (",5", "0.5 GiB"), ("512 MiB", "512 MiB"),
            ("1,5 GiB", "1.5 GiB"), (" 3 ", "3 GiB"), ("", ""), ("-1", "-1"), ("NaN", "NaN"), ("1e999", "1e999"),
            ("1,2,3", "1,2,3"), ("1.024,5", "1.024,5"), ("\u0663", "\u0663"),
        ],
    )  # fmt: skip
    def test_memory_as_people_type_it(self, typed: str, option: str) -> None:
        assert options_from_form({"memory": [typed]}) == {"memory": option}

    @pytest.mark.parametrize(("typed", "option"), [("1,5", "1.5"), ("1.5", "1.5"), ("500m", "500m"), ("-1", "-1")])
    def test_cpu_as_people_type_it(self, typed: str, option: str) -> None:
        assert options_from_form({"cpu": [typed]}) == {"cpu": option}

    @pytest.mark.parametrize(
        ("posted", "field"),
        [
            ({"size": ["small", "standard"]}, "size"),
            ({"image": ["unified", "unified"]}, "image"),
            ({"size": ["custom"], "cpu": ["1", "2"], "memory": ["1"]}, "cpu"),
            ({"size": ["custom"], "cpu": ["1"], "memory": []}, "memory"),
            ({"size": ["custom"], "cpu": [""], "memory": ["1"]}, "cpu"),
            ({"colour": ["red"]}, "colour"),
            ({"size_file": [{"filename": "x", "body": b"\x00", "content_type": "text/plain"}]}, "size_file"),
            ({"image": [{"filename": "x", "body": b"\x00"}]}, "image"),
        ],
        ids=str,
    )
    def test_what_no_form_posts_is_refused_in_a_sentence(
        self, allowance: Allowance, posted: dict[str, list[Any]], field: str
    ) -> None:
        with pytest.raises(ChoiceRefused) as refused:
            choose(options_from_form(posted), allowance)
        assert list(refused.value.fields) == [field]
        assert refused.value.fields[field].endswith(".")

    @pytest.mark.parametrize("value", [value for value in HOSTILE if isinstance(value, str)], ids=shown)
    def test_any_text_ends_in_a_choice_or_a_refusal(self, allowance: Allowance, value: str) -> None:
        for posted in ({"size": [value]}, {"size": ["custom"], "cpu": [value], "memory": [value]}, {value: [value]}):
            options = options_from_form(posted)
            try:
                choose(options, allowance)
            except ChoiceRefused as refused:
                typed = {name: text for name, text in options.items() if isinstance(text, str)}
                assert page(allowance, typed, refused.fields).one("div", role="alert")

    def test_what_is_shown_posts_the_same_choice_again(self, allowance: Allowance) -> None:
        accepted = choose({"size": "custom", "cpu": "2.25", "memory": "768 MiB"}, allowance)
        form = page(allowance, values_from_choice(accepted))
        posted = {name: [form.one("input", name=name)["value"]] for name in ("cpu", "memory")}
        assert choose(options_from_form({"size": ["custom"], **posted}), allowance) == accepted


class TestValuesFromQuery:
    def test_known_keys_with_or_without_the_hubs_prefix(self) -> None:
        assert values_from_query({"opt-size": ["custom"], "cpu": [" 1.5 "]}) == {"size": "custom", "cpu": "1.5"}

    def test_the_rest_is_ignored(self) -> None:
        assert values_from_query({"next": ["/"], "profile": ["x"], "size": [], "colour": ["red"]}) == {}

    def test_long_text_is_cut(self) -> None:
        assert values_from_query({"cpu": ["1" * 1_000_000]}) == {"cpu": "1" * 64}


def test_values_of_a_named_size_leave_the_amounts_alone(allowance: Allowance) -> None:
    assert values_from_choice(choose({}, allowance)) == {"image": "unified", "size": "standard"}


class TestPagesOfTheHub:
    """Our overrides over the templates of the hub that is installed."""

    @pytest.fixture
    def hub(self) -> Environment:
        theirs = FileSystemLoader([str(Path(DATA_FILES_PATH) / "templates")])
        ours = FileSystemLoader([str(Path(stateroom.hub.form.render.__file__).parent.parent / "templates" / "hub")])
        return Environment(loader=ChoiceLoader([PrefixLoader({"templates": theirs}), ours, theirs]), autoescape=True)

    @pytest.fixture
    def shared(self) -> dict[str, Any]:
        """What the hub's handlers pass; `box` is one of Ada's servers."""
        servers = {name: SimpleNamespace(name=name, display_name=name) for name in ("", "box", "other")}
        user = SimpleNamespace(name="ada", escaped_name="ada", spawners=servers, spawner=servers[""])
        return {
            "user": user, "for_user": user, "base_url": "/hub/", "static_url": lambda path, **_: path,
            "parsed_scopes": (), "no_spawner_check": True,
        }  # fmt: skip

    def spawn_page(self, hub: Environment, shared: dict[str, Any], **more: Any) -> Page:
        passed = {"url": "/hub/spawn?_xsrf=x", "spawner_options_form": "", "error_message": None} | shared | more
        return Page(hub.get_template("spawn.html").render(passed))

    def test_the_heading_names_a_named_server(self, hub: Environment, shared: dict[str, Any]) -> None:
        assert "box" not in self.spawn_page(hub, shared).html
        named = self.spawn_page(hub, shared, url="/hub/spawn/ada/box?_xsrf=x")
        assert [element.text for element in named.all("span", dir="auto")] == ["box"]

    def test_other_errors_are_shown_as_the_hub_does(self, hub: Environment, shared: dict[str, Any]) -> None:
        assert "Error: No room." in self.spawn_page(hub, shared, error_message="No room.").html

    def test_a_refusal_is_said_once(self, hub: Environment, shared: dict[str, Any], allowance: Allowance) -> None:
        form = page(allowance, {}, {"cpu": "Too much."}).html
        html = self.spawn_page(hub, shared, error_message="Too much.", spawner_options_form=form).html
        assert html.count("Too much.") == 1

    def test_a_pending_start_offers_the_way_back(self, hub: Environment, shared: dict[str, Any]) -> None:
        passed = shared | {"spawner": shared["user"].spawners["box"], "progress_url": "/p"}
        pending = Page(hub.get_template("spawn_pending.html").render(passed))
        assert [element.text for element in pending.all("span", dir="auto")] == ["box"]
        assert pending.one("a", href="/hub/spawn/ada/box").text == "Choose again"
