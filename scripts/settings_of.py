"""Checks settings before they travel: {"section.key": value, …} as JSON comes in; mistakes go to the error output.

Exit codes: 0 they are right, 2 they are not.
"""

import json
import sys

from bridge.errors import SettingsError
from bridge.loading import ENV_CONFIG, load


def as_option(name: str, value: object) -> str:
    """One setting as the command line writes it."""
    return f"{name}={value if isinstance(value, str) else json.dumps(value)}"


def main() -> int:
    """Read, check, tell."""
    try:
        load(sets=[as_option(*item) for item in json.load(sys.stdin).items()], environ={ENV_CONFIG: ""})
    except SettingsError as error:
        print(str(error).replace("command line: ", "bridge_settings: "), file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
