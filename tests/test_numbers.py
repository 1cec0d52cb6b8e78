import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.numbers import number


@pytest.mark.parametrize("text", ["0.00000012", "67523", "0", "-0.0030", "9.121E-7", "1e5", "9223372036854775807"])
def test_a_json_number_stays_as_it_came(text: str) -> None:
    assert number(text) == text


@pytest.mark.parametrize(
    ("text", "told"), [(".5", "0.5"), ("007", "7"), ("+1", "1"), ("5.", "5"), ("-.50", "-0.5"), ("00.10", "0.1")]
)
def test_other_forms_become_the_shortest_equal_number(text: str, told: str) -> None:
    assert number(text) == told


@pytest.mark.parametrize(
    "text", ["", "nan", "inf", "1e400", "1_000", " 1", "1,2", "0x10", "--1", "1.2.3", "9223372036854775808", "\u0661"]
)
def test_what_is_no_finite_64_bit_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"number|finite|64 bits"):
        number(text)


@given(st.text(max_size=12))
def test_whatever_is_accepted_is_valid_json(text: str) -> None:
    try:
        told = number(text)
    except ValueError:
        return
    assert float(json.loads(told)) == float(text)
