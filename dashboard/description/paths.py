"""Every address of the API, as OpenAPI says it. Pure."""

from typing import Any

from dashboard import errors_api
from dashboard.description.parameters import TROUBLE, path, query
from dashboard.description.schemas import TEXT, TIME, ref
from dashboard.parameters import GAPS_PARAMETERS, HISTORY_PARAMETERS, LIST_PARAMETERS
from dashboard.stream.hub import MOST_FILTERS, MOST_READERS
from dashboard.stream.socket import MOST_REQUEST_BYTES, PATH, TOO_SLOW

_PROBLEMS = {
    400: "A parameter is wrong; `error` says which and why.",
    403: "A page of another site.",
    404: "There is no such symbol.",
    426: "This is a websocket.",
    503: "It cannot be answered now; `retry-after` may say when to ask again.",
}
_CSV_HEADERS = {
    "x-next": {"schema": TIME, "description": "CSV: where more begins"},
    "link": {"schema": TEXT, "description": 'CSV: the address of the next page (`rel="next"`)'},
    "x-interval": {"schema": TEXT, "description": "CSV of candles: their interval"},
}


def _get(name: str, summary: str, schema: str, problems: tuple[int, ...] = (), **more: Any) -> dict[str, Any]:
    """One GET, with JSON of this schema; CSV, too, where there is a `format`."""
    content: dict[str, Any] = {"application/json": {"schema": ref(schema)}}
    answer: dict[str, Any] = {"description": summary, "content": content}
    if any(one["name"] == "format" for one in more.get("parameters", ())):
        content["text/csv"] = {"schema": {"type": "string"}}
        answer["headers"] = _CSV_HEADERS
    return {
        "get": {
            "operationId": name,
            "summary": summary,
            **more,
            "responses": {"200": answer, **{str(code): _problem(code) for code in problems}},
        }
    }


def _problem(code: int) -> dict[str, Any]:
    return {"description": _PROBLEMS[code], "content": {"application/json": {"schema": ref("Problem")}}}


PATHS: dict[str, Any] = {
    "/api/v1/history/{exchange}/{symbol}": _get(
        "history",
        "Rows or candles of one symbol, oldest first",
        "History",
        (400, 404, 503),
        parameters=[*path(exchange="in small letters: kucoin", symbol="BTC-USDT"), *query(HISTORY_PARAMETERS)],
    ),
    "/api/v1/latest": _get(
        "latest", "The newest price of every symbol", "LatestRows", (400, 503), parameters=query(LIST_PARAMETERS)
    ),
    "/api/v1/symbols": _get(
        "symbols", "The symbols that are told or stored", "Symbols", (400, 503), parameters=query(LIST_PARAMETERS)
    ),
    "/api/v1/gaps": _get("gaps", "What is missing", "Gaps", (400, 503), parameters=query(GAPS_PARAMETERS)),
    "/api/v1/errors": _get(
        "errors", "What was refused, and why", "Errors", (400, 503), parameters=query(errors_api.PARAMETERS, TROUBLE)
    ),
    "/api/v1/health": _get("health", "The states of feeds, bridge, recorder and store", "Health"),
    "/api/v1/audit": _get("audit", "What is proven to be stored, and each range that is missing", "Audit", (400, 503)),
    "/api/v1/connect": _get("connect", "How the page reaches the broker", "Connect"),
    "/api/v1/openapi.json": {
        "get": {
            "operationId": "openapi",
            "summary": "This description",
            "responses": {
                "200": {"description": "OpenAPI 3.1", "content": {"application/json": {"schema": {"type": "object"}}}}
            },
        }
    },
    PATH: {
        "get": {
            "operationId": "stream",
            "summary": "A websocket: live topics for programs without MQTT",
            "description": f"Texts of JSON: requests StreamRequest (at most {MOST_REQUEST_BYTES} bytes, {MOST_FILTERS} "
            "filters), answers StreamAnswer, messages StreamMessage, and one with only `broker` when the dashboard's "
            f"own line comes or goes. At most {MOST_READERS} readers; too slow a one is closed with code {TOO_SLOW}.",
            "responses": {
                "101": {"description": "The websocket begins."},
                **{str(code): _problem(code) for code in (403, 426, 503)},
            },
        }
    },
    "/healthz": {
        "get": {
            "operationId": "healthz",
            "summary": "For a monitor: 200 while the dashboard does its work",
            "responses": {
                str(code): {"description": text, "content": {"application/json": {"schema": ref("Well")}}}
                for code, text in ((200, "All is well."), (503, "The store cannot be written."))
            },
        }
    },
}
