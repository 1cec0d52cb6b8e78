"""The documentation says what the program does: every topic, setting, verb, exit code and exchange stands there."""

import argparse
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.events import Channel
from bridge.exchanges import EXCHANGES
from bridge.exits import EXIT_CODES
from bridge.mistakes import names
from bridge.settings import Exchanges
from bridge.topics import REQUESTS, STATE_ROOTS, STREAM_ROOTS, Topics
from bridge.usage import parser

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [
    *ROOT.glob("*.md"),
    *DOCS.glob("*.md"),
    *ROOT.glob("bridge/**/*.md"),
    *ROOT.glob("mosquitto/*.md"),
    *ROOT.glob("telegraf/*.md"),
    *ROOT.glob("ansible/*.md"),
]


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def rows(text: str) -> list[str]:
    """The first cell of every table row."""
    return [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| `")]


def test_every_topic_root_has_its_row() -> None:
    told = {root for cell in rows(page("topics.md")) for root in re.findall(r"`(\w+)/", cell)}
    assert told == {*STREAM_ROOTS, *STATE_ROOTS}


def test_topics_are_written_as_the_program_makes_them() -> None:
    t, exchange, symbol, interval = Topics(), "<exchange>", "<SYMBOL>", "<interval>"
    made = {
        t.price(exchange, symbol),
        t.trade(exchange, symbol),
        t.candle(exchange, symbol, interval),
        t.gaps(exchange),
        t.errors(exchange),
        t.latest(exchange, symbol),
        t.sensor(exchange, symbol),
        t.sensors(exchange),
        t.sensors("bridge"),
        t.display(exchange, symbol),
        t.forming(exchange, symbol, interval),
        t.stats(exchange, symbol),
        t.health(exchange),
        t.catalogue(exchange),
        t.job("<id>"),
    }
    told = {topic for cell in rows(page("topics.md")) for topic in re.findall(r"`([^`]+/[^`]*)`", cell)}
    assert told == {*made, t.errors("bridge"), t.health("bridge")}


def test_every_request_has_its_row() -> None:
    assert {f"`{what}`" for what in REQUESTS} <= set(rows(page("topics.md")))


def test_settings_page_is_what_the_program_writes() -> None:
    made = subprocess.run(
        [sys.executable, ROOT / "scripts" / "settings_page.py"], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert page("settings.md") == made.stdout, "make docs"


def test_every_setting_is_on_the_settings_page() -> None:
    told = {cell.strip("`") for cell in rows(page("settings.md"))}
    assert {name.rpartition(".")[2] for name in names()} <= told


def test_every_verb_has_its_row() -> None:
    actions = [action for action in parser()._actions if isinstance(action, argparse._SubParsersAction)]
    verbs = {f"`tickbridge {verb}`" for action in actions for verb in action.choices}
    assert {*verbs, "`tickbridge --version`"} == {cell for cell in rows(page("commands.md")) if "tickbridge" in cell}


def test_every_exit_code_is_told_as_the_program_tells_it() -> None:
    for code, text in EXIT_CODES.items():
        assert f"| {code} | {text} |" in page("commands.md")


def test_every_exchange_has_its_row_with_what_it_offers() -> None:
    for name, kind in EXCHANGES.items():
        cells = [cell.strip() for cell in _row(name).split("|")[1:-1]]
        offered = ["yes" if channel in kind.channels else "no" for channel in Channel]
        assert cells[:-1] == [f"`{name}`", *offered]
        assert cells[-1].startswith(
            "price, bid and ask" if kind.whole_market_has_book else "price, without bid and ask"
        )


def _row(name: str) -> str:
    return next(line for line in page("exchanges.md").splitlines() if line.startswith(f"| `{name}`"))


def test_every_exchange_has_settings() -> None:
    assert set(EXCHANGES) == set(Exchanges.model_fields)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    missing = [link for link in links if link and not (path.parent / link).exists() and not link.endswith("page.png")]
    assert missing == []


def test_readme_names_the_commands_that_the_makefile_has() -> None:
    recipes = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    texts = (path.read_text(encoding="utf-8") for path in PAGES)
    used = {
        word
        for text in texts
        for word in re.findall(r"`make ([a-z]+)", text) + re.findall(r"^make ([a-z]+)", text, re.M)
    }
    assert used <= recipes
    assert {"run", "test", "demo"} <= used


def test_every_address_of_the_http_api_is_documented() -> None:
    told = (ROOT / "docs" / "api.md").read_text()
    for address in re.findall(r'Route\("([^"]+)"', (ROOT / "dashboard" / "api.py").read_text()):
        assert f"`{address.replace('{exchange}', '<exchange>').replace('{symbol}', '<SYMBOL>')}`" in told
