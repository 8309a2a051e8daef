from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import stateroom
from harness.hostile import HOSTILE, shown
from stateroom.catalog.scalars import OWN_VARIABLES
from stateroom.catalog.sizes import Custom, CustomLimits, Quota, Size
from stateroom.common.quantity import (
    KINDS,
    LIMITED,
    GiB,
    KiB,
    Kind,
    MiB,
    Resources,
    TiB,
    for_cores,
    format_age,
    format_cpu,
    format_free_memory,
    format_kubernetes_bytes,
    format_memory,
    format_memory_exactly,
    free_gibibytes,
    gibibytes,
    parse_cpu,
    parse_kubernetes_quantity,
    parse_memory,
    quoted,
    whole_cores,
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


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("0", 0), ("1", 1), ("500m", 0.5), ("1.5", 1.5), ("3Gi", 3 * GiB), ("1.5Gi", 1.5 * GiB), ("128M", 128 * 10**6),
        ("129e6", 129 * 10**6), ("5E", 5 * 10**18), ("1E3", 1000), ("2e-1", 0.2), ("100k", 10**5), ("4Ki", 4 * KiB),
        ("128974848000m", 128974848), ("1u", 1e-6), ("2Pi", 2 * 1024 * TiB),
    ],
)  # fmt: skip
def test_a_quantity_is_read_as_kubernetes_writes_it(written: str, number: float) -> None:
    assert parse_kubernetes_quantity(written) == pytest.approx(number)


@pytest.mark.parametrize("written", ["", "much", "-1", "1.2.3", ".", "1 Gi", "1gi", "1K i", "1e999", "None", "1" * 40])
def test_what_is_no_quantity_is_none(written: str) -> None:
    assert parse_kubernetes_quantity(written) is None


# The table of kinds


def test_every_kind_is_a_field_of_resources_and_a_key_wherever_the_catalog_has_amounts() -> None:
    names = {kind.name for kind in KINDS}
    # What is kept free is a part of an amount and no kind of its own.
    assert {name for name in Resources.__slots__ if not name.endswith("_guarantee")} == names
    assert names <= set(Size.model_fields)
    assert names == set(Custom.model_fields) - {"groups", "users"} == set(CustomLimits.model_fields)
    assert [kind.name for kind in LIMITED] == list(Quota.model_fields)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@given(st.integers(0, 10**5))
def test_an_amount_written_exactly_is_read_as_the_same_amount(kind: Kind, amount: int) -> None:
    assert kind.parse(kind.exactly(amount)) == kind.parse(kind.json(amount)) == amount


@pytest.mark.parametrize(
    ("resources", "text"),
    [(Resources(1500, 3 * GiB), "1.5 CPU, 3 GiB"), (Resources(250, GiB // 2, 2, 1, 1), "0.25 CPU, 512 MiB, 2 GPU")],
)
def test_resources_are_written_as_a_list_without_what_is_optional_and_missing(resources: Resources, text: str) -> None:
    assert str(resources) == text


def test_limits_are_told_in_a_variable_for_each_kind() -> None:
    assert {f"{kind.variable}_LIMIT" for kind in KINDS} <= set(OWN_VARIABLES)


# What Kubernetes, clocks and registries write


@given(st.integers(0, 2**50))
def test_bytes_for_kubernetes_are_read_as_the_same_bytes(amount: int) -> None:
    assert parse_kubernetes_quantity(format_kubernetes_bytes(amount)) == amount


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.9, "59 s"), (60, "1 min"), (7199, "1 h"), (86_400, "1 d"), (200_000, "2 d")]
)
def test_an_age_is_in_the_largest_unit(seconds: float, text: str) -> None:
    assert format_age(seconds) == text


@pytest.mark.parametrize(("milli", "cores"), [(1, 1), (1000, 1), (1001, 2)])
def test_a_part_of_a_core_is_a_core(milli: int, cores: int) -> None:
    assert whole_cores(milli) == cores


def test_a_measure_of_an_engine_is_rounded_down() -> None:
    assert [for_cores(1500, 1024), for_cores(1, 1024), for_cores(10, 100_000)] == [1536, 1, 1000]


# The one place for unit arithmetic

PACKAGE = Path(stateroom.__file__).parent
FACTORS = {24, 60, 1000, 1024, 3600, 86_400, 1000**2, 1000**3, 1024**2, 1024**3}
UNITS = {"KiB", "MiB", "GiB", "TiB", "MILLI"}


def converts(node: ast.AST) -> bool:
    """Return whether a piece of code turns one unit into another: a factor in a calculation, or a unit that divides.

    Multiples of a unit, such as `10 * MiB`, are how constants are written.
    """
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, (ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow)):
        return False
    numbers = {side.value for side in (node.left, node.right) if isinstance(side, ast.Constant)}
    if isinstance(node.op, ast.Pow):
        return numbers in ({2, 10}, {2, 20}, {2, 30}, {10, 3}, {10, 6}, {10, 9}) or bool({1000, 1024} & numbers)
    divided = not isinstance(node.op, ast.Mult) and isinstance(node.right, ast.Name) and node.right.id in UNITS
    return divided or bool(FACTORS & {number for number in numbers if isinstance(number, int)})


def test_units_are_converted_in_one_module_alone() -> None:
    found = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if path != PACKAGE / "common" / "quantity.py" and "probe.py" not in path.name  # runs without the package
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if converts(node) and isinstance(node, ast.expr)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("x // 1024**3", True),
        ("x / 1000", True),
        ("x * 60", True),
        ("x % MiB", True),
        ("2**30", True),
        ("10 * MiB", False),
        ("x * 100", False),
        ("2**31 - 1", False),
    ],
)
def test_what_is_taken_for_a_conversion(code: str, expected: bool) -> None:
    assert any(converts(node) for node in ast.walk(ast.parse(code))) is expected
