"""What is left of a quota, and the sentences of a refusal."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stateroom.catalog.docker import Capacity
from stateroom.catalog.sizes import Guarantee, Quota
from stateroom.common.errors import ChoiceRefused, QuotaExceeded
from stateroom.common.quantity import GiB, Machine, MiB, Resources
from stateroom.offers.allowance import Allowance
from stateroom.offers.quota import Members, Running, check_quota, is_limited, left_for
from stateroom.workloads.names import ServerRef

DEFAULT, DEEP, FRESH = (ServerRef("hub", "ada", name) for name in ("", "deep-dive", "fresh"))
BOB, EVE = ServerRef("hub", "bob"), ServerRef("hub", "eve", "lab")
SMALL = Resources(1000, 2 * GiB)
MEMBERS = {"research": ["ada", "bob"], "teaching": ["eve"]}


def limited(allowance: Allowance, quota: dict[str, object] | None = None, **totals: dict[str, object]) -> Allowance:
    """An allowance with limits as they are written in a catalog."""
    return replace(
        allowance,
        quota=Quota.model_validate(quota or {}),
        totals={name: Quota.model_validate(total) for name, total in totals.items()},
    )


def refusal(
    allowance: Allowance, running: Running, wanted: Resources = SMALL, *, members: Members = MEMBERS
) -> str | None:
    """What is said when `fresh` is to be started; None if it is let in."""
    try:
        check_quota(FRESH, wanted, allowance, running, members)
    except QuotaExceeded as refused:
        assert refused.fields == {"quota": str(refused)}
        return str(refused)
    return None


class TestLeft:
    def test_only_what_is_limited_is_told(self, allowance: Allowance) -> None:
        assert left_for(FRESH, limited(allowance), {DEFAULT: SMALL}, MEMBERS) == []
        some = limited(allowance, {"cpu": 4, "gpu": 0}, research={"memory": "8 GiB"}, silent={})
        assert [(left.kind.name, left.of) for left in left_for(FRESH, some, {}, MEMBERS)] == [
            ("cpu", ""), ("gpu", ""), ("memory", "research"),
        ]  # fmt: skip

    def test_it_matters_what_runs_where_there_is_a_limit(self, allowance: Allowance) -> None:
        assert not is_limited(limited(allowance))
        assert not is_limited(limited(allowance, {}, research={}))
        assert is_limited(limited(allowance, {"gpu": 0}))
        assert is_limited(limited(allowance, {}, research={"servers": 5}))

    def test_of_a_users_own_limit_the_users_servers_count_and_no_others(self, allowance: Allowance) -> None:
        (left,) = left_for(FRESH, limited(allowance, {"cpu": 8}), {DEFAULT: SMALL, BOB: SMALL, EVE: SMALL}, MEMBERS)
        assert (left.used, left.limit, left.free, left.holders) == (1000, 8000, 7000, ((DEFAULT, 1000),))

    def test_of_a_total_the_servers_of_all_members_count_and_no_others(self, allowance: Allowance) -> None:
        total = limited(allowance, research={"cpu": 8})
        (left,) = left_for(FRESH, total, {DEFAULT: SMALL, DEEP: SMALL, BOB: SMALL, EVE: SMALL}, MEMBERS)
        assert (left.used, left.free, left.of, left.holders) == (3000, 5000, "research", ())

    def test_the_users_own_servers_count_although_the_group_does_not_know_the_user_yet(
        self, allowance: Allowance
    ) -> None:
        (left,) = left_for(FRESH, limited(allowance, research={"servers": 8}), {DEFAULT: SMALL, BOB: SMALL}, {})
        assert left.used == 1

    def test_the_server_itself_does_not_count(self, allowance: Allowance) -> None:
        both = limited(allowance, {"servers": 1}, research={"servers": 1})
        assert [left.used for left in left_for(FRESH, both, {FRESH: SMALL}, MEMBERS)] == [0, 0]
        assert refusal(both, {FRESH: SMALL}) is None

    def test_where_no_server_is_left_nothing_else_is_told(self, allowance: Allowance) -> None:
        full = limited(allowance, {"servers": 1, "cpu": 1, "memory": "1 GiB"})
        assert refusal(full, {DEFAULT: Resources(1000, GiB)}) == (
            "You may run 1 server at once, and these run: your default server. Stop one of them first."
        )

    def test_a_limit_lowered_below_what_runs_leaves_nothing(self, allowance: Allowance) -> None:
        (left,) = left_for(FRESH, limited(allowance, {"cpu": 1}), {DEFAULT: SMALL, DEEP: SMALL}, MEMBERS)
        assert (left.used, left.free) == (2000, 0)

    def test_holders_come_in_the_order_of_their_names(self, allowance: Allowance) -> None:
        (left,) = left_for(FRESH, limited(allowance, {"cpu": 4}), {DEEP: SMALL, DEFAULT: SMALL}, MEMBERS)
        assert [ref for ref, _ in left.holders] == [DEFAULT, DEEP]


class TestOwnLimits:
    def test_what_fits_exactly_is_let_in(self, allowance: Allowance) -> None:
        exactly = limited(allowance, {"servers": 2, "cpu": 2, "memory": "4 GiB", "gpu": 0})
        assert refusal(exactly, {DEFAULT: SMALL}) is None

    @pytest.mark.parametrize(
        ("quota", "running", "wanted", "sentence"),
        [
            (
                {"servers": 1},
                {DEFAULT: SMALL},
                SMALL,
                "You may run 1 server at once, and these run: your default server. Stop one of them first.",
            ),
            (
                {"servers": 2},
                {DEEP: SMALL, DEFAULT: SMALL},
                SMALL,
                "You may run 2 servers at once, and these run: your default server, deep-dive. Stop one of them first.",
            ),
            (
                {"cpu": 4},
                {DEFAULT: Resources(1500, GiB)},
                Resources(3000, GiB),
                (
                    "You asked for 3 CPU. Of the 4 CPU that you may have at once, 1.5 CPU is used by your "
                    "default server (1.5 CPU); choose 2.5 CPU or less, or stop one of them."
                ),
            ),
            (
                {"memory": "8 GiB"},
                {DEFAULT: Resources(1000, 6 * GiB), DEEP: Resources(1000, 2 * GiB)},
                SMALL,
                (
                    "You asked for 2 GiB of memory. Of the 8 GiB of memory that you may have at once, 8 GiB of memory "
                    "is used by your default server (6 GiB of memory), deep-dive (2 GiB of memory); "
                    "stop one of them first."
                ),
            ),
            (
                {"gpu": 1},
                {DEFAULT: SMALL, DEEP: Resources(1000, GiB, 1)},
                Resources(1000, GiB, 1),
                (
                    "You asked for 1 GPU. Of the 1 GPU that you may have at once, 1 GPU is used by deep-dive (1 GPU); "
                    "stop one of them first."
                ),
            ),
            ({"gpu": 0}, {}, Resources(1000, GiB, 2), "You asked for 2 GPU, and may have 0 GPU at once."),
            ({"cpu": 4}, {}, Resources(8000, GiB), "You asked for 8 CPU, and may have 4 CPU at once."),
            (
                {"cpu": 4},
                {DEFAULT: SMALL},
                Resources(8000, GiB),
                "You asked for 8 CPU, and may have 4 CPU at once.",
            ),
        ],
    )
    def test_a_refusal_tells_what_is_used_by_what_and_what_to_do(
        self,
        allowance: Allowance,
        quota: dict[str, object],
        running: Running,
        wanted: Resources,
        sentence: str,
    ) -> None:
        assert refusal(limited(allowance, quota), running, wanted) == sentence

    def test_what_takes_none_of_a_used_up_kind_is_let_in(self, allowance: Allowance) -> None:
        assert refusal(limited(allowance, {"gpu": 1}), {DEFAULT: Resources(1000, GiB, 3)}) is None

    def test_each_limit_that_would_be_broken_has_its_sentence(self, allowance: Allowance) -> None:
        tight = limited(allowance, {"servers": 2, "cpu": 1, "memory": "1 GiB"})
        assert refusal(tight, {DEFAULT: Resources(1000, GiB)}) == (
            "You asked for 1 CPU. Of the 1 CPU that you may have at once, 1 CPU is used by your default server "
            "(1 CPU); stop one of them first. "
            "You asked for 2 GiB of memory, and may have 1 GiB of memory at once."
        )

    def test_where_no_server_is_left_nothing_else_is_told(self, allowance: Allowance) -> None:
        full = limited(allowance, {"servers": 1, "cpu": 1, "memory": "1 GiB"})
        assert refusal(full, {DEFAULT: Resources(1000, GiB)}) == (
            "You may run 1 server at once, and these run: your default server. Stop one of them first."
        )

    def test_a_limit_lowered_below_what_runs_refuses_the_next(self, allowance: Allowance) -> None:
        running = {DEFAULT: SMALL, DEEP: SMALL}
        assert refusal(limited(allowance, {"servers": 1}), running) == (
            "You may run 1 server at once, and these run: your default server, deep-dive. Stop one of them first."
        )

    def test_a_refusal_is_a_refused_choice(self) -> None:
        assert issubclass(QuotaExceeded, ChoiceRefused)

    def test_names_of_servers_are_told_short_and_on_one_line(self, allowance: Allowance) -> None:
        names = ["a\nb", "\x1b[31m", "x" * 10_000, *(f"server-{number:02}" for number in range(40))]
        told = refusal(limited(allowance, {"servers": 1}), {ServerRef("hub", "ada", name): SMALL for name in names})
        assert told is not None
        assert told.isprintable()
        assert "and 31 more. Stop" in told
        assert len(told) < 500


class TestTotals:
    @pytest.mark.parametrize(
        ("total", "running", "wanted", "sentence"),
        [
            (
                {"servers": 2},
                {BOB: SMALL, DEFAULT: SMALL},
                SMALL,
                (
                    "You asked for 1 server. All members of research together may have 2 servers at once, and "
                    "2 servers run; wait until somebody stops a server."
                ),
            ),
            (
                {"servers": 1},
                {BOB: SMALL},
                SMALL,
                (
                    "You asked for 1 server. All members of research together may have 1 server at once, and 1 server "
                    "runs; wait until somebody stops a server."
                ),
            ),
            (
                {"cpu": 4},
                {BOB: Resources(3000, GiB)},
                Resources(2000, GiB),
                (
                    "You asked for 2 CPU. All members of research together may have 4 CPU at once, and 3 CPU is used; "
                    "choose 1 CPU or less, or wait until somebody stops a server."
                ),
            ),
            (
                {"gpu": 1},
                {BOB: Resources(1000, GiB, 1)},
                Resources(1000, GiB, 1),
                (
                    "You asked for 1 GPU. All members of research together may have 1 GPU at once, and 1 GPU is used; "
                    "wait until somebody stops a server."
                ),
            ),
            (
                {"memory": "4 GiB"},
                {BOB: SMALL},
                Resources(1000, 8 * GiB),
                "You asked for 8 GiB of memory, and all members of research may have 4 GiB of memory at once.",
            ),
        ],
    )
    def test_a_refusal_tells_what_is_used_and_what_to_do(
        self,
        allowance: Allowance,
        total: dict[str, object],
        running: Running,
        wanted: Resources,
        sentence: str,
    ) -> None:
        assert refusal(limited(allowance, research=total), running, wanted) == sentence

    def test_whose_servers_they_are_is_not_told(self, allowance: Allowance) -> None:
        assert "bob" not in str(refusal(limited(allowance, research={"servers": 1}), {BOB: SMALL}))

    def test_the_totals_of_all_groups_hold_at_once(self, allowance: Allowance) -> None:
        both = limited(allowance, research={"servers": 5}, teaching={"servers": 1})
        told = str(refusal(both, {EVE: SMALL}))
        assert "All members of teaching together" in told
        assert "research" not in told

    def test_servers_of_others_do_not_count(self, allowance: Allowance) -> None:
        assert refusal(limited(allowance, research={"servers": 1}), {EVE: SMALL}) is None


MACHINE = Machine(2000, 20 * GiB)  # of which servers may have 18 GiB
SIX = Resources(1000, 6 * GiB, 0, 6 * GiB)
OTHERS = {BOB: SIX, EVE: SIX}


class TestMachine:
    """The catalog of these tests offers 1, 2 and 128 GiB, and 0.5 to 16 GiB in steps of 256 MiB."""

    def refusal(
        self,
        allowance: Allowance,
        memory: int,
        running: Running,
        machine: Machine | None = MACHINE,
    ) -> str | None:
        try:
            check_quota(FRESH, Resources(1000, memory), allowance, running, {}, machine=machine)
        except QuotaExceeded as refused:
            return str(refused)
        return None

    def test_the_servers_of_everyone_count_and_the_server_itself_does_not(self, allowance: Allowance) -> None:
        (left,) = left_for(FRESH, allowance, {**OTHERS, DEFAULT: SIX, FRESH: SIX}, {}, machine=MACHINE)
        assert (left.machine, left.kind.name, left.used, left.limit) == (True, "memory", 18 * GiB, 18 * GiB)
        assert (left.of, left.holders) == ("", ())

    def test_it_limits_everybody(self, allowance: Allowance) -> None:
        assert is_limited(allowance, MACHINE)
        assert not is_limited(allowance)

    def test_of_a_machine_of_which_nothing_is_known_nothing_is_told(self, allowance: Allowance) -> None:
        assert left_for(FRESH, allowance, OTHERS, {}, machine=Machine(2000, 0)) == []
        assert self.refusal(allowance, 128 * GiB, OTHERS, machine=None) is None

    def test_what_fits_exactly_is_let_in(self, allowance: Allowance) -> None:
        assert self.refusal(allowance, 6 * GiB, OTHERS) is None
        assert self.refusal(allowance, 6 * GiB + 1, OTHERS) is not None

    @pytest.mark.parametrize(
        ("memory", "running", "sentence"),
        [
            (
                8 * GiB,
                {BOB: SIX, EVE: Resources(1000, 6656 * MiB)},
                (
                    "You asked for 8 GiB of memory. The machine has 5.5 GiB left for servers; "
                    "choose 5.5 GiB or less, or wait until somebody stops a server."
                ),
            ),
            (  # 5.68 GiB is no step of the range
                8 * GiB,
                {BOB: SIX, EVE: Resources(1000, 6470 * MiB)},
                (
                    "You asked for 8 GiB of memory. The machine has 5.68 GiB left for servers; "
                    "choose 5.5 GiB or less, or wait until somebody stops a server."
                ),
            ),
            (
                2 * GiB,
                {BOB: Resources(1000, 18 * GiB - 300 * MiB)},
                (
                    "You asked for 2 GiB of memory. The machine has 300 MiB left for servers; "
                    "wait until somebody stops a server."
                ),
            ),
            (
                2 * GiB,
                {**OTHERS, DEFAULT: SIX, DEEP: SIX},
                (
                    "You asked for 2 GiB of memory. The machine has nothing left for servers; "
                    "wait until somebody stops a server."
                ),
            ),
            (
                128 * GiB,
                {},
                ("You asked for 128 GiB of memory. The machine has 18 GiB for all servers; choose 16 GiB or less."),
            ),
            (
                128 * GiB,
                OTHERS,
                (
                    "You asked for 128 GiB of memory. The machine has 18 GiB for all servers, of which 6 GiB is left; "
                    "choose 6 GiB or less."
                ),
            ),
            (
                128 * GiB,
                {**OTHERS, DEFAULT: SIX},
                (
                    "You asked for 128 GiB of memory. The machine has 18 GiB for all servers, of which nothing is "
                    "left; choose 16 GiB or less once somebody stops a server."
                ),
            ),
        ],
    )
    def test_a_refusal_tells_what_is_free_and_what_to_do(
        self, allowance: Allowance, memory: int, running: Running, sentence: str
    ) -> None:
        assert self.refusal(allowance, memory, running) == sentence

    def test_a_machine_too_small_for_anything_that_is_offered(self, sizes_only: Allowance) -> None:
        assert self.refusal(sizes_only, 2 * GiB, {}, Machine(2000, GiB)) == (
            "You asked for 2 GiB of memory. The machine has 921.59 MiB for all servers; "
            "ask an administrator for a smaller size."
        )

    def test_where_half_is_guaranteed_twice_as_much_is_left(self, allowance: Allowance) -> None:
        half = replace(allowance, guarantee=Guarantee(memory=0.5))
        running = {BOB: Resources(1000, 12 * GiB, 0, 6 * GiB), EVE: Resources(1000, 16 * GiB, 0, 8 * GiB)}
        assert self.refusal(half, 8 * GiB, running) is None
        assert self.refusal(half, 16 * GiB, running) == (
            "You asked for 16 GiB of memory. The machine has 8 GiB left for servers; "
            "choose 8 GiB or less, or wait until somebody stops a server."
        )

    def test_a_server_counts_by_what_was_guaranteed_when_it_started(self, allowance: Allowance) -> None:
        half = replace(allowance, guarantee=Guarantee(memory=0.5))
        (left,) = left_for(FRESH, half, {BOB: Resources(1000, 8 * GiB, 0, 8 * GiB)}, {}, machine=MACHINE)
        assert (left.used, left.limit) == (16 * GiB, 36 * GiB)

    def test_a_server_without_a_word_on_it_counts_by_its_memory(self, allowance: Allowance) -> None:
        (left,) = left_for(FRESH, allowance, {BOB: Resources(1000, 8 * GiB)}, {}, machine=MACHINE)
        assert left.used == 8 * GiB

    def test_memory_may_be_promised_more_than_once(self, allowance: Allowance) -> None:
        more = replace(allowance, capacity=Capacity(memory=10))
        assert self.refusal(more, 128 * GiB, OTHERS) is None

    def test_a_capacity_lowered_below_what_runs_leaves_nothing(self, allowance: Allowance) -> None:
        less = replace(allowance, capacity=Capacity(memory=0.1))
        (left,) = left_for(FRESH, less, OTHERS, {}, machine=MACHINE)
        assert left.free == 0

    def test_more_cpus_than_the_machine_has_are_no_reason_to_refuse(self, allowance: Allowance) -> None:
        check_quota(FRESH, Resources(64_000, GiB), allowance, OTHERS, {}, machine=MACHINE)

    def test_a_broken_quota_is_told_as_well(self, allowance: Allowance) -> None:
        both = limited(allowance, {"memory": "4 GiB"})
        told = self.refusal(both, 8 * GiB, OTHERS)
        assert told == (
            "You asked for 8 GiB of memory, and may have 4 GiB of memory at once. "
            "You asked for 8 GiB of memory. The machine has 6 GiB left for servers; "
            "choose 6 GiB or less, or wait until somebody stops a server."
        )
