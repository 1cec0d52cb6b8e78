"""Looking at the parts that run: a connection to the broker that listens, and a question to the page."""

import asyncio
import json
import secrets
import urllib.request
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.error import URLError

import aiomqtt
import msgspec

from bridge.errors import SettingsError
from bridge.settings import Settings
from bridge.tls import words
from bridge.topics import Topics
from dashboard.broker import Inbox, certificate_until_s, passing_client, refused_topics
from dashboard.door.certificate import ends_soon, trusting
from dashboard.healthy.verdicts import Finding, Heard, wrong

PAGE_S = 5.0
MOST_BYTES = 100_000
MOST_STATES = 1_000
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Ear:
    """Listens until cancelled, whatever the broker does; `problem` says why it hears nothing."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topics = Topics(settings.prefix)
        self.heard = Heard()
        self.problem = "not connected yet"

    async def run(self) -> None:
        while True:
            try:
                await self._listen()
            except (aiomqtt.MqttError, OSError) as error:
                self.problem = words(error, self._settings.broker)
            except SettingsError as error:
                self.problem = f"{error}: run this as the service's user or as root"
            await asyncio.sleep(0.5)

    async def _listen(self) -> None:
        async with client(self._settings) as line:
            filters = [f"{self._topics.prefix}{root}/#" for root in ("health", "latest")]
            if refused := refused_topics(filters, await line.subscribe([(one, 0) for one in filters])):
                self.problem = f"refuses {', '.join(refused)}: see its acl"
                await asyncio.Event().wait()
            self.problem = ""
            async for message in line.messages:
                self._take(message.topic.value, bytes(message.payload), retained=bool(message.retain))

    def _take(self, topic: str, payload: bytes, *, retained: bool) -> None:
        root, _, rest = topic.removeprefix(self._topics.prefix).partition("/")
        if root == "latest":
            if not retained:
                self.heard.priced.add(rest.partition("/")[0])
            return
        with suppress(*UNREADABLE):
            if topic in self.heard.states or len(self.heard.states) < MOST_STATES:
                self.heard.states[topic] = _decode(payload)
                if not retained:
                    self.heard.live.add(topic)


def client(settings: Settings) -> aiomqtt.Client:
    """A connection of its own, without a will. Raises SettingsError if the password's file cannot be read."""
    return passing_client(settings.broker, f"{settings.instance}-healthy-{secrets.token_hex(4)}", Inbox())


async def lets_in(settings: Settings, who: str) -> Finding:
    """Whether the broker takes this user."""
    broker = settings.broker
    place = f"{broker.host}:{broker.port} as {broker.user or 'nobody in particular'}"
    try:
        async with client(settings) as line:
            until_s = certificate_until_s(line)
        soon = ends_soon(until_s) if until_s is not None else None
        return Finding(who, True, f"{place} is let in" + (f"; {soon}" if soon else ""))
    except (aiomqtt.MqttError, OSError) as error:
        knows_us_not = isinstance(error, aiomqtt.MqttCodeError) and "uthori" in str(error)
        cure = "does it know this user?" if knows_us_not else "does the broker run, and does it know this user?"
        return wrong(who, f"{place}: {words(error, broker)}", cure)
    except SettingsError as error:
        return wrong(who, str(error), "run this as the service's user or as root")


async def ask_page(settings: Settings) -> dict[str, Any] | str:
    """What `/healthz` says, or why it does not."""
    page = settings.dashboard
    address = f"{page.scheme}://{_host(page.host)}:{page.port}"
    try:
        return await asyncio.to_thread(_ask_page, address, page.cert_file)
    except URLError as error:
        why = getattr(error.reason, "strerror", None) or error.reason
        return f"{address} does not answer: {why}"
    except (OSError, ValueError) as error:
        return str(error)


def _ask_page(address: str, cert_file: Path | None) -> dict[str, Any]:
    """What it says of itself; with https only if it shows the certificate of the settings."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), *_https(cert_file))
    try:
        with opener.open(f"{address}/healthz", timeout=PAGE_S) as answer:
            body = answer.read(MOST_BYTES)
    except urllib.request.HTTPError as refusal:
        with refusal:
            body = refusal.read(MOST_BYTES)
    told = json.loads(body)
    if not isinstance(told, dict) or "store" not in told:
        raise ValueError(f"{address} is no Tickbridge page")
    return told


def _https(cert_file: Path | None) -> list[urllib.request.HTTPSHandler]:
    return [] if cert_file is None else [urllib.request.HTTPSHandler(context=trusting(cert_file))]


def _host(host: str) -> str:
    """Where a page that listens there is reached from this machine."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        address = ip_address("::1" if address.version == 6 else "127.0.0.1")
    return f"[{address}]" if address.version == 6 else str(address)
