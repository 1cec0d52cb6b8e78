"""What can be typed: verbs, options, examples and help."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from bridge import __version__, verbs
from bridge.exits import AUDIT_CODES, CLEAN_CODES, EXIT_CODES

EXAMPLES = "examples:\n  tickbridge demo\n  tickbridge up --lan\n  tickbridge symbols kucoin doge\n"
EPILOG = "exit codes:\n" + "\n".join(f"  {code}  {text}" for code, text in EXIT_CODES.items())
FIRST_STEPS = """tickbridge: say what to do. First steps:
  tickbridge demo    see it move: invented prices, no network
  tickbridge up      the real exchanges; then open the page it names
  tickbridge check   are my settings right?
  tickbridge --help  everything else
"""

MOST_WAIT_S = 3600.0

Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def parser() -> argparse.ArgumentParser:
    """All verbs and options, with their help."""
    top = argparse.ArgumentParser(
        prog="tickbridge",
        description="Your own crypto prices on your own MQTT broker, page and history.",
        epilog=f"{EXAMPLES}\n{EPILOG}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"tickbridge {__version__}")
    add = top.add_subparsers(title="verbs", metavar="VERB", required=True)
    up = _verb(
        add, "up", verbs.up, "broker, bridge and page, all from this one command", ["", "--lan", "--whole-market"]
    )
    demo = _verb(add, "demo", verbs.up, "the same with invented prices: no network, no account", ["", "--port 8080"])
    for one in (up, demo):
        one.add_argument(
            "--lan", action="store_true", help="let other machines see the page and the broker, with passwords"
        )
        one.add_argument("--port", type=int, help="the page's port (default 8000)")
        one.set_defaults(demo=one is demo)
    up.add_argument("--whole-market", action="store_const", const="true", help="all symbols of every exchange")
    demo.add_argument("--seed", type=int, default=1, help="another number invents other prices")
    _verb(add, "run", verbs.run_bridge, "the bridge alone, to a broker of yours", ["--set broker.host=192.168.1.10"])
    _verb(add, "dashboard", verbs.run_dashboard, "the page and the history alone", ["--set dashboard.port=8080"])
    _verb(
        add,
        "check",
        verbs.check,
        "look at settings, folders and broker without starting anything",
        ["", "--config my.toml"],
    )
    _healthy_options(
        _verb(
            add,
            "healthy",
            verbs.healthy,
            "whether bridge and dashboard of this machine work, or what is wrong and its cure",
            ["", "--wait 60 --exchanges-may-fail", "--only bridge --json"],
        )
    )
    _audit_options(
        _verb(
            add,
            "audit",
            verbs.audit,
            "prove that the history holds what was published, or name what is missing",
            ["", "--from 2026-11-20T00:00Z --to 2026-11-21T00:00Z", "--repair", "--json"],
        )
    )
    symbols = _verb(add, "symbols", verbs.symbols, "search an exchange's symbols", ["kucoin doge", "binance btc usdc"])
    symbols.add_argument("exchange", metavar="EXCHANGE")
    symbols.add_argument("words", metavar="WORD", nargs="*", help="each must be part of the symbol")
    _store(add)
    _backfill_options(
        _verb(
            add,
            "backfill",
            verbs.backfill,
            "have the running bridge fetch candles of the past",
            [
                "kucoin BTC-USDT --from 2026-01-01 --to 2026-02-01",
                "binance '*-USDT' --from 2026-11-01 --interval 1h",
                "kucoin --from 2026-11-20",
            ],
        )
    )
    clean = _verb(
        add, "clean", verbs.clean, "show what the broker retains of ours and is wanted no more", ["", "--yes"]
    )
    clean.add_argument("--yes", action="store_true", help="remove it")
    _own_codes(clean, "clean", CLEAN_CODES)
    _export_options(
        _verb(
            add,
            "export",
            verbs.export,
            "write a range of the history to a file, also while the dashboard runs",
            [
                "kucoin BTC-USDT --from 2026-11-01 --interval 1h",
                "binance ETH-USDT --from 2026-11-21T08:00 --to 2026-11-21T09:00 --kind trades -o eth.parquet",
            ],
        )
    )
    simulator = add.add_parser("simulator", help="fake exchanges on this machine, for tests", add_help=False)
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


def _healthy_options(healthy: argparse.ArgumentParser) -> None:
    add = healthy.add_argument
    add("--wait", type=_seconds, default=0.0, metavar="S", help="let it take so many seconds until all is well")
    add("--exchanges-may-fail", action="store_true", help="an exchange that is down, and says so, is not wrong")
    add("--proof-may-wait", action="store_true", help="a proof that has only begun is not wrong: the store answers")
    add("--only", choices=("bridge", "dashboard"), help="the other one is not on this machine")
    add("--json", action="store_true", help="the findings as JSON")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds") from None
    if not 0 <= seconds <= MOST_WAIT_S:
        raise argparse.ArgumentTypeError(f"{text} is not within 0 and {MOST_WAIT_S:.0f}")
    return seconds


def _audit_options(audit: argparse.ArgumentParser) -> None:
    audit.add_argument("--from", dest="after", metavar="TIME", help="rows from then on (2026-11-21T08:00Z or ns)")
    audit.add_argument("--to", dest="before", metavar="TIME", help="rows before then")
    audit.add_argument("--exchange", help="one exchange only")
    audit.add_argument("--symbol", help="one symbol only, like BTC-USDT")
    audit.add_argument("--repair", action="store_true", help="have the bridge send again what is missing")
    audit.add_argument("--json", action="store_true", help="the whole report as JSON")
    audit.add_argument("--ledger", type=Path, metavar="FILE", help="a bridge's ledger.db, instead of asking a bridge")
    _own_codes(audit, "audit", AUDIT_CODES)


def _own_codes(verb: argparse.ArgumentParser, name: str, codes: Mapping[int, str]) -> None:
    lines = "\n".join(f"  {code}  {text}" for code, text in codes.items())
    verb.epilog = f"{verb.epilog}\n\nexit codes of {name}:\n{lines}"


def _store(add: Verbs) -> None:
    text = "make an InfluxDB ready, or its roll-ups anew"
    acts = add.add_parser("store", help=text, description=text).add_subparsers(metavar="ACT", required=True)
    init = _verb(
        acts, "init", verbs.store_init, "make buckets, tokens and down-sampling tasks", ["", "--org home"], "store "
    )
    days = ["--from 2026-01-01 --to 2026-02-01"]
    rollup = _verb(acts, "rollup", verbs.store_rollup, "make the roll-ups of a span of time anew", days, "store ")
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
    add: Verbs,
    name: str,
    verb: verbs.Verb,
    text: str,
    examples: list[str],
    under: str = "",
) -> argparse.ArgumentParser:
    lines = "\n".join(f"  tickbridge {under}{name} {example}".rstrip() for example in examples)
    made = add.add_parser(
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
