"""The start form as a person sees it, on a real hub: every state of it, light and dark."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Locator, Page, expect

from harness.hub import ON_ANY_MACHINE, Hub, Person
from stateroom.catalog.load import parse_catalog
from stateroom.hub.form.request import options_from_form
from stateroom.offers.allowance import Person as Somebody
from stateroom.offers.allowance import allowance_for
from stateroom.offers.choice import choose

from .conftest import Enter, Look

DATA = Path(__file__).parents[1] / "data" / "form"

CATALOG = """\
version: 1
images:
  - {id: unified, title: Unified notebook, description: Python and shell, image: "stateroom/unified:1", default: true}
  - {id: gpu, title: GPU notebook, description: PyTorch, image: "stateroom/unified:1"}
  - id: old
    title: Old notebook
    image: stateroom/unified:1
    deprecated: Offered until the end of March.
    replaced_by: unified
sizes:
  - {id: small, title: Small, cpu: 0.5, memory: 512 MiB, description: For reading}
  - {id: standard, title: Standard, cpu: 1, memory: 1 GiB, description: For most work, default: true}
  - {id: wide, title: Wide, cpu: 2, memory: 1.5 GiB, images: [gpu, old]}
custom:
  cpu: {min: 0.25, max: 4, step: 0.25}
  memory: {min: 512 MiB, max: 16 GiB, step: 256 MiB}
quota: {servers: 4, cpu: 8, memory: 32 GiB}
environment: {LANG: C.UTF-8}
"""
RETIRED = CATALOG.replace("    deprecated: Offered until the end of March.\n", "")
PHONE = {"width": 360, "height": 740}

EVIL = """"'></style></script><script>alert(1)</script><img src=x onerror=alert(1)>"""


@pytest.fixture(autouse=True, scope="module")
def _original(hub: Hub) -> Iterator[None]:
    original = hub.catalog.read_text()
    yield
    hub.save_catalog(original)


@pytest.fixture(autouse=True)
def _catalog(hub: Hub) -> None:
    offer(hub, CATALOG)


@pytest.fixture(scope="module")
def reader(hub: Hub) -> Iterator[Person]:
    """Somebody who looks at forms and never starts a server."""
    person = hub.person()
    yield person
    assert hub.servers.of(person.name) == []
    person.close()


def offer(hub: Hub, catalog: str) -> None:
    hub.save_catalog(f"hub: {hub.id}\n{catalog}\n{ON_ANY_MACHINE}")


# What is chosen, and what is posted


def test_each_card_posts_what_it_says(reader: Person, enter: Enter, look: Look) -> None:
    page = enter(reader)
    look(page, "form")
    allowance = allowance_for(parse_catalog(CATALOG), Somebody(reader.name))
    for image in ("Unified notebook", "GPU notebook", "Old notebook"):
        for size in ("Small", "Standard", "Wide"):
            if (image, size) == ("Unified notebook", "Wide"):
                continue
            card(page, image).check()
            card(page, size).check()
            choice = choose(options_from_form(posted(page)), allowance)
            assert choice.image.label == image
            assert f"{choice.resources} memory" in text_of(page, size)


def test_a_slider_and_its_number_stay_in_step_and_choose_custom(reader: Person, enter: Enter, look: Look) -> None:
    page = enter(reader)
    cpu, slider = page.locator("[name=cpu]"), page.get_by_role("slider", name="CPU")
    assert (cpu.input_value(), slider.input_value()) == ("1", "1")

    cpu.fill("2.5")
    expect(slider).to_have_value("2.5")
    expect(card(page, "Custom")).to_be_checked()
    page.locator("[name=memory]").fill("3,25")
    expect(page.get_by_role("slider", name="GiB memory")).to_have_value("3.25")

    card(page, "Small").check()
    slider.press("ArrowRight")
    expect(cpu).to_have_value("2.75")
    expect(card(page, "Custom")).to_be_checked()
    slider.press("End")
    expect(cpu).to_have_value("4")
    cpu.fill("lots")
    expect(slider).to_have_value("0.25")
    slider.fill("1.75")

    assert posted(page) == {"image": ["unified"], "size": ["custom"], "cpu": ["1.75"], "memory": ["3,25"]}
    look(page, "custom")


def test_the_keyboard_alone_leads_from_the_first_field_to_a_started_server(
    hub: Hub, person: Person, enter: Enter, look: Look
) -> None:
    page = enter(person)
    tab_to(page, card(page, "Unified notebook"))
    page.keyboard.press("ArrowRight")
    expect(card(page, "GPU notebook")).to_be_checked()
    page.keyboard.press("Tab")
    expect(card(page, "Standard")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(card(page, "Wide")).to_be_checked()
    page.keyboard.press("ArrowDown")
    expect(card(page, "Custom")).to_be_checked()
    page.keyboard.press("Tab")
    expect(page.locator("[name=cpu]")).to_be_focused()
    page.keyboard.type("0.75")  # what stands there is selected
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("[name=cpu]")).to_have_value("0.5")
    tab_to(page, page.locator("[name=memory]"))
    page.keyboard.type("0.75")
    look(page, "keyboard")
    tab_to(page, page.get_by_role("button", name="Start"))
    page.keyboard.press("Enter")

    page.wait_for_url(re.compile(f"/user/{person.name}/"))
    limits = hub.servers.limits(person.name)
    assert (limits.cpu, limits.memory) == (0.5, 768 * 1024**2)


def test_without_javascript_a_server_is_chosen_refused_repaired_and_started(
    hub: Hub, person: Person, enter: Enter, screenshots: Path
) -> None:
    page = enter(person, java_script_enabled=False)
    expect(page.locator(".stateroom input[type=range]:visible, .stateroom-link:visible")).to_have_count(0)
    # Amounts that are typed beside a named size would not count.
    expect(page.locator("[name=cpu]")).to_be_hidden()

    card(page, "Wide").check()
    start(page)
    expect(page.get_by_text('The size "wide" is only offered with the images gpu, old.')).to_be_visible()
    expect(card(page, "Wide")).to_be_checked()

    card(page, "Custom").check()
    page.locator("[name=cpu]").fill("0.3")
    page.locator("[name=memory]").fill("0.5")
    # axe-core is a script as well, so that it cannot look here.
    page.screenshot(path=screenshots / "without-javascript.png", full_page=True)
    start(page)
    expect(error_of(page, "cpu")).to_have_text("You asked for 0.3 CPU. The nearest offered are 0.25 and 0.5.")
    card(page, "Small").check()
    start(page)
    page.wait_for_url(re.compile(f"/user/{person.name}/"))
    limits = hub.servers.limits(person.name)
    assert (limits.cpu, limits.memory) == (0.5, 512 * 1024**2)


# What the form looks like


@pytest.mark.parametrize("case", ["usual", "many", "scripts"])
def test_at_360_pixels_nothing_is_cut_and_nothing_scrolls_sideways(
    hub: Hub, reader: Person, enter: Enter, look: Look, case: str
) -> None:
    if case != "usual":
        offer(hub, (DATA / case / "catalog.yaml").read_text())
    page = enter(reader, viewport=PHONE)
    for folded in page.locator("summary").all():
        folded.click()
    look(page, f"phone-{case}")
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    cut = """() => [...document.querySelectorAll(".stateroom *, .feedback-container > *")]
        .filter((element) => element.checkVisibility())
        .filter((element) => {
            const box = element.getBoundingClientRect();
            return box.left < 0 || box.right > innerWidth || element.scrollWidth > element.clientWidth + 1;
        })
        .filter((element) => getComputedStyle(element).display !== "inline")
        .map((element) => element.outerHTML.slice(0, 200))"""
    assert page.evaluate(cut) == []


def test_the_hubs_dark_mode_is_the_forms(reader: Person, enter: Enter) -> None:
    page = enter(reader)
    colours = """() => [".stateroom-card", ".stateroom-title", ".form-control"]
        .map((part) => document.querySelector(part))
        .flatMap((part) => [getComputedStyle(part).backgroundColor, getComputedStyle(part).color])"""
    light = page.evaluate(colours)
    page.get_by_role("button", name="Toggle dark mode").click()
    dark = page.evaluate(colours)
    assert [one == other for one, other in zip(light, dark, strict=True)] == [False, False, True, False, False, False]


def test_of_very_many_the_chosen_one_is_in_sight_and_the_rest_is_folded_away(
    hub: Hub, reader: Person, enter: Enter, look: Look
) -> None:
    offer(hub, (DATA / "many" / "catalog.yaml").read_text())
    page = enter(reader, "?image=spark-4.1&size=c96-m768")
    look(page, "many")
    for chosen in ("Spark 4.1", "96 memory"):
        expect(card(page, chosen)).to_be_checked()
        expect(card(page, chosen)).to_be_visible()
    expect(card(page, "Spark 4.0")).to_be_hidden()

    # The arrow keys stay with what can be seen.
    card(page, "Spark 4.1").focus()
    page.keyboard.press("ArrowRight")
    expect(card(page, "Python 3.9")).to_be_checked()

    page.get_by_text("21 more images").click()
    card(page, "Spark 4.0").check()
    assert posted(page)["image"] == ["spark-4.0"]
    expect(page.get_by_role("button", name="Start")).to_be_in_viewport(ratio=1)
    look(page, "many-unfolded")


def test_titles_in_any_script_and_hostile_ones_are_only_text(
    hub: Hub, reader: Person, enter: Enter, look: Look
) -> None:
    offer(hub, (DATA / "scripts" / "catalog.yaml").read_text())
    page = enter(reader)
    look(page, "scripts")
    titles = page.locator(".stateroom-title bdi").all_inner_texts()
    assert "دفتر ملاحظات موحد 2" in titles
    assert '"><script>alert(1)</script>' in titles
    assert "</style><script>alert(2)</script>" in titles
    assert page.locator("h1").count() == 1
    card(page, '"><script>').check()
    card(page, "</style><script>").check()
    assert posted(page)["size"] == ["script"]


def test_the_faults_of_the_catalog_stand_on_the_admins_form(hub: Hub, enter: Enter, look: Look) -> None:
    admin = hub.person("--admin")
    offer(hub, CATALOG.replace("sizes:", "sizs:"))
    page = enter(admin)
    expect(page.get_by_text('sizs: there is no such key; did you mean "sizes"?')).to_be_visible()
    look(page, "admin")
    admin.close()


# What is refused


@pytest.mark.parametrize("server", ["", "box"])
def test_an_off_step_value_is_refused_with_the_two_nearest_and_repaired(
    hub: Hub, person: Person, enter: Enter, look: Look, server: str
) -> None:
    page = enter(person, f"/{person.name}/{server}".rstrip("/"))
    page.locator("[name=cpu]").fill("0.3")
    page.locator("[name=memory]").fill("0,6")
    start(page)
    expect(error_of(page, "cpu")).to_have_text("You asked for 0.3 CPU. The nearest offered are 0.25 and 0.5.")
    expect(error_of(page, "memory")).to_have_text(re.compile("The nearest offered are 0.5 GiB and 0.75 GiB."))
    expect(page.locator("[name=cpu]")).to_have_value("0.3")
    expect(page.locator("[name=memory]")).to_have_value("0.6")
    expect(page.locator("[name=cpu]")).to_be_focused()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Start your server {server}".rstrip())
    look(page, f"refused-{server or 'default'}")
    assert hub.servers.of(person.name) == []

    page.locator("[name=cpu]").fill("0.5")
    page.locator("[name=memory]").fill("0.75")
    start(page)
    page.wait_for_url(re.compile(f"/user/{person.name}/{server}"))
    limits = hub.servers.limits(person.name, server)
    assert (limits.cpu, limits.memory) == (0.5, 768 * 1024**2)


def test_two_tabs_keep_their_own_values_and_errors(reader: Person, enter: Enter) -> None:
    one = enter(reader)
    other = one.context.new_page()
    other.goto(f"{reader.hub.url}/hub/spawn/{reader.name}/box")
    one.locator("[name=cpu]").fill("12")
    other.locator("[name=memory]").fill("99")
    card(other, "GPU notebook").check()
    start(one)
    start(other)
    expect(error_of(one, "cpu")).to_have_text("You asked for 12 CPU. The most offered to you is 4.")
    expect(error_of(other, "memory")).to_have_text("You asked for 99 GiB of memory. The most offered to you is 16 GiB.")
    for page, values in ((one, ["unified", "custom", "12", "1"]), (other, ["gpu", "custom", "1", "99"])):
        assert [texts[0] for texts in posted(page).values()] == values
        expect(page.locator(".stateroom-error")).to_have_count(1)
    one.reload()  # posts again
    expect(one.locator("[name=cpu]")).to_have_value("12")
    fresh = one.context.new_page()
    fresh.goto(f"{reader.hub.url}/hub/spawn")
    expect(fresh.locator(".stateroom-error")).to_have_count(0)
    expect(fresh.locator("[name=cpu]")).to_have_value("1")


def test_a_quota_that_is_used_up_is_told_by_the_form_and_by_the_refusal(
    hub: Hub, person: Person, enter: Enter, look: Look
) -> None:
    person.started({"user_options": {"size": "small"}}, server="one")
    offer(hub, CATALOG.replace("servers: 4, cpu: 8", "servers: 4, cpu: 1"))
    page = enter(person, f"/{person.name}")
    left = page.get_by_text("Left for you: 3 of 4 servers, 0.5 of 1 CPU and 31.5 GiB of 32 GiB memory. Running: one.")
    expect(left).to_be_visible()
    assert "More than is left for you now" in text_of(page, "Standard")
    assert "More than is left for you now" not in text_of(page, "Small")
    expect(page.get_by_text("0.25 to 4, in steps of 0.25; 0.5 left for you now")).to_be_visible()
    look(page, "quota")
    start(page)
    sentence = "Of the 1 CPU that you may have at once, 0.5 CPU is used by one (0.5 CPU); choose 0.5 CPU or less"
    expect(page.get_by_role("alert")).to_contain_text(sentence)
    expect(page.get_by_role("alert")).to_be_focused()
    expect(left).to_be_visible()
    look(page, "quota-refused")

    offer(hub, CATALOG.replace("servers: 4", "servers: 1"))
    page.goto(f"{hub.url}/hub/spawn/{person.name}")
    expect(page.get_by_text("You run as many servers as you may.")).to_be_visible()
    assert "More than is left" not in page.locator(".stateroom").inner_text()
    look(page, "no-servers-left")
    start(page)
    expect(page.get_by_role("alert")).to_contain_text("You may run 1 server at once, and these run: one.")
    expect(page.get_by_text("You run as many servers as you may.")).to_have_count(0)


# What was chosen before


def test_the_last_choice_is_remembered_and_what_is_gone_gives_way_with_a_word_about_it(
    hub: Hub, person: Person, enter: Enter, look: Look
) -> None:
    person.started({"user_options": {"image": "old", "size": "small"}})
    person.stop()
    page = enter(person)
    expect(card(page, "Old notebook")).to_be_checked()
    expect(card(page, "Small")).to_be_checked()
    assert "Deprecated" in text_of(page, "Old notebook")
    assert "Offered until the end of March." in text_of(page, "Old notebook")
    assert "Use Unified notebook instead." in text_of(page, "Old notebook")

    offer(hub, RETIRED)
    page.reload()
    expect(page.get_by_text('The image "old" was replaced; Unified notebook is used instead.')).to_be_visible()
    expect(card(page, "Unified notebook")).to_be_checked()
    expect(card(page, "Small")).to_be_checked()
    expect(card(page, "Old notebook")).to_have_count(0)
    look(page, "replaced")

    offer(hub, CATALOG.replace("id: small", "id: tiny"))
    page.reload()
    expect(page.get_by_text("Standard is used instead.")).to_be_visible()
    expect(card(page, "Old notebook")).to_be_checked()
    expect(card(page, "Standard")).to_be_checked()
    look(page, "outdated")


# What a link fills in


@pytest.mark.parametrize("prefix", ["", "opt-"])
def test_a_link_fills_in_the_form_and_waits_for_the_click(reader: Person, enter: Enter, prefix: str) -> None:
    asked = {"image": "gpu", "size": "custom", "cpu": "1.5", "memory": "3 GiB"}
    page = enter(reader, "?" + "&".join(f"{prefix}{key}={quote(value)}" for key, value in asked.items()))
    assert posted(page) == {"image": ["gpu"], "size": ["custom"], "cpu": ["1.5"], "memory": ["3"]}
    expect(page.get_by_role("slider", name="CPU")).to_have_value("1.5")
    assert not reader.active()


def test_a_link_with_hostile_values_is_only_text(reader: Person, enter: Enter, look: Look) -> None:
    page = enter(reader)
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    page.goto(f"{reader.hub.url}/hub/spawn?" + "&".join(f"opt-{key}={quote(EVIL)}" for key in ("image", "size", "cpu")))
    expect(page.locator("[name=cpu]")).to_have_value(EVIL[:64])
    expect(page.get_by_text("is not offered to you; Standard is chosen instead.")).to_be_visible()
    look(page, "hostile-link")
    page.goto(f"{reader.hub.url}/hub/spawn?image=old&size=custom&cpu=-1&memory=NaN&gpu=1e999&profile=x&next=//evil.org")
    start(page)
    expect(error_of(page, "cpu")).to_have_text('"-1" is not an amount of CPU; write for example 1.5.')
    expect(error_of(page, "memory")).to_have_text('"NaN" is not an amount of memory; write for example 2 GiB.')
    assert not reader.active()


def test_a_copied_link_fills_in_the_form_for_somebody_else(hub: Hub, reader: Person, enter: Enter) -> None:
    page = enter(reader, f"/{reader.name}/box", permissions=["clipboard-read", "clipboard-write"])
    card(page, "GPU notebook").check()
    page.locator("[name=cpu]").fill("2,5")
    page.get_by_role("link", name="Copy a link to this choice").click()
    expect(page.get_by_text("Copied")).to_be_visible()
    link = page.evaluate("navigator.clipboard.readText()")
    assert link.startswith(f"{hub.url}/hub/spawn?")
    page.goto(link)
    assert posted(page) == {"image": ["gpu"], "size": ["custom"], "cpu": ["2,5"], "memory": ["1"]}

    card(page, "Wide").check()
    page.get_by_role("link", name="Copy a link to this choice").click()
    expect(page.get_by_text("Copied")).to_be_visible()
    page.goto(page.evaluate("navigator.clipboard.readText()"))
    expect(card(page, "Wide")).to_be_checked()
    assert "cpu" not in page.url
    assert not reader.active()


def test_a_link_to_a_retired_image_leads_to_its_successor(hub: Hub, reader: Person, enter: Enter) -> None:
    offer(hub, RETIRED)
    page = enter(reader, "?image=old")
    expect(page.get_by_text('The image "old" was replaced; Unified notebook is chosen instead.')).to_be_visible()


# Sizes that are tied to images


def test_a_size_tied_to_an_image_cannot_be_picked_with_another(reader: Person, enter: Enter, look: Look) -> None:
    page = enter(reader)
    expect(card(page, "Wide")).to_be_disabled()
    assert "Only with GPU notebook, Old notebook" in text_of(page, "Wide")

    card(page, "GPU notebook").check()
    card(page, "Wide").check()
    card(page, "Unified notebook").check()
    expect(card(page, "Standard")).to_be_checked()
    expect(page.get_by_text(re.compile("Wide.* does not go with this image; .*Standard.* is chosen"))).to_be_visible()
    look(page, "parted")

    card(page, "Old notebook").check()
    expect(card(page, "Wide")).to_be_checked()
    expect(page.get_by_text("does not go with this image")).to_have_count(0)

    card(page, "Unified notebook").check()
    card(page, "Small").check()
    card(page, "GPU notebook").check()
    expect(card(page, "Small")).to_be_checked()


# What is asked of a form


def card(page: Page, title: str) -> Locator:
    """The radio button of the card whose title and amounts hold this text."""
    return page.get_by_role("radio", name=title)


def text_of(page: Page, title: str) -> str:
    """All that a card says."""
    return card(page, title).locator("xpath=..").inner_text()


def start(page: Page) -> None:
    """Press Start."""
    page.get_by_role("button", name="Start").click()


def error_of(page: Page, field: str) -> Locator:
    """What stands at a field that was refused."""
    return page.locator(f"#stateroom-{field}-error")


def posted(page: Page) -> dict[str, list[Any]]:
    """What a submit would post, as the hub hands it on."""
    fields = page.evaluate("[...new FormData(document.getElementById('spawn_form'))]")
    return {name: [text] for name, text in fields}


def tab_to(page: Page, element: Locator) -> None:
    """Press Tab until the element has the focus."""
    for _ in range(30):
        page.keyboard.press("Tab")
        if element.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError("Tab never comes to the element")
