"""`tickbridge symbols`: an exchange's symbols by parts of their names, fetched by REST or else as last kept."""

import asyncio
from collections.abc import Iterable, Sequence

from bridge.catalogues import load
from bridge.errors import SettingsError
from bridge.events import Instrument
from bridge.exchanges import EXCHANGES
from bridge.exchanges.base import Hosts
from bridge.mistakes import nearest
from bridge.rest import Rest
from bridge.settings import Settings


def search(settings: Settings, exchange: str, words: Sequence[str]) -> list[str]:
    """One line for every symbol that holds all the words. Raises SettingsError, FeedLost or FrameError."""
    return [line(one) for one in matching(asyncio.run(_instruments(settings, exchange)), words)]


def matching(instruments: Iterable[Instrument], words: Sequence[str]) -> list[Instrument]:
    """Those whose symbol (or the exchange's own name) holds every word, whatever its case; sorted."""
    wanted = [word.upper() for word in words]
    found = [one for one in instruments if all(word in one.symbol or word in one.native.upper() for word in wanted)]
    return sorted(found, key=lambda one: one.symbol)


def line(one: Instrument) -> str:
    """A symbol, with what is worth knowing beside it."""
    told = [f"{one.symbol:<20}"]
    if one.native != one.symbol:
        told.append(f"({one.native})")
    if one.price_step:
        told.append(f"price step {one.price_step}")
    if one.status != "trading":
        told.append(one.status)
    return " ".join(told).rstrip()


async def _instruments(settings: Settings, exchange: str) -> Iterable[Instrument]:
    kind = EXCHANGES.get(exchange)
    if kind is None:
        close = nearest(exchange, list(EXCHANGES))
        cure = f"did you mean {close}?" if close else f"there are {', '.join(EXCHANGES)}"
        raise SettingsError(f"{exchange} is no exchange here: {cure}")
    own = getattr(settings.exchanges, exchange)
    hosts = Hosts(own.rest_host or kind.hosts.rest, own.ws_host or kind.hosts.ws)
    async with Rest(kind.limits) as rest:
        catalogue, _, _ = await load(kind, hosts, rest, settings.data_dir / "bridge" / "catalogues")
    return catalogue.by_symbol.values()
