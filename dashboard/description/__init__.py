"""The API described as OpenAPI 3.1: `/api/v1/openapi.json`.

`schemas.py`: what rows and documents look like; `parameters.py`: what may be asked; `paths.py`: the addresses. A new
address is one entry there: a test compares the routes, their parameters and their answers with it.
"""

from importlib.metadata import version
from typing import Any

from dashboard.description.paths import PATHS
from dashboard.description.schemas import SCHEMAS

ABOUT = (
    "Prices, trades, candles and gaps as Tickbridge stored them, and the state of things. "
    "Numbers have the digits that the exchange sent: some readers of JSON round them to 64-bit floats. "
    "Times are integer nanoseconds since the epoch, UTC, and need 64-bit integers. "
    "Fields may be added: readers must accept those that they do not know. "
    "Any address may answer 401 (who must log in and did not), 421 (a host name that is not known here: see "
    "dashboard.hosts), 429 with `retry-after` (too many questions a minute) and 503 with `retry-after` "
    "(too many questions at once). "
    "Programs log in by a token: `Authorization: Bearer ...`."
)


def description() -> dict[str, Any]:
    """The whole description."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tickbridge",
            "version": version("tickbridge"),
            "description": ABOUT,
            "license": {"name": "MIT"},
        },
        "servers": [{"url": "/"}],
        "paths": PATHS,
        "components": {"schemas": SCHEMAS, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{"token": []}, {}],
    }
