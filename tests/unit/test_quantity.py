from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.hostile import HOSTILE, shown
from stateroom.quantity import (
    GiB,
    KiB,
    MiB,
    TiB,
    format_cpu,
    format_free_memory,
    format_memory,
    format_memory_exactly,
    free_gibibytes,
    gibibytes,
    parse_cpu,
    parse_memory,
    quoted,
)

NO_AMOUNTS = (*HOSTILE, (1,), b"1", object())


@pytest.mark.parametrize(
    ("written", "milli"),
    [
        (1, 1000), (0.5, 500), (1.5, 1500), ("1", 1000), ("1.5", 1500), ("1500m", 1500), (" 2 ", 2000), (".25", 250),
        (0.1, 100), ("0.001", 1), ("1m", 1), (0, 0), ("00.5", 500), ("1.500", 1500), (64, 64_000),
    ],
)  # fmt: skip
def test_cpu_is_read_as_thousandths_of_a_core(written: Any, milli: int) -> None:
    assert parse_cpu(written) == milli


@pytest.mark.parametrize("written", [*NO_AMOUNTS, "1.0005", "0.5m", 0.0001, "m", "1M", "1 CPU", "1 GiB"], ids=shown)
def test_what_is_no_amount_of_cpu_is_refused_in_one_sentence(written: Any) -> None:
    with pytest.raises(ValueError, match=r"is not an amount of CPU; write for example 1\.5$") as refused:
        parse_cpu(written)
    assert_is_a_short_line(str(refused.value))


@pytest.mark.parametrize("digits", range(25, 33))
def test_as_many_nines_as_fit_are_an_amount_or_refused(digits: int) -> None:
    for text in ("9" * digits, "9" * (digits - 1) + "m", "0." + "9" * (digits - 2)):
        try:
            parse_cpu(text)
        except ValueError as refused:
            assert_is_a_short_line(str(refused))


@pytest.mark.parametrize(
    ("written", "amount"),
    [
        ("2 GiB", 2 * GiB), ("2GiB", 2 * GiB), ("2Gi", 2 * GiB), ("2 gib", 2 * GiB), (" 512 MiB ", 512 * MiB),
        ("1.5 GiB", 1536 * MiB), (".5 GiB", 512 * MiB), ("1 TiB", TiB), ("1Ki", KiB), ("2 GB", 2_000_000_000),
        ("500 MB", 500_000_000), ("7 kB", 7000), ("3221225472 B", 3 * GiB), ("0 B", 0), ("0.1 KiB", 102),
    ],
)  # fmt: skip
def test_memory_is_read_as_bytes(written: str, amount: int) -> None:
    assert parse_memory(written) == amount


@pytest.mark.parametrize(
    "written",
    [*NO_AMOUNTS, 2, 2.5, "2", "GiB", "2 G", "2 GiBs", "2 XiB", "-2 GiB", "1e3 GiB", "nan GiB", "2 GiB GiB"],
    ids=shown,
)
def test_what_is_no_amount_of_memory_is_refused_in_one_sentence(written: Any) -> None:
    with pytest.raises(ValueError, match=r"is not an amount of memory; write for example 2 GiB$") as refused:
        parse_memory(written)
    assert_is_a_short_line(str(refused.value))


@given(st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.none(), st.lists(st.integers())))
def test_whatever_is_sent_is_a_whole_number_or_refused(written: Any) -> None:
    for parse in (parse_cpu, parse_memory):
        try:
            amount = parse(written)
        except ValueError as refused:
            assert_is_a_short_line(str(refused))
        else:
            assert type(amount) is int
            assert amount >= 0


@given(st.integers(min_value=0, max_value=10**9))
def test_cpu_as_written_reads_back_the_same(milli: int) -> None:
    assert parse_cpu(format_cpu(milli)) == milli


@given(st.integers(min_value=0, max_value=2**60))
def test_memory_as_written_exactly_reads_back_the_same(amount: int) -> None:
    assert parse_memory(format_memory_exactly(amount)) == amount


@given(st.integers(min_value=0, max_value=2**50).map(lambda steps: steps * MiB))
def test_a_number_field_of_gibibytes_loses_nothing(amount: int) -> None:
    assert float(gibibytes(amount)) * GiB == pytest.approx(amount)
    assert "e" not in gibibytes(amount).lower()


@pytest.mark.parametrize(
    ("amount", "text"),
    [(3 * GiB, "3 GiB"), (512 * MiB, "512 MiB"), (1536 * MiB, "1.5 GiB"), (100 * TiB, "100 TiB"), (1000, "1000 B")],
)
def test_people_read_memory_in_the_largest_fitting_unit(amount: int, text: str) -> None:
    assert format_memory(amount) == text


@given(st.integers(min_value=0, max_value=2**60))
def test_of_free_memory_never_more_is_told_than_there_is(amount: int) -> None:
    assert parse_memory(format_free_memory(amount)) <= amount
    assert parse_memory(f"{free_gibibytes(amount)} GiB") <= amount


@pytest.mark.parametrize(
    ("amount", "text", "number"),
    [
        (16 * GiB, "16 GiB", "16"),
        (16 * GiB - 1, "15.99 GiB", "15.99"),
        (5 * GiB + 192 * MiB, "5.18 GiB", "5.18"),
        (512 * MiB, "512 MiB", "0.5"),
        (MiB, "1 MiB", "0"),
        (0, "0 B", "0"),
    ],
)
def test_free_memory_is_rounded_down(amount: int, text: str, number: str) -> None:
    assert (format_free_memory(amount), free_gibibytes(amount)) == (text, number)


@pytest.mark.parametrize(("milli", "text"), [(1500, "1.5"), (1000, "1"), (10_000, "10"), (250, "0.25"), (0, "0")])
def test_people_read_cpu_without_superfluous_digits(milli: int, text: str) -> None:
    assert format_cpu(milli) == text


@pytest.mark.parametrize(
    "value", [*NO_AMOUNTS, ["x" * 10**6], {"k": ["v"]}, "line\nbreak", "<script>", "\u2028"], ids=shown
)
def test_a_quoted_value_is_short_and_on_one_line(value: Any) -> None:
    assert_is_a_short_line(quoted(value))


def assert_is_a_short_line(text: str) -> None:
    assert len(text) < 120
    assert text.isprintable()
