"""What holds for every catalog, everybody and whatever is sent, tried with what hypothesis makes up."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from harness.catalogs import ANYTHING, Data, catalogs, mutated, options, people, texts, written
from stateroom.catalog.catalog import Catalog
from stateroom.catalog.images import Image
from stateroom.catalog.load import parse_catalog
from stateroom.catalog.reference import catalog_schema
from stateroom.catalog.sizes import Quota, Size
from stateroom.common.errors import CatalogError, ChoiceRefused, QuotaExceeded
from stateroom.common.quantity import LIMITED, Machine, MiB, Resources, format_cpu, format_memory_exactly, parse_memory
from stateroom.offers.allowance import Allowance, Person, allowance_for
from stateroom.offers.choice import Choice, choose, recall
from stateroom.offers.quota import check_quota, left_for
from stateroom.offers.schema import schema_from_allowance
from stateroom.workloads.names import ServerRef

from .conftest import ADA, CATALOG

CATALOG_SCHEMA = Draft202012Validator(catalog_schema())
LONGEST_PROBLEM = 500
SPELLED = {"servers": str, "cpu": format_cpu, "memory": format_memory_exactly, "gpu": str}
EVERYTHING = allowance_for(parse_catalog(CATALOG), ADA)


class TestReading:
    @given(st.text())
    def test_any_text_is_a_catalog_or_refused(self, text: str) -> None:
        read(text)

    @given(ANYTHING)
    def test_any_yaml_is_a_catalog_or_refused(self, data: Any) -> None:
        read(written(data))

    @given(catalogs(), st.booleans())
    def test_a_catalog_that_holds_is_read(self, data: Data, flow: bool) -> None:
        parse_catalog(written(data, flow=flow))

    @given(mutated())
    def test_a_catalog_with_changed_values_and_keys_is_a_catalog_or_refused(self, data: Data) -> None:
        read(written(data))

    @given(texts())
    def test_a_catalog_with_changed_text_is_a_catalog_or_refused(self, text: str) -> None:
        read(text)


class TestWriting:
    @given(catalogs())
    def test_what_is_written_out_is_read_the_same(self, data: Data) -> None:
        catalog = parse_catalog(written(data))
        for unset in (True, False):
            dumped = catalog.model_dump(mode="json", exclude_unset=unset)
            assert parse_catalog(written(dumped)) == catalog
            CATALOG_SCHEMA.validate(dumped)


class TestChoosing:
    @given(st.data())
    def test_what_is_accepted_lies_within_the_allowance_and_comes_back_the_same(self, data: st.DataObject) -> None:
        content, allowance = data.draw(allowances())
        for _ in range(5):
            choice = accepted(data.draw(options(content)), allowance)
            if choice:
                assert_within(choice, allowance)
                assert choose(choice.as_options(), allowance) == choice

    @given(st.data())
    def test_whatever_was_remembered_ends_in_an_offered_choice(self, data: st.DataObject) -> None:
        content, allowance = data.draw(allowances())
        for _ in range(5):
            asked = data.draw(options(content))
            recalled = recall(asked, allowance)
            assert_within(recalled.choice, allowance)
            if choice := accepted(asked, allowance):
                assert (recalled.choice, recalled.notice) == (choice, "")
            else:
                assert recalled.notice

    @given(st.data())
    def test_what_one_catalog_accepted_is_recalled_under_another(self, data: st.DataObject) -> None:
        content, before = data.draw(allowances())
        _, after = data.draw(allowances())
        if choice := accepted(data.draw(options(content)), before):
            assert_within(recall(choice.as_options(), after).choice, after)


class TestWidening:
    @given(st.data())
    def test_it_never_shrinks_an_offer(self, data: st.DataObject) -> None:
        content = data.draw(catalogs())
        person = data.draw(people(strangers=True))
        catalog = parse_catalog(written(content))
        before, after = allowance_for(catalog, person), allowance_for(*data.draw(widenings(catalog, person)))
        for kind in Quota.model_fields:
            limit, new = getattr(before.quota, kind), getattr(after.quota, kind)
            assert new is None or (limit is not None and new >= limit)
        for _ in range(5):
            if choice := accepted(data.draw(options(content)), before):
                same = choose(choice.as_options(), after)
                assert (same.image.id, same.resources) == (choice.image.id, choice.resources)
                assert (same.size and same.size.id) == (choice.size and choice.size.id)

    @given(st.data())
    def test_what_a_group_has_all_its_members_have(self, data: st.DataObject) -> None:
        catalog = parse_catalog(written(data.draw(catalogs())))
        person = data.draw(people(strangers=True))
        allowance = allowance_for(catalog, person)
        for name in person.groups & catalog.groups.keys():
            group = catalog.groups[name]
            for kind in Quota.model_fields:
                limit, own = getattr(allowance.quota, kind), getattr(group.quota, kind)
                assert limit is None or own is None or limit >= own
            for kind in ("cpu", "memory", "gpu"):
                offered, ends = getattr(allowance.custom, kind, None), getattr(group.custom, kind)
                assert offered is None or ends.min is None or offered.min <= ends.min
                assert offered is None or ends.max is None or offered.max >= ends.max

    @given(catalogs(), people())
    def test_an_offer_is_made_to_everyone_or_to_those_whom_it_names(self, data: Data, person: Person) -> None:
        catalog = parse_catalog(written(data))
        allowance = allowance_for(catalog, person)
        for offer in (*catalog.images, *catalog.sizes, *([catalog.custom] if catalog.custom else [])):
            named = person.name in offer.users or any(name in person.groups for name in offer.groups)
            wanted = named or not (offer.groups or offer.users)
            match offer:
                case Image():
                    assert (offer in allowance.images) is (wanted and not offer.retired)
                case Size():
                    goes = not offer.images or any(image.id in offer.images for image in allowance.images)
                    assert (offer in allowance.sizes) is (wanted and goes)
                case _:
                    assert (allowance.custom is not None) is wanted


class TestSchema:
    @given(st.data())
    def test_whatever_it_takes_is_accepted(self, data: st.DataObject) -> None:
        _, allowance = data.draw(allowances())
        schema = schema_from_allowance(allowance)
        Draft202012Validator.check_schema(schema)
        validator = Draft202012Validator(schema)
        assert validator.is_valid({})
        assert not validator.is_valid({"colour": "red"})
        for _ in range(8):
            instance = data.draw(instances(schema))
            if validator.is_valid(instance):
                assert_within(choose(instance, allowance), allowance)


class TestQuota:
    @given(st.data())
    def test_a_server_is_let_in_exactly_where_no_limit_is_exceeded_then(self, data: st.DataObject) -> None:
        case = data.draw(crowds())
        broken = list(case.broken())
        try:
            check_quota(case.ref, case.wanted, case.allowance, case.running, case.members)
        except QuotaExceeded as refused:
            assert broken
            assert str(refused).isprintable()
        else:
            assert not broken
        for left in left_for(case.ref, case.allowance, case.running, case.members):
            assert left.free == max(0, left.limit - left.used)

    @given(st.data())
    def test_more_than_the_machines_share_is_never_guaranteed_and_what_a_refusal_names_is_let_in(
        self, data: st.DataObject
    ) -> None:
        allowance = replace(data.draw(allowances())[1], quota=Quota(), totals={})
        machine = Machine(2000, data.draw(st.integers(1, 64 * 1024 * MiB)))
        promised = machine.memory * allowance.capacity.memory
        amounts = st.integers(1, 4096 * MiB)
        servers = st.builds(Resources, st.just(1000), amounts, st.just(0), st.just(0) | amounts)
        running = {
            ServerRef("hub", "eve", str(number)): server
            for number, server in enumerate(data.draw(st.lists(servers, max_size=4)))
        }
        guaranteed = sum(server.memory_guarantee or server.memory for server in running.values())

        def refusal(memory: int) -> str:
            try:
                check_quota(ServerRef("hub", "ada"), Resources(1000, memory), allowance, running, {}, machine=machine)
            except QuotaExceeded as refused:
                assert guaranteed + memory * allowance.guarantee.memory > promised - 2
                return str(refused)
            kept = Resources(1000, memory).guaranteed(1, allowance.guarantee.memory).memory_guarantee
            assert guaranteed + kept <= promised
            return ""

        sentence = refusal(data.draw(amounts))
        named = re.search(r"choose ([0-9.]+ \w+) or less(?! once)", sentence)
        assert not named or not refusal(parse_memory(named[1]))


def read(text: str) -> None:
    """A catalog, or problems that help."""
    try:
        parse_catalog(text)
    except CatalogError as error:
        assert 0 < len(error.problems) <= 100
        for problem in error.problems:
            assert re.match(r"catalog\.yaml(:[1-9]\d*:[1-9]\d*)?: .", problem), problem
            assert problem.isprintable(), problem
            assert len(problem) <= LONGEST_PROBLEM, problem


@st.composite
def allowances(draw: st.DrawFn) -> tuple[Data, Allowance]:
    content = draw(catalogs())
    return content, allowance_for(parse_catalog(written(content)), draw(people()))


def accepted(asked: Data, allowance: Allowance) -> Choice | None:
    try:
        return choose(asked, allowance)
    except ChoiceRefused as refused:
        assert all(sentence.isprintable() and sentence.endswith(".") for sentence in refused.fields.values())
        assert len(str(refused)) < 3000
        return None


def assert_within(choice: Choice, allowance: Allowance) -> None:
    assert choice.image in allowance.images
    assert not choice.image.retired
    if choice.size is not None:
        assert choice.size in allowance.sizes
        assert choice.resources == choice.size.resources
        assert not choice.size.images or choice.image.id in choice.size.images
        return
    ranges = allowance.custom
    assert ranges is not None
    for kind in ("cpu", "memory", "gpu"):
        offered = getattr(ranges, kind)
        amounts = range(offered.min, offered.max + 1, offered.step) if offered else (0,)
        assert getattr(choice.resources, kind) in amounts


@st.composite
def widenings(draw: st.DrawFn, catalog: Catalog, person: Person) -> tuple[Catalog, Person]:
    """A catalog that gives more to a group, or the same one to somebody in one more group."""
    assume(catalog.groups)
    name = draw(st.sampled_from(list(catalog.groups)))
    data = catalog.model_dump(mode="json", exclude_unset=True)
    match draw(st.sampled_from(["member", "offer", "quota", "end"])):
        case "member":
            return catalog, replace(person, groups=person.groups | {name})
        case "offer":
            narrow = [offer for offer in _offers(data) if offer.get("groups") or offer.get("users")]
            assume(narrow)
            offer = draw(st.sampled_from(narrow))
            offer["groups"] = [*offer.get("groups", []), name]
        case "quota":
            kind = draw(st.sampled_from(list(SPELLED)))
            everyones, own = getattr(catalog.quota, kind), getattr(catalog.groups[name].quota, kind)
            assume(everyones is not None)
            more = (everyones if own is None else own) + draw(st.integers(0, 10**6))
            data["groups"][name].setdefault("quota", {})[kind] = SPELLED[kind](more)
        case _:
            kind, key = draw(st.sampled_from(["cpu", "memory", "gpu"])), draw(st.sampled_from(["min", "max"]))
            end = _wider_end(catalog, name, kind, key, draw(st.integers(0, 5)))
            assume(end is not None)
            data["groups"][name].setdefault("custom", {}).setdefault(kind, {})[key] = SPELLED[kind](end)
    return parse_catalog(written(data)), person


def _offers(data: Data) -> list[Data]:
    return [*data["images"], *data["sizes"], *([data["custom"]] if data.get("custom") else [])]


def _wider_end(catalog: Catalog, group: str, kind: str, key: str, steps: int) -> int | None:
    everyones = getattr(catalog.custom, kind, None)
    if everyones is None:
        return None
    own = getattr(getattr(catalog.groups[group].custom, kind), key)
    end = getattr(everyones, key) if own is None else own
    wider = end + steps * everyones.step if key == "max" else end - steps * everyones.step
    return wider if wider >= {"cpu": 10, "memory": 64 * MiB, "gpu": 0}[kind] else None


@st.composite
def instances(draw: st.DrawFn, schema: Data) -> Data:
    """Options made of what the schema lists, all together allowed or not."""
    keys = draw(st.lists(st.sampled_from(list(schema["properties"])), unique=True))
    listed = {
        key: told.get("enum") or [entry["const"] for entry in told["oneOf"]]
        for key, told in schema["properties"].items()
    }
    return {key: draw(st.sampled_from(listed[key])) for key in keys}


@dataclass(frozen=True)
class Crowd:
    """Somebody who wants one more server, and all that runs already."""

    ref: ServerRef
    wanted: Resources
    allowance: Allowance
    running: dict[ServerRef, Resources]
    members: dict[str, list[str]]

    def broken(self) -> Iterator[str]:
        """The limits that would be exceeded with the server, and on its account, worked out the long way round."""
        after = self.running | {self.ref: self.wanted}
        circles = [({self.ref.user}, self.allowance.quota)]
        circles += [({self.ref.user, *self.members.get(name, ())}, q) for name, q in self.allowance.totals.items()]
        for users, quota in circles:
            theirs = [resources for ref, resources in after.items() if ref.user in users]
            for kind in LIMITED:
                limit = getattr(quota, kind.name)
                if limit is not None and kind.of(self.wanted) and sum(map(kind.of, theirs)) > limit:
                    yield kind.name


@st.composite
def crowds(draw: st.DrawFn) -> Crowd:
    resources = st.builds(Resources, st.integers(0, 3), st.integers(0, 3), st.integers(0, 2))
    refs = st.builds(
        ServerRef, st.just("hub"), st.sampled_from(["ada", "bob", "eve"]), st.sampled_from(["", "a", "\n"])
    )
    limit = st.none() | st.integers(0, 6)
    quotas = st.builds(Quota.model_construct, servers=limit, cpu=limit, memory=limit, gpu=limit)
    members = st.lists(st.sampled_from(["ada", "bob", "eve"]), unique=True)
    return Crowd(
        draw(refs),
        draw(resources),
        replace(
            EVERYTHING,
            quota=draw(quotas),
            totals=draw(st.dictionaries(st.sampled_from(["research", "teaching"]), quotas)),
        ),
        draw(st.dictionaries(refs, resources, max_size=6)),
        draw(st.dictionaries(st.sampled_from(["research", "teaching", "other"]), members)),
    )
