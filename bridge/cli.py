"""The verbs. The top of the house: the only file that knows both bridge and dashboard."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bridge import __version__
from bridge.errors import SettingsError, TickbridgeError
from bridge.loading import Loaded, load

OK, FAILED, WRONG, DIED = 0, 1, 2, 3
EXIT_CODES = {
    OK: "all went well (also: stopped by Ctrl-C)",
    FAILED: "it failed; one line says why and what to do",
    WRONG: "wrong settings or usage; nothing was started",
    DIED: "a task inside ended that should not have; started again, it may go on",
}
AUDIT_CODES = {
    0: "complete",
    1: "something is missing (or the audit failed: then one line says why)",
    3: "complete up to a time that is told, unproven after it",
}
EXAMPLES = "examples:\n  tickbridge demo\n  tickbridge up --lan\n  tickbridge symbols kucoin doge\n"
EPILOG = "exit codes:\n" + "\n".join(f"  {code}  {text}" for code, text in EXIT_CODES.items())

Verb = Callable[[argparse.Namespace, Loaded], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["simulator"]:
        return _simulator(given[1:])
    options = parser().parse_args(given)
    try:
        return _run(options)
    except SettingsError as error:
        return _say(error, WRONG)
    except TickbridgeError as error:
        return _say(error, FAILED)
    except KeyboardInterrupt:
        return OK


def _run(options: argparse.Namespace) -> int:
    options.sets = _sets(options)
    loaded = load(options.config, options.sets)
    verb: Verb = options.verb
    return verb(options, loaded)


def _say(error: Exception, code: int) -> int:
    for line in str(error).splitlines():
        print(f"tickbridge: {line}", file=sys.stderr)
    return code


def _sets(options: argparse.Namespace) -> list[str]:
    """`--set`, and the handy options, which are settings as well."""
    handy = {
        "data_dir": options.data_dir,
        "log.level": options.log_level,
        "dashboard.port": getattr(options, "port", None),
        "influx.url": getattr(options, "url", None),
        "influx.org": getattr(options, "org", None),
        "exchanges.kucoin.whole_market": getattr(options, "whole_market", None),
        "exchanges.binance.whole_market": getattr(options, "whole_market", None),
    }
    return [*options.set, *(f"{name}={value}" for name, value in handy.items() if value is not None)]


# --- the verbs: each imports what it needs, so that none pays for another ---------------------------------


def _up(options: argparse.Namespace, loaded: Loaded) -> int:
    from bridge.up.house import Wish, run

    return run(loaded, options.sets, Wish(lan=options.lan, demo=options.demo, seed=getattr(options, "seed", 1)))


def _bridge(options: argparse.Namespace, loaded: Loaded) -> int:
    from bridge.app import run
    from bridge.logs import configure
    from dashboard.audit import address

    settings = loaded.settings
    configure(settings.log, settings.data_dir, "bridge")
    address.leave(settings, address.BRIDGE_FILE)
    try:
        return run(settings, lambda: load(options.config, options.sets).settings)
    finally:
        address.forget(settings, address.BRIDGE_FILE)


def _dashboard(options: argparse.Namespace, loaded: Loaded) -> int:
    from bridge.logs import configure
    from dashboard.serve import run

    configure(loaded.settings.log, loaded.settings.data_dir, "dashboard")
    return run(loaded.settings)


def _check(options: argparse.Namespace, loaded: Loaded) -> int:
    from bridge.up.check import check

    findings = check(loaded)
    for finding in findings:
        print(finding.line())
    return max((finding.code for finding in findings), default=OK)


def _audit(options: argparse.Namespace, loaded: Loaded) -> int:
    from bridge.logs import configure
    from dashboard.audit.verb import Wish, run

    configure(loaded.settings.log, loaded.settings.data_dir, "audit")
    named = ("exchange", "symbol", "repair", "json", "ledger")
    times = {"from_": options.after, "to": options.before}
    return run(loaded.settings, Wish(**times, **{name: getattr(options, name) for name in named}))


def _symbols(options: argparse.Namespace, loaded: Loaded) -> int:
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


def _store_init(options: argparse.Namespace, loaded: Loaded) -> int:
    from dashboard.store.init import init

    for line in init(loaded.settings, _tokens_dir(options, loaded), options.admin_token_file):
        print(line, flush=True)
    return OK


def _store_rollup(options: argparse.Namespace, loaded: Loaded) -> int:
    from dashboard.store.rollup import read_span, rollup

    span = read_span(options.span_from, options.span_to)
    print(rollup(loaded.settings, _tokens_dir(options, loaded), span, options.admin_token_file))
    return OK


def _tokens_dir(options: argparse.Namespace, loaded: Loaded) -> Path:
    folder: Path | None = options.tokens_dir
    return folder or loaded.settings.data_dir / "influx"


def _backfill(options: argparse.Namespace, loaded: Loaded) -> int:
    import time

    from bridge.backfill import Wish, run
    from dashboard.audit.address import BRIDGE_FILE, beside
    from dashboard.times import read_time

    try:
        from_ns = read_time(options.since)
        to_ns = time.time_ns() if options.until is None else read_time(options.until)
    except ValueError as error:
        raise SettingsError(str(error)) from error
    symbols = tuple(symbol.upper() for symbol in options.symbols)
    typed = any(one.partition("=")[0].strip().lower().startswith("broker.") for one in options.sets)
    near = None if typed else beside(loaded.settings, BRIDGE_FILE)
    ways = [loaded.settings] if near in (None, loaded.settings) else [near, loaded.settings]
    print(run(ways, Wish(options.exchange, symbols, from_ns, to_ns, options.interval, options.again)))
    return OK


def _export(options: argparse.Namespace, loaded: Loaded) -> int:
    from bridge.logs import configure
    from dashboard.export import Wish, run

    configure(loaded.settings.log, loaded.settings.data_dir, "export")
    names = "exchange", "symbol", "start", "end", "kind", "interval", "format", "output"
    print(run(loaded.settings, Wish(**{name: getattr(options, name) for name in names})))
    return OK


def _simulator(arguments: Sequence[str]) -> int:
    from bridge.simulator.__main__ import main as simulate

    return simulate(arguments)


# --- what can be typed ----------------------------------------------------------------------------------


def parser() -> argparse.ArgumentParser:
    """All verbs and options, with their help."""
    top = argparse.ArgumentParser(
        prog="tickbridge",
        description="Your own crypto prices on your own MQTT broker, page and history.",
        epilog=f"{EXAMPLES}\n{EPILOG}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"tickbridge {__version__}")
    verbs = top.add_subparsers(title="verbs", metavar="VERB", required=True)
    up = _verb(verbs, "up", _up, "broker, bridge and page, all from this one command", ["", "--lan", "--whole-market"])
    demo = _verb(verbs, "demo", _up, "the same with invented prices: no network, no account", ["", "--port 8080"])
    for one in (up, demo):
        one.add_argument(
            "--lan", action="store_true", help="let other machines see the page and the broker, with passwords"
        )
        one.add_argument("--port", type=int, help="the page's port (default 8000)")
        one.set_defaults(demo=one is demo)
    up.add_argument("--whole-market", action="store_const", const="true", help="all symbols of every exchange")
    demo.add_argument("--seed", type=int, default=1, help="another number invents other prices")
    _verb(verbs, "run", _bridge, "the bridge alone, to a broker of yours", ["--set broker.host=192.168.1.10"])
    _verb(verbs, "dashboard", _dashboard, "the page and the history alone", ["--set dashboard.port=8080"])
    _verb(
        verbs,
        "check",
        _check,
        "look at settings, folders and broker without starting anything",
        ["", "--config my.toml"],
    )
    _audit_options(
        _verb(
            verbs,
            "audit",
            _audit,
            "prove that the history holds what was published, or name what is missing",
            ["", "--from 2026-11-20T00:00Z --to 2026-11-21T00:00Z", "--repair", "--json"],
        )
    )
    symbols = _verb(verbs, "symbols", _symbols, "search an exchange's symbols", ["kucoin doge", "binance btc usdc"])
    symbols.add_argument("exchange", metavar="EXCHANGE")
    symbols.add_argument("words", metavar="WORD", nargs="*", help="each must be part of the symbol")
    _store(verbs)
    _backfill_options(
        _verb(
            verbs,
            "backfill",
            _backfill,
            "have the running bridge fetch candles of the past",
            [
                "kucoin BTC-USDT --from 2026-01-01 --to 2026-02-01",
                "binance '*-USDT' --from 2026-11-01 --interval 1h",
                "kucoin --from 2026-11-20",
            ],
        )
    )
    _export_options(
        _verb(
            verbs,
            "export",
            _export,
            "write a range of the history to a file, also while the dashboard runs",
            [
                "kucoin BTC-USDT --from 2026-11-01 --interval 1h",
                "binance ETH-USDT --from 2026-11-21T08:00 --to 2026-11-21T09:00 --kind trades -o eth.parquet",
            ],
        )
    )
    simulator = verbs.add_parser("simulator", help="fake exchanges on this machine, for tests", add_help=False)
    simulator.set_defaults(verb=None)
    return top


def _export_options(export: argparse.ArgumentParser) -> None:
    export.add_argument("exchange", metavar="EXCHANGE")
    export.add_argument("symbol", metavar="SYMBOL")
    export.add_argument("--from", dest="start", metavar="TIME", required=True, help="ISO 8601 (UTC) or nanoseconds")
    export.add_argument("--to", dest="end", metavar="TIME", help="exclusive (default: now)")
    export.add_argument("--kind", choices=("prices", "trades", "candles"), help="default: prices")
    export.add_argument("--interval", metavar="INTERVAL", help="of candles: 1m (default), 5m, 15m, 30m, 1h, 4h, 1d")
    export.add_argument("--format", choices=("csv", "parquet"), help="default: as the file's name ends, else csv")
    export.add_argument("-o", dest="output", type=Path, metavar="FILE", help="default: EXCHANGE-SYMBOL-KIND.csv")


def _audit_options(audit: argparse.ArgumentParser) -> None:
    audit.add_argument("--from", dest="after", metavar="TIME", help="rows from then on (2026-11-21T08:00Z or ns)")
    audit.add_argument("--to", dest="before", metavar="TIME", help="rows before then")
    audit.add_argument("--exchange", help="one exchange only")
    audit.add_argument("--symbol", help="one symbol only, like BTC-USDT")
    audit.add_argument("--repair", action="store_true", help="have the bridge send again what is missing")
    audit.add_argument("--json", action="store_true", help="the whole report as JSON")
    audit.add_argument("--ledger", type=Path, metavar="FILE", help="a bridge's ledger.db, instead of asking a bridge")
    audit.epilog = f"{audit.epilog}\n\nexit codes of audit:\n" + "\n".join(
        f"  {code}  {text}" for code, text in AUDIT_CODES.items()
    )


def _store(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    text = "make an InfluxDB ready, or its roll-ups anew"
    acts = verbs.add_parser("store", help=text, description=text).add_subparsers(metavar="ACT", required=True)
    init = _verb(
        acts, "init", _store_init, "make buckets, tokens and down-sampling tasks", ["", "--org home"], "store "
    )
    days = ["--from 2026-01-01 --to 2026-02-01"]
    rollup = _verb(acts, "rollup", _store_rollup, "make the roll-ups of a span of time anew", days, "store ")
    for one in (init, rollup):
        one.add_argument("--url", metavar="URL", help="InfluxDB's address (influx.url)")
        one.add_argument("--org", metavar="ORG", help="the organization (influx.org)")
        one.add_argument("--tokens-dir", type=Path, metavar="DIR", help="where the tokens are (<data_dir>/influx)")
        one.add_argument("--admin-token-file", type=Path, metavar="FILE", help="an all-access token of yours")
    rollup.add_argument("--from", dest="span_from", required=True, metavar="TIME", help="ISO 8601, UTC")
    rollup.add_argument("--to", dest="span_to", required=True, metavar="TIME", help="ISO 8601, UTC")


def _backfill_options(backfill: argparse.ArgumentParser) -> None:
    add = backfill.add_argument
    add("exchange", metavar="EXCHANGE")
    add("symbols", metavar="SYMBOL", nargs="*", help="or a pattern like '*-USDT'; none: all of the exchange")
    add("--from", dest="since", metavar="TIME", required=True, help="2026-11-21, 2026-11-21T08:00Z or nanoseconds; UTC")
    add("--to", dest="until", metavar="TIME", help="exclusive; by default now")
    add("--interval", metavar="INTERVAL", default="1m", help="1m (default), 5m, 15m, 30m, 1h, 4h or 1d")
    add("--again", action="store_true", help="also what was told before, for a store that has lost it")


def _verb(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    verb: Verb,
    text: str,
    examples: list[str],
    under: str = "",
) -> argparse.ArgumentParser:
    lines = "\n".join(f"  tickbridge {under}{name} {example}".rstrip() for example in examples)
    made = verbs.add_parser(
        name,
        help=text,
        description=text[0].upper() + text[1:] + ".",
        epilog=f"examples:\n{lines}\n\n{EPILOG}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--config", type=Path, metavar="FILE", help="the settings file")
    made.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="any setting, repeatable")
    made.add_argument("--data-dir", metavar="FOLDER", help="where everything is kept")
    made.add_argument("--log-level", metavar="LEVEL", help="debug, info, warning or error")
    made.set_defaults(verb=verb)
    return made


if __name__ == "__main__":
    sys.exit(main())
