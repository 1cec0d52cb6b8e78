"""What a test needs and this machine lacks: a skip that names it, or a failure in CI, where all of it must be there."""

import os
from typing import NoReturn

import pytest


def missing(what: str) -> NoReturn:
    """Skip, or fail where CI is set."""
    if os.environ.get("CI", "").lower() not in ("", "0", "false"):
        pytest.fail(f"CI must have it: {what}", pytrace=False)
    pytest.skip(what)
