"""The line to InfluxDB: asks in Flux, with values beside the text and never in it, and says plainly what is wrong.

Values travel as the syntax tree that /api/v2/query takes beside a query's text (`extern`; measured on 2.7: a value is
one literal, whatever stands in it), so nothing that a user sends is ever parsed as Flux.
"""

import csv
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import aiohttp
import msgspec
from influxdb_client.client.flux_csv_parser import FluxCsvParserException
from influxdb_client.client.influxdb_client_async import InfluxDBClientAsync
from influxdb_client.rest import ApiException

from bridge.errors import SettingsError, StoreError
from bridge.settings import Influx as Where
from dashboard.history.influx.tables import Table, read_tables
from dashboard.history.influx.trouble import away, refused, unreadable, wrong_version

Value = str | int | timedelta
UNREADABLE = (ValueError, LookupError, csv.Error, msgspec.MsgspecError, FluxCsvParserException)
"""What reading an answer raises that no InfluxDB gave: a proxy's page of welcome, for one."""
MOST_TEXT = 1000
"""No name that is stored is longer; MQTT allows 65,535 bytes in a topic."""


class Client:
    """One HTTP session, made when it is first used. Every method raises StoreError."""

    def __init__(self, where: Where) -> None:
        self.where = where
        self._session: InfluxDBClientAsync | None = None
        self._refused = False

    def bucket(self, name: str) -> str:
        return self.where.bucket_prefix + name

    async def ask(self, flux: str, **values: Value) -> list[Table]:
        """Every table of the answer. `values` are the names that `flux` uses and does not define."""
        with self._telling():
            return read_tables(await self._api().query_api().query_raw(flux, params=_checked(values)))

    async def stream(self, flux: str, **values: Value) -> AsyncIterator[dict[str, Any]]:
        """The answer's rows one after the other, however many they are."""
        with self._telling():
            records = await self._api().query_api().query_stream(flux, params=_checked(values))
            async for record in records:
                yield record.values

    async def newest(self, bucket: str, measurements: str) -> list[dict[str, Any]]:
        """The newest row of each series of a bucket, its fields as InfluxDB's JSON has them.

        In InfluxQL, which has no values here: for 1,300 symbols it costs influxd a tenth of what Flux does (measured).
        """
        series = await self._influxql(bucket, f"SELECT * FROM {measurements} GROUP BY * ORDER BY time DESC LIMIT 1")
        return _rows(series)

    async def types(self, bucket: str) -> list[tuple[str, str, str]]:
        """Measurement, field and type of all that was ever written into a bucket; what differs comes twice."""
        series = await self._influxql(bucket, "SHOW FIELD KEYS")
        return [(one.name, str(field), str(kind)) for one in series for field, kind in one.values]

    async def _influxql(self, bucket: str, text: str) -> "list[_Series]":
        with self._telling():
            told = await self._call("/query", {"db": self.bucket(bucket), "q": text, "epoch": "ns"})
            answer = _decode(told).results[0]
        if answer.error:
            raise refused(self.where, 200, answer.error)
        return answer.series

    async def check(self) -> None:
        """Whether an InfluxDB 2 is there. Raises StoreError. After a refused token a new one is looked for."""
        if self._refused:
            await self.close()
            self._refused = False
        with self._telling():
            session = self._api().api_client.rest_client.pool_manager
            async with session.get(f"{self.where.url}/ping") as answer:
                problem = wrong_version(self.where, answer.headers.get("x-influxdb-version", ""))
        if problem is not None:
            raise problem

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _call(self, path: str, query: dict[str, str]) -> bytes:
        session = self._api().api_client.rest_client.pool_manager
        headers = {"authorization": f"Token {self.where.secret() or ''}", "accept": "application/json"}
        async with session.post(f"{self.where.url}{path}", data=query, headers=headers) as answer:
            body: bytes = await answer.read()
            if answer.status != 200:
                raise refused(self.where, answer.status, body.decode("utf-8", "replace"))
            return body

    def _api(self) -> InfluxDBClientAsync:
        if self._session is None:
            where = self.where
            milliseconds = int(where.timeout_s * 1000)
            self._session = InfluxDBClientAsync(
                where.url, where.secret() or "", org=where.org, timeout=milliseconds, enable_gzip=False
            )
        return self._session

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Turn what the client raises into a StoreError that says what to do."""
        try:
            yield
        except ApiException as error:
            self._refused = error.status in (401, 403)
            body = error.body.decode("utf-8", "replace") if isinstance(error.body, bytes) else str(error.body)
            raise refused(self.where, int(error.status or 0), body) from error
        except TimeoutError as error:
            raise away(self.where, f"no answer within {self.where.timeout_s:g} s (influx.timeout_s)") from error
        except (aiohttp.ClientError, OSError) as error:
            raise away(self.where, _reason(error)) from error
        except SettingsError as error:
            raise StoreError(str(error)) from error
        except UNREADABLE as error:
            raise unreadable(self.where) from error


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _checked(values: dict[str, Value]) -> dict[str, Value]:
    """The values, none too long to be a stored name: an endless one could only cost."""
    return {name: value[:MOST_TEXT] if isinstance(value, str) else value for name, value in values.items()}


class _Series(msgspec.Struct):
    name: str
    columns: list[str]
    values: list[list[Any]]
    tags: dict[str, str] = {}


class _Result(msgspec.Struct):
    series: list[_Series] = []
    error: str = ""


class _Answer(msgspec.Struct):
    results: list[_Result]


_decode = msgspec.json.Decoder(_Answer).decode


def _rows(series: list[_Series]) -> list[dict[str, Any]]:
    """Each series' rows with its tags; what a row does not tell is absent."""
    return [
        {**one.tags, **{name: value for name, value in zip(one.columns, row, strict=True) if value is not None}}
        for one in series
        for row in one.values
    ]
