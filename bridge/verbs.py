"""What each verb does: it imports what it needs, so that none pays for another. Knows both bridge and dashboard."""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.errors import BrokerLost, SettingsError
from bridge.exits import FAILED, LEFT_OVER, OK
from bridge.loading import Loaded, load
from bridge.settings import Settings

if TYPE_CHECKING:
    from bridge.clean import Seen

Verb = Callable[[argparse.Namespace, Loaded], int]


def up(options: argparse.Namespace, loaded: Loaded) -> int:
    from bridge.up.house import Wish, run

    return run(loaded, options.sets, Wish(lan=options.lan, demo=options.demo, seed=getattr(options, "seed", 1)))


def run_bridge(options: argparse.Namespace, loaded: Loaded) -> int:
    from bridge.app import run
    from bridge.logs import configure
    from bridge.memory import frugal
    from dashboard.audit import address

    frugal()
    settings = loaded.settings
    configure(settings.log, settings.data_dir, "bridge")
    address.leave(settings, address.BRIDGE_FILE)
    try:
        return run(settings, lambda: load(options.config, options.sets).settings)
    finally:
        address.forget(settings, address.BRIDGE_FILE)


def run_dashboard(options: argparse.Namespace, loaded: Loaded) -> int:
    from bridge.logs import configure
    from bridge.memory import frugal
    from dashboard.serve import run

    frugal()
    configure(loaded.settings.log, loaded.settings.data_dir, "dashboard")
    return run(loaded.settings)


def check(options: argparse.Namespace, loaded: Loaded) -> int:
    from bridge.up.check import check
    from dashboard.door.look import look

    findings = check(loaded, look)
    for finding in findings:
        print(finding.line())
    return max((finding.code for finding in findings), default=OK)


def audit(options: argparse.Namespace, loaded: Loaded) -> int:
    from bridge.logs import configure
    from dashboard.audit.verb import Wish, run

    configure(loaded.settings.log, loaded.settings.data_dir, "audit")
    named = ("exchange", "symbol", "repair", "json", "ledger")
    times = {"from_": options.after, "to": options.before}
    return run(loaded.settings, Wish(**times, **{name: getattr(options, name) for name in named}))


def healthy(options: argparse.Namespace, loaded: Loaded) -> int:
    from dashboard.healthy.verb import PARTS, Wish, run

    parts = PARTS if options.only is None else (options.only,)
    may = {name: getattr(options, name) for name in ("exchanges_may_fail", "proof_may_wait")}
    return run(loaded.settings, Wish(options.wait, options.json, parts=parts, typed=_named_broker(options), **may))


def symbols(options: argparse.Namespace, loaded: Loaded) -> int:
    from bridge.logs import configure
    from bridge.search import search

    configure(loaded.settings.log, loaded.settings.data_dir, "symbols")
    lines = search(loaded.settings, options.exchange, options.words)
    try:
        for line in lines:
            print(line, flush=True)
    except BrokenPipeError:  # `| head` has seen enough
        sys.stderr.close()
    if not lines:
        words = " ".join(options.words)
        print(f"tickbridge: {options.exchange} has no symbol with {words!r} in it", file=sys.stderr)
    return OK if lines else FAILED


def store_init(options: argparse.Namespace, loaded: Loaded) -> int:
    from dashboard.store.init import init

    for line in init(loaded.settings, _tokens_dir(options, loaded), options.admin_token_file):
        print(line, flush=True)
    return OK


def store_rollup(options: argparse.Namespace, loaded: Loaded) -> int:
    from dashboard.store.rollup import read_span, rollup

    span = read_span(options.span_from, options.span_to)
    print(rollup(loaded.settings, _tokens_dir(options, loaded), span, options.admin_token_file))
    return OK


def _tokens_dir(options: argparse.Namespace, loaded: Loaded) -> Path:
    folder: Path | None = options.tokens_dir
    return folder or loaded.settings.data_dir / "influx"


def _named_broker(options: argparse.Namespace) -> bool:
    """Whether the command line says where the broker is."""
    return any(one.partition("=")[0].strip().lower().startswith("broker.") for one in options.sets)


def backfill(options: argparse.Namespace, loaded: Loaded) -> int:
    import time

    from bridge.backfill import Wish, run
    from dashboard.times import read_time

    try:
        from_ns = read_time(options.since)
        to_ns = time.time_ns() if options.until is None else read_time(options.until)
    except ValueError as error:
        raise SettingsError(str(error)) from error
    symbols = tuple(symbol.upper() for symbol in options.symbols)
    wish = Wish(options.exchange, symbols, from_ns, to_ns, options.interval, options.again)
    with _hinting(loaded):
        print(run(_ways(options, loaded), wish))
    return OK


def _ways(options: argparse.Namespace, loaded: Loaded) -> list[Settings]:
    """The broker of the bridge that runs on the same folder, then the settings' own; that alone if it was typed."""
    from dashboard.audit.address import BRIDGE_FILE, beside

    near = None if _named_broker(options) else beside(loaded.settings, BRIDGE_FILE)
    return [loaded.settings] if near is None or near == loaded.settings else [near, loaded.settings]


@contextmanager
def _hinting(loaded: Loaded) -> Iterator[None]:
    """A broker that does not let us in may be the demo's."""
    from dashboard.audit.address import demo_hint

    try:
        yield
    except BrokerLost as error:
        hint = demo_hint(loaded.settings)
        raise BrokerLost(f"{error}: {hint}" if hint else str(error)) from error


def clean(options: argparse.Namespace, loaded: Loaded) -> int:
    from bridge.clean import run

    with _hinting(loaded):
        seen = run(_ways(options, loaded), remove=options.yes)
    for line in _compared(seen, loaded):
        print(line)
    gone = [one for one in seen.left if not one.busy]
    for one in seen.left:
        done = "left alone" if one.busy else "removed" if options.yes else "left over"
        told = "used within the last 30 s, by another bridge or by one with other settings" if one.busy else one.why
        print(f"{done:<10} {one.topic}  ({told})")
    if not gone:
        print("nothing is left over")
    elif not options.yes:
        print(f"{len(gone)} left over; nothing was removed: `tickbridge clean --yes` does it")
    return OK if options.yes or not gone else LEFT_OVER


def _compared(seen: "Seen", loaded: Loaded) -> list[str]:
    """What was held against what, for a person who must judge whether to remove it."""
    settings, broker = seen.settings, seen.settings.broker
    prefix = f"prefix {settings.prefix}" if settings.prefix else "no prefix"
    user = f" as {broker.user}" if broker.user else ""
    return [
        f"settings   {loaded.file or 'the defaults'} (instance {settings.instance}, {prefix})",
        f"broker     {broker.host}:{broker.port}{user}: {seen.ours} topics of ours, {seen.wanted} wanted",
    ]


def export(options: argparse.Namespace, loaded: Loaded) -> int:
    from bridge.logs import configure
    from dashboard.export import Wish, run

    configure(loaded.settings.log, loaded.settings.data_dir, "export")
    names = "exchange", "symbol", "start", "end", "kind", "interval", "format", "output"
    print(run(loaded.settings, Wish(**{name: getattr(options, name) for name in names})))
    return OK


def simulator(arguments: Sequence[str]) -> int:
    from bridge.simulator.__main__ import main as simulate

    return simulate(arguments)
