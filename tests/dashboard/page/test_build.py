"""The bundle: what is in it, and what is not."""

import re
from pathlib import Path

import pytest

from dashboard.web.build import STATIC, WEB, is_fresh

pytestmark = pytest.mark.browser


def built() -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in STATIC.iterdir()}


def test_every_file_but_the_page_has_a_hash_in_its_name(bundle: None) -> None:
    assert all(name == "index.html" or re.search(r"-[0-9A-Z]{8}\.\w+$", name) for name in built())


def test_the_page_names_only_files_that_are_there_and_no_inline_code(bundle: None) -> None:
    files = built()
    page = files["index.html"]
    named = re.findall(r'(?:src|href)="([^"#:]+)"', page)
    assert len(named) == 4
    assert set(named) == set(files) - {"index.html"}
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", page)


def test_the_licences_of_the_libraries_are_beside_them(bundle: None) -> None:
    text = next(content for name, content in built().items() if name.startswith("licences"))
    assert "=== mqtt " in text
    assert "=== lightweight-charts " in text


def test_a_bundle_is_fresh_until_a_source_changes(bundle: None) -> None:
    assert is_fresh()


@pytest.mark.parametrize("name", ["package-lock.json", "package.json", ".npmrc"])
def test_no_registry_is_named(name: str) -> None:
    assert "registry." not in (WEB / name).read_text(encoding="utf-8").replace("lockfile-registry", "")


def test_only_one_file_talks_mqtt() -> None:
    assert [path.name for path in sorted(Path(WEB, "src").glob("*.js")) if 'from "mqtt"' in path.read_text()] == [
        "broker.js"
    ]
