"""What can be known to be wrong with the door before the page is started: for `tickbridge check`."""

from bridge.settings import Settings
from dashboard.door.certificate import Certificate
from dashboard.door.login import checked
from dashboard.door.tokens import Tokens


def look(settings: Settings) -> str:
    """In words what holds. Raises SettingsError."""
    page = settings.dashboard
    return f"{page.scheme}{_certificate(settings)}, {_login(settings)}"


def _certificate(settings: Settings) -> str:
    if settings.dashboard.cert_file is None:
        return ""
    return f" ({Certificate(settings.dashboard).problem() or 'the certificate is good'})"


def _login(settings: Settings) -> str:
    """`up` makes a password where there is none, so that is not wrong yet."""
    page = settings.dashboard
    tokens = Tokens(page.tokens_file)
    if not page.asks_login:
        return "no log-in"
    password = page.secret()
    if password is None:
        return "log-in without a password: `up` makes one, `dashboard` wants dashboard.password_file"
    checked(password)
    return f"log-in by password, {len(tokens)} tokens"
