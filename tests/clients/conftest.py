"""Chromium, as the page's own tests have it."""

from tests.dashboard.page.conftest import browser, bundle

__all__ = ["browser", "bundle"]
