"""The merging rules of `policy`, each by example."""

from __future__ import annotations

import pytest

from stateroom.catalog.catalog import Catalog
from stateroom.catalog.load import parse_catalog
from stateroom.catalog.sizes import Quota
from stateroom.common.quantity import GiB, MiB
from stateroom.offers.allowance import (
    EVERYONE,
    Allowance,
    Person,
    Sourced,
    allowance_for,
    groups_of,
    quota_of,
    ranges_of,
    why_offered,
)

from .conftest import ADA

CATALOG = """\
version: 1
images:
  - {id: unified, image: x, default: true}
  - {id: cuda, image: x, groups: [research, teaching]}
  - {id: secret, image: x, users: [ada]}
  - {id: pilot, image: x, groups: [teaching], users: [eve]}
sizes:
  - {id: standard, cpu: 1, memory: 2 GiB, default: true}
  - {id: large, cpu: 4, memory: 8 GiB, groups: [research]}
  - {id: lesson, cpu: 2, memory: 4 GiB, groups: [teaching]}
  - {id: own, cpu: 2, memory: 4 GiB, users: [ada, eve]}
custom:
  cpu: {min: 0.5, max: 4, step: 0.25}
  memory: {min: 1 GiB, max: 16 GiB, step: 256 MiB}
  gpu: {min: 1, max: 2}
quota: {servers: 2, cpu: 8, memory: 32 GiB}
environment: {LANG: C.UTF-8, TEAM: none, EDITOR: vi}
groups:
  teaching:
    custom: {cpu: {min: 0.25, max: 8}, memory: {max: 32 GiB}}
    quota: {servers: 3, cpu: 16}
    total: {cpu: 64}
    identity:
      environment: {TEAM: teaching, COURSE: one}
      supplemental_groups: [2002, 2001]
      service_account: teaching
      network: teaching
  research:
    custom: {cpu: {max: 16}, memory: {min: 512 MiB}, gpu: {min: 0, max: 8}}
    quota: {servers: 2, cpu: 12, memory: 128 GiB}
    total: {cpu: 256, memory: 1 TiB}
    identity:
      environment: {TEAM: research, EDITOR: emacs}
      supplemental_groups: [2001, 2003]
      service_account: research
      network: research
  silent: {}
users:
  bob:
    custom: {cpu: {max: 2}, memory: {max: 64 GiB}}
    quota: {servers: 1, cpu: 64}
    identity: {environment: {TEAM: bob}, supplemental_groups: [2004], service_account: bob}
"""

LIVES = """\
version: 1
images:
  - {id: now, image: x, default: true}
  - {id: quiet, image: x, hidden: true}
  - {id: old, image: x, deprecated: Ends in March., replaced_by: now}
  - {id: gone, image: x, replaced_by: old}
  - {id: long-gone, image: x, replaced_by: gone}
  - {id: grouped, image: x, groups: [research], replaced_by: inner}
  - {id: inner, image: x, groups: [research]}
  - {id: passing, image: x, replaced_by: inner-old}
  - {id: inner-old, image: x, groups: [research], deprecated: Soon., replaced_by: now}
groups: {research: }
sizes: [{id: standard, cpu: 1, memory: 1 GiB, default: true}]
"""


@pytest.fixture(scope="module")
def grouped() -> Catalog:
    return parse_catalog(CATALOG)


@pytest.fixture(scope="module")
def lives() -> Catalog:
    return parse_catalog(LIVES)


def person(name: str, *groups: str) -> Person:
    return Person(name, frozenset(groups))


def test_everything_in_the_catalog_is_offered_to_everyone(catalog: Catalog) -> None:
    allowance = allowance_for(catalog, ADA)
    assert allowance.images == catalog.images
    assert allowance.sizes == catalog.sizes
    assert allowance.custom == catalog.custom
    assert allowance.default_image is catalog.default_image
    assert allowance.default_size is catalog.default_size


class TestOffers:
    @pytest.mark.parametrize(
        ("who", "images", "sizes"),
        [
            (person("carl"), ["unified"], ["standard"]),
            (person("carl", "silent", "unknown to the catalog"), ["unified"], ["standard"]),
            (person("carl", "research"), ["unified", "cuda"], ["standard", "large"]),
            (person("carl", "teaching"), ["unified", "cuda", "pilot"], ["standard", "lesson"]),
            (person("ada"), ["unified", "secret"], ["standard", "own"]),
            (person("eve"), ["unified", "pilot"], ["standard", "own"]),
            (person("ada", "research"), ["unified", "cuda", "secret"], ["standard", "large", "own"]),
            (
                person("carl", "research", "teaching"),
                ["unified", "cuda", "pilot"],
                ["standard", "large", "lesson"],
            ),
        ],
    )
    def test_offers_are_united_and_in_the_catalogs_order(
        self, grouped: Catalog, who: Person, images: list[str], sizes: list[str]
    ) -> None:
        allowance = allowance_for(grouped, who)
        assert [image.id for image in allowance.images] == images
        assert [size.id for size in allowance.sizes] == sizes

    def test_the_reason_of_an_offer_is_told(self, grouped: Catalog) -> None:
        unified, cuda, secret, pilot = grouped.images
        both = person("eve", "teaching", "research")
        assert why_offered(unified, both) == EVERYONE
        assert why_offered(cuda, both) == "group research"
        assert why_offered(secret, both) == ""
        assert why_offered(pilot, both) == "user eve"

    @pytest.mark.parametrize("audience", ["groups: [research]", "users: [ada]", "groups: [research], users: [ada]"])
    def test_custom_ranges_may_be_for_some_only(self, audience: str) -> None:
        catalog = parse_catalog(
            CATALOG.replace("custom:\n  cpu", f"custom:\n  {audience.replace(', u', chr(10) + '  u')}\n  cpu")
        )
        assert allowance_for(catalog, person("carl", "teaching")).custom is None
        assert ranges_of(catalog, person("carl", "teaching")) == {}
        assert (allowance_for(catalog, person("ada")).custom is not None) is ("ada" in audience)
        assert (allowance_for(catalog, person("carl", "research")).custom is not None) is ("research" in audience)

    def test_only_groups_of_the_catalog_count_and_in_its_order(self, grouped: Catalog) -> None:
        assert groups_of(grouped, person("carl", "silent", "research", "other", "teaching")) == [
            "teaching", "research", "silent",
        ]  # fmt: skip


class TestRanges:
    def test_everyones_ranges_are_those_of_whoever_is_in_no_group(self, grouped: Catalog) -> None:
        assert allowance_for(grouped, person("carl")).custom == grouped.custom

    def test_the_widest_of_each_end_counts(self, grouped: Catalog) -> None:
        assert ranges_of(grouped, person("carl", "teaching", "research")) == {
            "cpu": (Sourced(250, "group teaching"), Sourced(16_000, "group research")),
            "memory": (Sourced(512 * MiB, "group research"), Sourced(32 * GiB, "group teaching")),
            "gpu": (Sourced(0, "group research"), Sourced(8, "group research")),
        }

    def test_the_allowance_has_these_ranges_and_everyones_steps(self, grouped: Catalog) -> None:
        custom = allowance_for(grouped, person("carl", "teaching", "research")).custom
        assert custom is not None
        assert custom.gpu is not None
        assert (custom.cpu.min, custom.cpu.max, custom.cpu.step) == (250, 16_000, 250)
        assert (custom.memory.min, custom.memory.max, custom.memory.step) == (512 * MiB, 32 * GiB, 256 * MiB)
        assert (custom.gpu.min, custom.gpu.max) == (0, 8)

    def test_a_users_entry_beats_everyone_and_the_groups_whether_wider_or_narrower(self, grouped: Catalog) -> None:
        ranges = ranges_of(grouped, person("bob", "teaching", "research"))
        assert ranges["cpu"] == (Sourced(250, "group teaching"), Sourced(2000, "user bob"))
        assert ranges["memory"] == (Sourced(512 * MiB, "group research"), Sourced(64 * GiB, "user bob"))

    def test_of_equal_ends_everyones_is_named(self) -> None:
        catalog = parse_catalog(CATALOG.replace("{cpu: {min: 0.25, max: 8}", "{cpu: {min: 0.5, max: 4}"))
        assert ranges_of(catalog, person("carl", "teaching"))["cpu"] == (
            Sourced(500, EVERYONE),
            Sourced(4000, EVERYONE),
        )

    def test_a_kind_without_a_range_is_offered_to_nobody(self, catalog: Catalog) -> None:
        assert set(ranges_of(catalog, ADA)) == {"cpu", "memory"}

    def test_no_ranges_where_only_sizes_are_offered(self, sizes_only: Allowance) -> None:
        assert sizes_only.custom is None


class TestQuotas:
    def test_everyones_quota_is_that_of_whoever_is_in_no_group(self, grouped: Catalog) -> None:
        assert allowance_for(grouped, person("carl")).quota == grouped.quota

    def test_the_widest_of_each_kind_counts(self, grouped: Catalog) -> None:
        assert quota_of(grouped, person("carl", "teaching", "research")) == {
            "servers": Sourced(3, "group teaching"),
            "cpu": Sourced(16_000, "group teaching"),
            "memory": Sourced(128 * GiB, "group research"),
            "gpu": Sourced(None, EVERYONE),
        }
        both = allowance_for(grouped, person("carl", "teaching", "research"))
        assert both.quota == Quota.model_validate({"servers": 3, "cpu": 16, "memory": "128 GiB"})

    def test_of_equal_limits_everyones_is_named(self, grouped: Catalog) -> None:
        assert quota_of(grouped, person("carl", "research"))["servers"] == Sourced(2, EVERYONE)

    def test_no_limit_at_all_is_the_widest(self, grouped: Catalog) -> None:
        """A group cannot limit what everyone has without limit; `contradictions` tells an admin who tries."""
        unlimited = grouped.model_copy(update={"quota": Quota()})
        assert quota_of(unlimited, person("carl", "teaching"))["cpu"] == Sourced(None, EVERYONE)
        assert quota_of(unlimited, person("bob", "teaching"))["cpu"] == Sourced(64_000, "user bob")

    def test_a_users_entry_beats_everyone_and_the_groups_whether_wider_or_narrower(self, grouped: Catalog) -> None:
        quota = quota_of(grouped, person("bob", "teaching", "research"))
        assert quota["servers"] == Sourced(1, "user bob")
        assert quota["cpu"] == Sourced(64_000, "user bob")
        assert quota["memory"] == Sourced(128 * GiB, "group research")

    def test_the_totals_of_all_groups_hold_at_once(self, grouped: Catalog) -> None:
        assert allowance_for(grouped, person("carl", "research", "teaching", "silent")).totals == {
            "teaching": Quota.model_validate({"cpu": 64}),
            "research": Quota.model_validate({"cpu": 256, "memory": "1 TiB"}),
            "silent": Quota(),
        }
        assert allowance_for(grouped, person("carl")).totals == {}


class TestIdentity:
    def test_whoever_is_in_no_group_has_the_catalogs_variables(self, grouped: Catalog) -> None:
        identity = allowance_for(grouped, person("carl")).identity
        assert identity.environment == {"LANG": "C.UTF-8", "TEAM": "none", "EDITOR": "vi"}
        assert identity.supplemental_groups == ()
        assert identity.service_account is None

    def test_of_variables_the_later_wins_the_groups_in_the_catalogs_order(self, grouped: Catalog) -> None:
        assert allowance_for(grouped, person("carl", "research", "teaching")).identity.environment == {
            "LANG": "C.UTF-8", "TEAM": "research", "COURSE": "one", "EDITOR": "emacs",
        }  # fmt: skip
        assert allowance_for(grouped, person("bob", "research", "teaching")).identity.environment["TEAM"] == "bob"

    def test_supplemental_groups_are_united(self, grouped: Catalog) -> None:
        def numbers(*groups: str, name: str = "carl") -> tuple[int, ...]:
            return allowance_for(grouped, person(name, *groups)).identity.supplemental_groups

        assert numbers("teaching") == (2002, 2001)
        assert numbers("research", "teaching") == (2002, 2001, 2003)
        assert numbers("research", name="bob") == (2001, 2003, 2004)

    def test_of_service_accounts_and_networks_the_last_counts(self, grouped: Catalog) -> None:
        def given(name: str, *groups: str) -> tuple[str | None, str | None]:
            identity = allowance_for(grouped, person(name, *groups)).identity
            return identity.service_account, identity.network

        assert given("carl", "research", "teaching", "silent") == ("research", "research")
        assert given("carl", "teaching", "silent") == ("teaching", "teaching")
        assert given("bob", "research") == ("bob", "research")
        assert given("carl") == (None, None)


def test_what_is_guaranteed_and_how_much_the_machine_may_promise_come_from_the_catalog() -> None:
    text = f"{CATALOG}\nguarantee: {{memory: 0.5}}\ndocker: {{capacity: {{memory: 1.5}}}}\n"
    allowance = allowance_for(parse_catalog(text), ADA)
    assert (allowance.guarantee.memory, allowance.capacity.memory) == (0.5, 1.5)


class TestLivesOfImages:
    def test_hidden_and_deprecated_ones_may_be_started_and_replaced_ones_not(self, lives: Catalog) -> None:
        assert [image.id for image in allowance_for(lives, ADA).images] == ["now", "quiet", "old"]

    def test_of_a_line_of_successors_the_first_that_may_be_started_counts(self, lives: Catalog) -> None:
        assert {old: new.id for old, new in allowance_for(lives, person("ada", "research")).successors.items()} == {
            "gone": "old", "long-gone": "old", "grouped": "inner", "passing": "inner-old",
        }  # fmt: skip

    def test_a_successor_that_is_not_offered_is_passed_over_where_it_has_one_itself(self, lives: Catalog) -> None:
        successors = allowance_for(lives, ADA).successors
        assert successors["passing"].id == "now"
        assert "grouped" not in successors

    def test_an_image_that_may_still_be_started_has_no_successor_yet(self, lives: Catalog) -> None:
        assert "old" not in allowance_for(lives, ADA).successors


@pytest.mark.parametrize(("groups", "offered"), [((), False), (("research",), True)])
def test_a_size_is_offered_to_whoever_may_start_one_of_its_images(groups: tuple[str, ...], *, offered: bool) -> None:
    tied = CATALOG.replace("cpu: 4, memory: 8 GiB, groups: [research]}", "cpu: 4, memory: 8 GiB, images: [cuda]}")
    sizes = allowance_for(parse_catalog(tied), Person("bob", frozenset(groups))).sizes
    assert ("large" in [size.id for size in sizes]) is offered
