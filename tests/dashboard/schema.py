"""As much of JSON Schema as our description uses: a word that this does not know is an error."""

import re
from collections.abc import Mapping
from typing import Any

TYPES: Mapping[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
}
KNOWN = {
    *("$ref", "type", "properties", "required", "items", "enum", "const", "anyOf", "pattern", "minimum", "maximum"),
    *("description", "format", "default", "examples"),
}


def problems(value: Any, schema: Mapping[str, Any], schemas: Mapping[str, Any], at: str = "") -> list[str]:
    """Where and why a value is not what its schema says."""
    assert set(schema) <= KNOWN, set(schema) - KNOWN
    if "$ref" in schema:
        return problems(value, schemas[schema["$ref"].rpartition("/")[2]], schemas, at)
    if "anyOf" in schema:
        each = [problems(value, one, schemas, at) for one in schema["anyOf"]]
        if all(each):
            return [found[0] for found in each]
    if "type" in schema and not _is(value, schema["type"]):
        return [f"{at}: {value!r:.60} is no {schema['type']}"]
    if ("enum" in schema and value not in schema["enum"]) or ("const" in schema and value != schema["const"]):
        return [f"{at}: {value!r:.60} is not allowed"]
    if "pattern" in schema and not re.search(schema["pattern"], value):
        return [f"{at}: {value!r:.60} is not like {schema['pattern']}"]
    found = [f"{at}: has no {name}" for name in schema.get("required", ()) if name not in value]
    for name, of in schema.get("properties", {}).items():
        if name in value:
            found += problems(value[name], of, schemas, f"{at}/{name}")
    for number, item in enumerate(value if "items" in schema else ()):
        found += problems(item, schema["items"], schemas, f"{at}/{number}")
    return found


def _is(value: Any, types: str | list[str]) -> bool:
    return any(_is_one(value, one) for one in ([types] if isinstance(types, str) else types))


def _is_one(value: Any, name: str) -> bool:
    if name in ("number", "integer"):
        allowed = int if name == "integer" else (int, float)
        return isinstance(value, allowed) and not isinstance(value, bool)
    return isinstance(value, TYPES[name])


def strangers(value: Any, schema: Mapping[str, Any], schemas: Mapping[str, Any], at: str = "") -> list[str]:
    """Fields that the schema does not name, where it names any."""
    if "$ref" in schema:
        return strangers(value, schemas[schema["$ref"].rpartition("/")[2]], schemas, at)
    if isinstance(value, list):
        return [one for item in value for one in strangers(item, schema.get("items", {}), schemas, at)]
    if not isinstance(value, dict) or "properties" not in schema:
        return []
    known = schema["properties"]
    found = [f"{at}/{name}" for name in value if name not in known]
    return found + [
        one for name in value if name in known for one in strangers(value[name], known[name], schemas, f"{at}/{name}")
    ]
