"""Tokens of programs: their file and their header."""

from pathlib import Path

import pytest

from bridge.errors import SettingsError
from dashboard.door.tokens import MOST_BYTES, Tokens

TOKEN, OTHER = "a" * 20, "b-._~+/=" * 4


def tokens(folder: Path, text: str) -> Tokens:
    path = folder / "tokens"
    path.write_text(text)
    return Tokens(path)


def test_a_token_names_its_program(tmp_path: Path) -> None:
    known = tokens(tmp_path, f"# mine\n\nnotebook {TOKEN}\r\ngrafana\t{OTHER}  \n")
    assert len(known) == 2
    assert known.owner(f"Bearer {TOKEN}") == "notebook"
    assert known.owner(f"bearer  {OTHER}") == "grafana"


@pytest.mark.parametrize(
    "header", ["", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer ", "Bearer \udce9é"]
)
def test_anything_else_is_nobodys(tmp_path: Path, header: str) -> None:
    assert tokens(tmp_path, f"notebook {TOKEN}\n").owner(header) is None


def test_without_a_file_nothing_is_anybodys() -> None:
    assert Tokens(None).owner("Bearer ") is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("notebook short\n", "line 1"),
        (f"fine {TOKEN}\n{OTHER}\n", "line 2"),
        (f"one {TOKEN}\none {OTHER}\n", "one has a token already"),
        (f"one {TOKEN} {OTHER}\n", "line 1"),
        ("x" * (MOST_BYTES + 1), "larger than"),
        ("\n".join(f"p{n} {TOKEN}" for n in range(300)), "more than 200"),
    ],
)
def test_a_wrong_file_names_the_line_and_never_the_token(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told) as caught:
        tokens(tmp_path, text)
    assert str(caught.value).startswith(f"dashboard.tokens_file = {tmp_path / 'tokens'}: ")
    assert not any(secret in str(caught.value) for secret in (TOKEN, OTHER, "short"))


def test_a_file_that_is_not_there_or_no_text_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        Tokens(tmp_path / "none")
    (tmp_path / "tokens").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="no UTF-8"):
        Tokens(tmp_path / "tokens")
