"""Rows as files: CSV with the digits as stored, Parquet with types that programs compute with."""

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from bridge.errors import SettingsError
from dashboard.tables import COLUMNS, cells, csv_head, csv_lines


class Writer(Protocol):
    """One file that is being written."""

    def write(self, rows: Sequence[bytes]) -> None: ...
    def close(self) -> None: ...


class CsvFile:
    """The same as the API's CSV."""

    def __init__(self, kind: str, path: Path) -> None:
        self._kind = kind
        self._file = path.open("wb")
        self._file.write(csv_head(kind))

    def write(self, rows: Sequence[bytes]) -> None:
        self._file.write(csv_lines(self._kind, rows))

    def close(self) -> None:
        self._file.close()


class ParquetFile:
    """Times are `timestamp[ns, UTC]`, prices and sizes float64: pandas computes with those, and a decimal has one
    number of places for all symbols, which no exchange has. Who needs every digit takes CSV.

    Raises SettingsError without pyarrow.
    """

    def __init__(self, kind: str, path: Path) -> None:
        self._kind = kind
        self._arrow = _pyarrow("pyarrow")
        self._types = {name: _type(self._arrow, name) for name in COLUMNS[kind]}
        self._file = _pyarrow("pyarrow.parquet").ParquetWriter(path, self._arrow.schema(list(self._types.items())))

    def write(self, rows: Sequence[bytes]) -> None:
        if not rows:
            return
        columns = zip(self._types.items(), zip(*cells(self._kind, rows), strict=True), strict=True)
        arrays = [self._array(name, of, texts) for (name, of), texts in columns]
        self._file.write_table(self._arrow.table(arrays, schema=self._file.schema))

    def _array(self, name: str, of: Any, texts: Sequence[str]) -> Any:
        read = _reader(name)
        return self._arrow.array([read(text) if text else None for text in texts], of)

    def close(self) -> None:
        self._file.close()


FORMATS: Mapping[str, Callable[[str, Path], Writer]] = {"csv": CsvFile, "parquet": ParquetFile}

_TEXTS = ("id", "side", "fill", "source", "seq")
"""`seq` is text, because an exchange's may be longer than 64 bits."""
_WHOLE = ("run", "n", "fill_n")


def _reader(name: str) -> Callable[[str], Any]:
    if name in _TEXTS:
        return str
    if name in _WHOLE or name.endswith("_ns"):
        return int
    return "true".__eq__ if name == "built" else float


def _type(arrow: Any, name: str) -> Any:
    if name.endswith("_ns"):
        return arrow.timestamp("ns", tz="UTC")
    types: dict[Any, Any] = {str: arrow.string(), int: arrow.int64(), float: arrow.float64()}
    return types.get(_reader(name), arrow.bool_())


def _pyarrow(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        cure = f"{sys.executable} -m pip install pyarrow"
        raise SettingsError(f"--format parquet needs pyarrow: {cure}") from None
