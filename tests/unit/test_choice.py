from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.hostile import HOSTILE, shown
from stateroom.catalog.load import parse_catalog
from stateroom.catalog.sizes import Custom
from stateroom.common.errors import ChoiceRefused
from stateroom.common.quantity import GiB, MiB, Resources, format_cpu, format_memory_exactly
from stateroom.offers.allowance import Allowance, allowance_for
from stateroom.offers.choice import Choice, choose, larger, recall

from .conftest import ADA, CATALOG

json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=5,
)
offered_words = st.sampled_from(
    ["unified", "classic", "small", "standard", "huge", "custom", "1.5", "3 GiB", "256 MiB"]
)
options_of_anyone = st.dictionaries(
    st.one_of(st.sampled_from(["image", "size", "cpu", "memory", "profile"]), st.text(max_size=8)),
    st.one_of(offered_words, json_values),
    max_size=6,
)
ALLOWANCE = allowance_for(parse_catalog(CATALOG), ADA)

# Images at each point of their lives, sizes that go with some of them, and GPUs.
LIVES = """\
version: 1
images:
  - {id: unified, title: Unified notebook, image: "stateroom/unified:1", default: true}
  - {id: cuda, title: CUDA, image: "stateroom/cuda:1"}
  - {id: quiet, image: "stateroom/quiet:1", hidden: true}
  - {id: classic, image: "stateroom/classic:3", deprecated: Ends in March., replaced_by: unified}
  - {id: ancient, image: "stateroom/classic:2", replaced_by: classic}
  - {id: private, image: x, groups: [research]}
sizes:
  - {id: standard, title: Standard, cpu: 1, memory: 2 GiB, default: true}
  - {id: gpu, title: GPU, cpu: 4, memory: 8 GiB, gpu: 1, images: [cuda, quiet]}
  - {id: lab, cpu: 4, memory: 8 GiB, images: [private]}
custom:
  cpu: {min: 0.25, max: 4, step: 0.25}
  memory: {min: 512 MiB, max: 16 GiB, step: 256 MiB}
  gpu: {max: 2}
groups: {research: }
"""
WITH_GPUS = allowance_for(parse_catalog(LIVES), ADA)


class TestDefaults:
    def test_no_options_mean_the_defaults_exactly(self, allowance: Allowance) -> None:
        assert choose({}, allowance) == Choice(
            allowance.default_image, allowance.default_size, Resources(1000, 2 * GiB)
        )

    def test_what_is_left_out_is_the_default(self, allowance: Allowance) -> None:
        assert choose({"image": "classic"}, allowance).size is allowance.default_size
        assert choose({"size": "small"}, allowance).image is allowance.default_image

    def test_a_profile_sent_in_is_ignored(self, allowance: Allowance) -> None:
        for profile in ("Huge: 32 CPU, 128 GiB, Unified notebook", ["x"], None, "y" * 10**6):
            assert choose({"profile": profile}, allowance) == choose({}, allowance)


class TestSizes:
    def test_a_size_brings_its_own_cpu_and_memory(self, allowance: Allowance) -> None:
        choice = choose({"size": "huge"}, allowance)
        assert (choice.resources.cpu, choice.resources.memory) == (32_000, 128 * GiB)

    @pytest.mark.parametrize(
        "extra", [{"cpu": 4}, {"memory": "8 GiB"}, {"cpu": "0.5", "memory": "1 GiB"}, {"cpu": None}]
    )
    def test_a_size_cannot_be_stretched(self, allowance: Allowance, extra: dict[str, Any]) -> None:
        refused = refusal({"size": "small", **extra}, allowance)
        assert set(refused.fields) == set(extra)
        assert '"small" has its own CPU and memory' in str(refused)

    def test_what_is_not_offered_is_refused_with_what_is(self, allowance: Allowance) -> None:
        assert str(refusal({"size": "giant"}, allowance)) == (
            'You asked for the size "giant". Offered to you: small, standard, huge, custom.'
        )
        assert str(refusal({"image": "evil"}, allowance)) == (
            'You asked for the image "evil". Offered to you: unified, classic.'
        )

    @pytest.mark.parametrize("field", ["image", "size"])
    @pytest.mark.parametrize("value", [*HOSTILE, 0, "0", 12], ids=shown)
    def test_only_an_exact_id_will_do(self, allowance: Allowance, field: str, value: Any) -> None:
        assert set(refusal({field: value}, allowance).fields) == {field}


class TestCustom:
    def test_cpu_and_memory_are_taken_as_typed(self, allowance: Allowance) -> None:
        choice = choose({"size": "custom", "cpu": "1.5", "memory": "3 GiB"}, allowance)
        assert choice == Choice(allowance.default_image, None, Resources(1500, 3 * GiB))

    def test_numbers_will_do_for_cpu(self, allowance: Allowance) -> None:
        assert (
            choose({"cpu": 1.5}, allowance) == choose({"cpu": "1.5"}, allowance) == choose({"cpu": "1500m"}, allowance)
        )

    def test_cpu_or_memory_alone_means_custom(self, allowance: Allowance) -> None:
        assert choose({"cpu": 2}, allowance) == Choice(allowance.default_image, None, Resources(2000, 2 * GiB))
        assert choose({"memory": "1 GiB"}, allowance) == Choice(allowance.default_image, None, Resources(1000, GiB))

    def test_custom_without_values_is_the_default_size_by_value(self, allowance: Allowance) -> None:
        assert choose({"size": "custom"}, allowance) == Choice(allowance.default_image, None, Resources(1000, 2 * GiB))

    def test_both_ends_of_the_range_are_offered(self, allowance: Allowance) -> None:
        assert choose({"cpu": 0.25, "memory": "512 MiB"}, allowance).resources.cpu == 250
        assert choose({"cpu": 4, "memory": "16 GiB"}, allowance).resources.memory == 16 * GiB

    @pytest.mark.parametrize(
        ("options", "sentence"),
        [
            ({"cpu": 12}, "You asked for 12 CPU. The most offered to you is 4."),
            ({"cpu": "0"}, "You asked for 0 CPU. The least offered to you is 0.25."),
            ({"cpu": 0.3}, "You asked for 0.3 CPU. The nearest offered are 0.25 and 0.5."),
            ({"cpu": -1}, '"-1" is not an amount of CPU; write for example 1.5.'),
            ({"cpu": float("nan")}, '"nan" is not an amount of CPU; write for example 1.5.'),
            ({"cpu": 1e999}, '"inf" is not an amount of CPU; write for example 1.5.'),
            ({"cpu": [1]}, "a list is not an amount of CPU; write for example 1.5."),
            ({"memory": "0.3 GiB"}, "You asked for 0.3 GiB of memory. The least offered to you is 0.5 GiB."),
            ({"memory": " 0.3\n GiB "}, "You asked for 0.3 GiB of memory. The least offered to you is 0.5 GiB."),
            ({"memory": "0.6 GiB"}, "You asked for 0.6 GiB of memory. The nearest offered are 0.5 GiB and 0.75 GiB."),
            ({"cpu": "12000m"}, "You asked for 12000m CPU. The most offered to you is 4."),
            ({"memory": "1 TiB"}, "You asked for 1 TiB of memory. The most offered to you is 16 GiB."),
            ({"memory": "1 MiB"}, "You asked for 1 MiB of memory. The least offered to you is 512 MiB."),
            ({"memory": "600 MiB"}, "You asked for 600 MiB of memory. The nearest offered are 512 MiB and 768 MiB."),
            ({"memory": 2}, '"2" is not an amount of memory; write for example 2 GiB.'),
        ],
    )
    def test_a_refusal_says_what_was_asked_and_what_is_offered(
        self, allowance: Allowance, options: dict[str, Any], sentence: str
    ) -> None:
        assert str(refusal(options, allowance)) == sentence

    def test_a_refused_amount_is_never_spelled_like_its_limit(self, allowance: Allowance) -> None:
        just_beyond = refusal({"memory": f"{16 * GiB + 1} B"}, allowance)
        assert not str(just_beyond).startswith("You asked for 16 GiB of memory.")

    @pytest.mark.parametrize("field", ["cpu", "memory"])
    @pytest.mark.parametrize("value", [*HOSTILE, 0, "0", 12, "9" * 32, "9" * 31 + "m", "9" * 28 + " TiB"], ids=shown)
    def test_hostile_values_are_refused_at_their_field(self, allowance: Allowance, field: str, value: Any) -> None:
        assert set(refusal({field: value}, allowance).fields) == {field}

    def test_both_faults_are_told_at_once(self, allowance: Allowance) -> None:
        refused = refusal({"image": "evil", "cpu": 12, "memory": "1 TiB", "colour": "red"}, allowance)
        assert set(refused.fields) == {"image", "cpu", "memory", "colour"}

    @pytest.mark.parametrize(
        "options", [{"cpu": 1}, {"memory": "1 GiB"}, {"size": "custom"}, {"size": "custom", "cpu": 1}]
    )
    def test_nothing_custom_passes_where_only_sizes_are_offered(
        self, sizes_only: Allowance, options: dict[str, Any]
    ) -> None:
        refusal(options, sizes_only)

    def test_an_amount_where_only_sizes_are_offered_is_refused_at_its_field(self, sizes_only: Allowance) -> None:
        sentence = "Only named sizes are offered to you: small, standard, huge."
        assert refusal({"cpu": 1, "gpu": 0}, sizes_only).fields == {"cpu": sentence, "gpu": sentence}


class TestGpus:
    def test_a_size_brings_its_own(self) -> None:
        assert choose({"image": "cuda", "size": "gpu"}, WITH_GPUS).resources.gpu == 1
        assert choose({}, WITH_GPUS).resources.gpu == 0

    @pytest.mark.parametrize("asked", [2, "2", "02"])
    def test_custom_ones_are_taken_as_typed(self, asked: Any) -> None:
        choice = choose({"gpu": asked}, WITH_GPUS)
        assert (choice.size, choice.resources.cpu, choice.resources.memory, choice.resources.gpu) == (
            None,
            1000,
            2 * GiB,
            2,
        )

    def test_left_out_they_are_the_fewest(self) -> None:
        assert choose({"size": "custom"}, WITH_GPUS).resources.gpu == 0
        some = allowance_for(parse_catalog(LIVES.replace("gpu: {max: 2}", "gpu: {min: 1, max: 2}")), ADA)
        assert choose({"size": "custom"}, some).resources.gpu == 1

    @pytest.mark.parametrize(
        ("asked", "sentence"),
        [
            (3, "You asked for 3 GPU. The most offered to you is 2."),
            (0.5, '"0.5" is not a whole number; write for example 1.'),
            (1.0, '"1.0" is not a whole number; write for example 1.'),
            ("-1", '"-1" is not a whole number; write for example 1.'),
        ],
    )
    def test_a_refusal_says_what_was_asked_and_what_is_offered(self, asked: Any, sentence: str) -> None:
        assert str(refusal({"gpu": asked}, WITH_GPUS)) == sentence

    @pytest.mark.parametrize("value", [value for value in HOSTILE if value is not None], ids=shown)
    def test_hostile_values_are_refused_at_their_field(self, value: Any) -> None:
        assert set(refusal({"gpu": value}, WITH_GPUS).fields) == {"gpu"}

    @pytest.mark.parametrize("field", ["image", "size", "cpu", "memory", "gpu"])
    def test_a_number_that_python_itself_refuses_to_write_is_refused(self, field: str) -> None:
        assert "a huge number" in refusal({field: 10**5000}, WITH_GPUS).fields[field]

    def test_where_none_are_offered_none_is_a_choice_and_one_is_not(self, allowance: Allowance) -> None:
        assert choose({"gpu": 0}, allowance) == choose({"size": "custom"}, allowance)
        assert str(refusal({"gpu": 1}, allowance)) == "You asked for 1 GPU. The most offered to you is 0."

    def test_a_choice_of_some_is_stored_and_told(self) -> None:
        choice = choose({"gpu": 2, "cpu": 4}, WITH_GPUS)
        assert choice.as_options() == {
            "image": "unified",
            "size": "custom",
            "cpu": "4",
            "memory": "2 GiB",
            "gpu": "2",
            "profile": "Custom: 4 CPU, 2 GiB, 2 GPU, Unified notebook",
        }
        assert_reads_back(choice, WITH_GPUS)

    def test_beside_a_named_size_they_are_refused(self) -> None:
        assert set(refusal({"size": "standard", "gpu": 1}, WITH_GPUS).fields) == {"gpu"}


class TestTiedSizes:
    @pytest.mark.parametrize("image", ["cuda", "quiet"])
    def test_a_size_goes_with_its_images(self, image: str) -> None:
        choice = choose({"image": image, "size": "gpu"}, WITH_GPUS)
        assert (choice.image.id, choice.resources.cpu, choice.resources.gpu) == (image, 4000, 1)

    @pytest.mark.parametrize("options", [{"size": "gpu"}, {"size": "gpu", "image": "unified"}])
    def test_with_another_image_it_is_refused_by_name(self, options: dict[str, Any]) -> None:
        refused = refusal(options, WITH_GPUS)
        assert refused.fields == {"size": 'The size "gpu" is only offered with the images cuda.'}

    def test_with_an_image_that_is_refused_itself_nothing_is_said_of_the_size(self) -> None:
        assert set(refusal({"size": "gpu", "image": "evil"}, WITH_GPUS).fields) == {"image"}

    def test_a_size_none_of_whose_images_is_offered_is_refused(self) -> None:
        refused = refusal({"size": "lab"}, WITH_GPUS)
        assert refused.fields == {"size": 'You asked for the size "lab". Offered to you: standard, gpu, custom.'}


class TestLivesOfImages:
    def test_a_hidden_one_is_started_by_whoever_knows_it_and_named_to_nobody_else(self) -> None:
        assert choose({"image": "quiet"}, WITH_GPUS).image.id == "quiet"
        assert str(refusal({"image": "quite"}, WITH_GPUS)) == (
            'You asked for the image "quite". Offered to you: unified, cuda, classic.'
        )

    def test_a_deprecated_one_is_started(self) -> None:
        assert choose({"image": "classic"}, WITH_GPUS).image.id == "classic"

    def test_a_replaced_one_is_refused_with_its_successor(self) -> None:
        assert refusal({"image": "ancient"}, WITH_GPUS).fields == {
            "image": 'The image "ancient" was replaced and can no longer be started. Ask for "classic".'
        }

    def test_what_was_meant_is_suggested(self) -> None:
        assert str(refusal({"image": "Unifed"}, WITH_GPUS)).endswith('Perhaps you mean "unified".')
        assert str(refusal({"size": "costum"}, WITH_GPUS)).endswith('Perhaps you mean "custom".')


class TestUnknownKeys:
    @pytest.mark.parametrize(
        "key", ["", "colour", "Image", "image ", "user_options", "__proto__", "\ud800", "k" * 10**5], ids=shown
    )
    def test_an_unknown_key_is_refused_with_the_known_ones(self, allowance: Allowance, key: str) -> None:
        refused = refusal({key: "x"}, allowance)
        assert "The options are image, size, cpu, memory, gpu." in str(refused)

    def test_a_refusal_stays_short_however_much_was_sent(self, allowance: Allowance) -> None:
        assert len(str(refusal({f"key-{number}": "x" for number in range(10_000)}, allowance))) < 2000


class TestWhateverIsSent:
    @given(options_of_anyone)
    def test_it_is_a_choice_within_the_allowance_or_a_refusal(self, options: dict[str, Any]) -> None:
        try:
            choice = choose(options, ALLOWANCE)
        except ChoiceRefused as refused:
            assert refused.fields
            assert all(sentence.isprintable() for sentence in refused.fields.values())
        else:
            assert_is_offered(choice, ALLOWANCE)

    @given(options_of_anyone)
    def test_recalling_it_always_ends_in_an_offered_choice(self, options: dict[str, Any]) -> None:
        assert_is_offered(recall(options, ALLOWANCE).choice, ALLOWANCE)


class TestStoring:
    def test_every_offered_size_and_image_reads_back_the_same(self, allowance: Allowance) -> None:
        for image in allowance.images:
            for size in allowance.sizes:
                assert_reads_back(Choice(image, size, Resources(size.cpu, size.memory)), allowance)

    def test_every_offered_step_reads_back_the_same(self, allowance: Allowance) -> None:
        ranges = allowance.custom
        assert ranges is not None
        for cpu in range(ranges.cpu.min, ranges.cpu.max + 1, ranges.cpu.step):
            for memory in range(ranges.memory.min, ranges.memory.max + 1, ranges.memory.step):
                assert_reads_back(Choice(allowance.default_image, None, Resources(cpu, memory)), allowance)

    @pytest.mark.parametrize("step", ["1 MiB", "3 MiB", "4 MB", "100 MB", "333 MiB"])
    def test_steps_that_make_odd_amounts_read_back_the_same(self, step: str) -> None:
        text = CATALOG.partition("custom:")[0] + "custom:\n  cpu: {min: 0.01, max: 1.01, step: 0.01}\n"
        least = "67 MiB" if step.endswith("iB") else "100 MB"
        most = f"{100 * parse(step) + parse(least)} B"
        odd = parse_catalog(text + f"  memory: {{min: {least}, max: {most}, step: {step}}}\n")
        allowance = allowance_for(odd, ADA)
        ranges = allowance.custom
        assert isinstance(ranges, Custom)
        for memory in range(ranges.memory.min, ranges.memory.max + 1, ranges.memory.step):
            assert_reads_back(Choice(allowance.default_image, None, Resources(10, memory)), allowance)
        for cpu in range(ranges.cpu.min, ranges.cpu.max + 1, ranges.cpu.step):
            assert_reads_back(Choice(allowance.default_image, None, Resources(cpu, ranges.memory.min)), allowance)

    def test_options_hold_the_choice_in_words_for_the_admin_page(self, allowance: Allowance) -> None:
        assert choose({}, allowance).as_options() == {
            "image": "unified",
            "size": "standard",
            "profile": "Standard: 1 CPU, 2 GiB, Unified notebook",
        }
        assert choose({"cpu": 1.5, "memory": "3 GiB", "image": "classic"}, allowance).as_options() == {
            "image": "classic",
            "size": "custom",
            "cpu": "1.5",
            "memory": "3 GiB",
            "profile": "Custom: 1.5 CPU, 3 GiB, classic",
        }


class TestRecalling:
    def test_what_is_still_offered_comes_back_without_a_word(self, allowance: Allowance) -> None:
        accepted = choose({"cpu": 1.5, "memory": "3 GiB", "image": "classic"}, allowance)
        recalled = recall(accepted.as_options(), allowance)
        assert (recalled.choice, recalled.notice) == (accepted, "")

    def test_an_image_that_is_gone_gives_way_to_the_default_and_the_size_stays(self, allowance: Allowance) -> None:
        recalled = recall({"image": "retired", "size": "small"}, allowance)
        assert recalled.choice.image is allowance.default_image
        assert recalled.choice.size is allowance.sizes[0]
        assert '"retired"' in recalled.notice

    def test_a_size_that_is_gone_gives_way_to_the_default_and_the_image_stays(self, allowance: Allowance) -> None:
        recalled = recall({"image": "classic", "size": "retired"}, allowance)
        assert recalled.choice == choose({"image": "classic"}, allowance)
        assert '"retired"' in recalled.notice

    def test_a_value_out_of_range_gives_way_to_the_default_size_as_a_whole(self, allowance: Allowance) -> None:
        """Half of an old choice is a choice that nobody made."""
        recalled = recall({"size": "custom", "cpu": "12", "memory": "1 GiB"}, allowance)
        assert recalled.choice == choose({}, allowance)
        assert "The most offered to you is 4." in recalled.notice

    def test_custom_values_give_way_where_only_sizes_are_offered_now(self, sizes_only: Allowance) -> None:
        recalled = recall({"size": "custom", "cpu": "1.5", "memory": "3 GiB"}, sizes_only)
        assert recalled.choice == choose({}, sizes_only)
        assert recalled.notice == "Amounts of your own are no longer offered; Standard is used instead."

    def test_a_replaced_image_gives_way_to_its_successor_with_a_word(self) -> None:
        recalled = recall({"image": "ancient", "size": "custom", "cpu": "2", "memory": "1 GiB"}, WITH_GPUS)
        assert recalled.choice == choose({"image": "classic", "cpu": 2, "memory": "1 GiB"}, WITH_GPUS)
        assert recalled.notice == 'The image "ancient" was replaced; classic is used instead.'

    def test_a_size_that_does_not_go_with_the_successor_gives_way_too(self) -> None:
        replaced = allowance_for(parse_catalog(LIVES.replace("{id: cuda,", "{id: cuda, replaced_by: unified,")), ADA)
        recalled = recall({"image": "cuda", "size": "gpu"}, replaced)
        assert recalled.choice == choose({}, replaced)
        assert recalled.notice == (
            'The image "cuda" was replaced; Unified notebook is used instead. '
            'The size "gpu" that you chose last is no longer offered; Standard is used instead.'
        )

    def test_hidden_and_deprecated_images_come_back_without_a_word(self) -> None:
        for image in ("quiet", "classic"):
            recalled = recall({"image": image}, WITH_GPUS)
            assert (recalled.choice.image.id, recalled.notice) == (image, "")

    def test_gpus_that_are_no_longer_offered_give_way_with_all_amounts(self, allowance: Allowance) -> None:
        recalled = recall({"size": "custom", "cpu": "2", "memory": "1 GiB", "gpu": "1"}, allowance)
        assert recalled.choice == choose({}, allowance)
        assert recalled.notice == (
            "The amounts that you chose last are no longer offered. You asked for 1 GPU. The most offered to you is 0. "
            "Standard is used instead."
        )

    def test_custom_values_are_taken_up_where_gpus_came_to_be_offered(self, allowance: Allowance) -> None:
        accepted = choose({"cpu": 2, "memory": "1 GiB"}, allowance)
        assert recall(accepted.as_options(), WITH_GPUS).choice.resources == accepted.resources

    def test_a_size_whose_amounts_changed_is_taken_as_it_is_now(self) -> None:
        changed = allowance_for(parse_catalog(CATALOG.replace("cpu: 0.5", "cpu: 0.75")), ADA)
        recalled = recall({"image": "unified", "size": "small", "profile": "Small: 0.5 CPU, 1 GiB"}, changed)
        assert recalled.choice.resources.cpu == 750


class TestLarger:
    def test_the_next_size_with_more_memory(self, allowance: Allowance) -> None:
        assert larger(choose({"size": "small"}, allowance), allowance) == choose({"size": "standard"}, allowance)
        assert larger(choose({"size": "standard"}, allowance), allowance) == choose({"size": "huge"}, allowance)

    def test_the_largest_has_none(self, allowance: Allowance) -> None:
        assert larger(choose({"size": "huge"}, allowance), allowance) is None

    @pytest.mark.parametrize(("memory", "more"), [("1 GiB", "2 GiB"), ("3 GiB", "6 GiB"), ("9 GiB", "16 GiB")])
    def test_twice_the_memory_of_ones_own_within_the_range(self, allowance: Allowance, memory: str, more: str) -> None:
        chosen = choose({"cpu": 1.5, "memory": memory}, allowance)
        assert larger(chosen, allowance) == choose({"cpu": 1.5, "memory": more}, allowance)

    def test_the_most_memory_of_ones_own_has_none(self, allowance: Allowance) -> None:
        assert larger(choose({"memory": "16 GiB"}, allowance), allowance) is None

    def test_a_size_for_other_images_is_no_way_out(self) -> None:
        assert larger(choose({"image": "unified"}, WITH_GPUS), WITH_GPUS) is None
        assert larger(choose({"image": "cuda"}, WITH_GPUS), WITH_GPUS) == choose(
            {"image": "cuda", "size": "gpu"}, WITH_GPUS
        )

    @given(options_of_anyone)
    def test_whatever_was_chosen_it_is_offered_and_has_more(self, options: dict[str, Any]) -> None:
        chosen = recall(options, ALLOWANCE).choice
        more = larger(chosen, ALLOWANCE)
        if more is not None:
            assert_is_offered(more, ALLOWANCE)
            assert more.resources.memory > chosen.resources.memory


def refusal(options: dict[str, Any], allowance: Allowance) -> ChoiceRefused:
    with pytest.raises(ChoiceRefused) as refused:
        choose(options, allowance)
    assert len(str(refused.value)) < 2000
    assert all(sentence.isprintable() and sentence.endswith(".") for sentence in refused.value.fields.values())
    return refused.value


def assert_reads_back(choice: Choice, allowance: Allowance) -> None:
    stored = json.loads(json.dumps(choice.as_options()))
    assert choose(stored, allowance) == choice


def assert_is_offered(choice: Choice, allowance: Allowance) -> None:
    assert choice.image in allowance.images
    if choice.size is not None:
        assert choice.size in allowance.sizes
        assert (choice.resources.cpu, choice.resources.memory) == (choice.size.cpu, choice.size.memory)
        return
    ranges = allowance.custom
    assert ranges is not None
    assert choice.resources.cpu in range(ranges.cpu.min, ranges.cpu.max + 1, ranges.cpu.step)
    assert choice.resources.memory in range(ranges.memory.min, ranges.memory.max + 1, ranges.memory.step)


def parse(memory: str) -> int:
    amount, unit = memory.split()
    return int(amount) * {"MiB": MiB, "MB": 10**6}[unit]


def test_amounts_are_stored_as_people_write_them() -> None:
    assert (format_cpu(1500), format_memory_exactly(3 * GiB)) == ("1.5", "3 GiB")
