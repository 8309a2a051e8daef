from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.hostile import HOSTILE
from harness.hostile import shown as short
from stateroom.common.text import clipped, counted, did_you_mean, joined, listed, nearest, quoted, shown

ANYTHING = st.one_of(
    st.text(),
    st.integers(),
    st.floats(),
    st.binary(),
    st.none(),
    st.booleans(),
    st.lists(st.text()),
    st.integers(-(10**300), 10**300),
)


class TestQuoted:
    @pytest.mark.parametrize(
        ("value", "text"),
        [
            ("two words", '"two words"'),
            ("", '""'),
            (1.5, '"1.5"'),
            (None, '"None"'),
            (True, '"True"'),
            ([1, 2], "a list"),
            ((), "a list"),
            ({"a": 1}, "an object"),
            ("a\nb\x1b[31m\u202e", '"a b [31m "'),
            ("x" * 32, f'"{"x" * 32}"'),
            ("x" * 33, f'"{"x" * 32}…"'),
            (10**30, f'"1{"0" * 30}"'),
        ],
        ids=short,
    )
    def test_a_value_stands_in_a_sentence(self, value: Any, text: str) -> None:
        assert quoted(value) == text

    @pytest.mark.parametrize("sign", [1, -1])
    def test_a_number_that_python_itself_refuses_to_write_is_a_huge_one(self, sign: int) -> None:
        assert quoted(sign * 10**5000) == "a huge number"

    @given(ANYTHING)
    def test_whatever_it_is_it_is_short_and_on_one_line(self, value: Any) -> None:
        assert quoted(value).isprintable()
        assert len(quoted(value)) <= 35


class TestShown:
    @pytest.mark.parametrize(
        ("name", "text"),
        [("research", "research"), ("Zoë", "Zoë"), ("x" * 64, "x" * 64), ("x" * 65, f'"{"x" * 32}…"'), ("a\n", '"a "')],
        ids=short,
    )
    def test_a_name_is_as_it_is_unless_it_would_do_harm(self, name: str, text: str) -> None:
        assert shown(name) == text

    @given(st.text(max_size=100))
    def test_whatever_it_is_it_is_short_and_on_one_line(self, name: str) -> None:
        assert shown(name).isprintable()
        assert len(shown(name)) <= 64


class TestClipped:
    def test_a_sentence_of_somebody_else_is_as_it_is(self) -> None:
        assert clipped("did not find expected ',' or ']'") == "did not find expected ',' or ']'"
        assert clipped("x" * 200) == "x" * 200
        assert clipped("x" * 201) == f"{'x' * 200}…"

    @given(st.text(max_size=300))
    def test_whatever_it_is_it_is_bounded_and_on_one_line(self, sentence: str) -> None:
        assert clipped(sentence).isprintable()
        assert len(clipped(sentence)) <= 201


class TestLists:
    @pytest.mark.parametrize(
        ("words", "text"),
        [
            ([], ""),
            (["a"], "a"),
            (["a", "b"], "a, b"),
            (list("abcdefghijkl"), "a, b, c, d, e, f, g, h, i, j, k, l"),
            (list("abcdefghijklm"), "a, b, c, d, e, f, g, h, i, j, k, l and 1 more"),
            (["a"] * 1000, f"{', '.join(['a'] * 12)} and 988 more"),
        ],
        ids=short,
    )
    def test_of_very_many_words_only_the_first_are_listed(self, words: list[str], text: str) -> None:
        assert listed(words) == text

    @pytest.mark.parametrize(
        ("words", "text"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
    )
    def test_words_are_joined_as_people_do(self, words: list[str], text: str) -> None:
        assert joined(words) == text

    @pytest.mark.parametrize(("number", "text"), [(0, "0 servers"), (1, "1 server"), (2, "2 servers")])
    def test_things_are_counted_as_people_do(self, number: int, text: str) -> None:
        assert counted(number, "server") == text


class TestNearest:
    @pytest.mark.parametrize(
        ("word", "near"),
        [
            ("memroy", "memory"),
            ("MEMORY", "memory"),
            ("memory", "memory"),
            ("Reserch", "Research"),
            ("xyzzy", ""),
            ("", ""),
            (None, ""),
            (1, ""),
            (["memory"], ""),
            ("memory" * 20, ""),
        ],
        ids=short,
    )
    def test_the_known_word_that_was_meant_is_found(self, word: Any, near: str) -> None:
        assert nearest(word, ["cpu", "memory", "Research"]) == near

    def test_it_is_suggested_as_a_question(self) -> None:
        assert did_you_mean("memroy", ["cpu", "memory"]) == '; did you mean "memory"?'
        assert did_you_mean("xyzzy", ["cpu", "memory"]) == ""
        assert did_you_mean("x", []) == ""

    def test_a_word_that_would_not_show_is_not_suggested(self) -> None:
        assert nearest("memory", ["memory\n"]) == ""

    def test_a_word_that_is_longer_than_any_name_is_not_compared(self) -> None:
        assert nearest("x" * 64, ["x" * 64]) == "x" * 64
        assert nearest("x" * 65, ["x" * 65]) == ""

    def test_of_very_many_words_only_some_are_compared(self) -> None:
        words = (f"word-{number}" for number in range(10**9))
        assert nearest("wrod-1", words) == "word-1"
        assert next(words) == "word-1000"

    @pytest.mark.parametrize("value", HOSTILE, ids=short)
    def test_nothing_that_is_sent_does_harm(self, value: Any) -> None:
        assert nearest(value, ["unified", "custom"]) in {"unified", "custom", ""}


class TestClippedLength:
    @pytest.mark.parametrize(
        ("text", "line"),
        [
            ("a line", "a line"),
            ("", ""),
            (" two\n  lines\t", "two lines"),
            ("\x1b[1;31mred\x1b[0m \x00\u202e!", "red !"),
            ("x" * 10, "x" * 10),
            ("x" * 11, f"{'x' * 10}…"),
            ("one two three", "one two th…"),
            ("one two   t", "one two t"),
        ],
        ids=short,
    )
    def test_a_foreign_text_is_one_line_that_shows(self, text: str, line: str) -> None:
        assert clipped(text, 10) == line

    def test_the_end_is_kept_where_that_tells_more(self) -> None:
        assert clipped("pulling failed: no such image", 13, keep_end=True) == "…no such image"
        assert clipped("short", 13, keep_end=True) == "short"

    @given(st.text(), st.integers(1, 50), st.booleans())
    def test_whatever_it_is_it_is_short_and_shows(self, text: str, most: int, keep_end: bool) -> None:
        line = clipped(text, most, keep_end=keep_end)
        assert line.isprintable()
        assert len(line) <= most + 1
        assert line == line.strip()
