import pytest

from dashboard.times import read_time


@pytest.mark.parametrize(
    ("text", "time_ns"),
    [
        ("0", 0),
        ("1763726400000000001", 1_763_726_400_000_000_001),
        ("2025-11-21T12:00:00Z", 1_763_726_400_000_000_000),
        ("2025-11-21T12:00:00", 1_763_726_400_000_000_000),
        ("2025-11-21T13:00:00+01:00", 1_763_726_400_000_000_000),
        ("2025-11-21T13:00:00 01:00", 1_763_726_400_000_000_000),
        ("2025-11-21T12:00:00.123456789Z", 1_763_726_400_123_456_789),
        ("2025-11-21T12:00:00.5Z", 1_763_726_400_500_000_000),
        ("2025-11-21", 1_763_683_200_000_000_000),
    ],
)
def test_iso_times_and_integers_are_read_to_the_nanosecond(text: str, time_ns: int) -> None:
    assert read_time(text) == time_ns


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("yesterday", "neither ISO 8601"),
        ("", "neither ISO 8601"),
        ("-5", "neither ISO 8601"),
        ("1.5e18", "neither ISO 8601"),
        ("1763726400", "nine zeros more"),
        ("1763726400000", "six"),
        ("9223372036854775808", "64 bits"),
        ("1969-12-31T00:00:00Z", "outside"),
        ("2500-01-01", "outside"),
        ("2025-13-01", "neither ISO 8601"),
    ],
)
def test_a_wrong_time_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_time(text)
