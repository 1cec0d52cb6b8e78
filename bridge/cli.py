"""The command line: reads what was typed, runs the verb, and turns what it raises into one line and an exit code."""

import argparse
import sys
from collections.abc import Sequence

from bridge import verbs
from bridge.errors import NewerData, SettingsError, TickbridgeError
from bridge.exits import FAILED, OK, WRONG
from bridge.loading import load
from bridge.usage import FIRST_STEPS, parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given:
        sys.stderr.write(FIRST_STEPS)
        return WRONG
    if given[:1] == ["simulator"]:
        return verbs.simulator(given[1:])
    options = parser().parse_args(given)
    try:
        return _run(options)
    except (SettingsError, NewerData) as error:
        return _say(error, WRONG)
    except TickbridgeError as error:
        return _say(error, FAILED)
    except KeyboardInterrupt:
        return OK


def _run(options: argparse.Namespace) -> int:
    options.sets = _sets(options)
    loaded = load(options.config, options.sets)
    verb: verbs.Verb = options.verb
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


if __name__ == "__main__":
    sys.exit(main())
