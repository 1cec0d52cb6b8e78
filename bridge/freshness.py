"""Whether a price may be trusted: a line's proof of life, and each symbol's own rhythm. Pure; times are monotonic ns.

A symbol on a proven line is quiet, not stale, however rarely it trades: its last price is the market's price.
"""

from msgspec import Struct

S = 1_000_000_000
DAY_NS = 24 * 3600 * S
RHYTHM_NS = 600 * S
"""How long a feed's rhythm is remembered."""
SUSPECT_NS = 60 * S
USUAL_NS = 5 * S
"""Shorter than any suspicion, so that a look is never left unexplained."""
SUSPECT_FACTOR = 4
ANSWER_NS = 15 * S
WAITING_MOST_NS = 300 * S
UNHEARD_LOOK_NS = 10 * S


class Longest:
    """The longest pause of the last window, kept in two halves so that an old one is forgotten."""

    __slots__ = ("_before", "_half_ns", "_now", "_since")

    def __init__(self, window_ns: int, now_ns: int) -> None:
        self._half_ns = window_ns // 2
        self._since = now_ns
        self._now = self._before = 0

    def note(self, pause_ns: int, now_ns: int) -> None:
        self._turn(now_ns)
        self._now = max(self._now, pause_ns)

    def ns(self, now_ns: int) -> int:
        self._turn(now_ns)
        return max(self._now, self._before)

    def _turn(self, now_ns: int) -> None:
        halves = (now_ns - self._since) // self._half_ns
        if halves > 0:
            self._before = self._now if halves == 1 else 0
            self._now = 0
            self._since += halves * self._half_ns


class LineLife:
    """One connection: when it last proved its life, when it last told data, when it is given up."""

    SILENCE_FACTOR = 10
    QUIET_LEAST_NS = 5 * S
    QUIET_MOST_NS = 15 * S

    def __init__(
        self, proof_s: float, silence_s: float, pong_s: float, now_ns: int, pauses: Longest | None = None
    ) -> None:
        """`pauses`: the feed's rhythm, which outlives its lines."""
        self._proof_ns, self._silence_ns = int(proof_s * S), int(silence_s * S)
        self._pong_ns = int(pong_s * S)
        self.proven_ns = self.data_ns = now_ns
        self._pinged_ns: int | None = None
        self._longest = pauses or Longest(RHYTHM_NS, now_ns)
        self.has_data = False

    def data(self, now_ns: int) -> None:
        """Data arrived: it proves the line, and its pause belongs to the feed's rhythm."""
        pause = now_ns - self.data_ns
        if pause > 50_000_000 and self.has_data:
            self._longest.note(pause, now_ns)
        self.data_ns = self.proven_ns = now_ns
        self.has_data = True
        self._pinged_ns = None

    def answered(self, now_ns: int) -> None:
        """The answer to our ping: proof of life, but no data."""
        self.proven_ns = now_ns
        self._pinged_ns = None

    def pinged(self, now_ns: int) -> None:
        if self._pinged_ns is None:
            self._pinged_ns = now_ns

    def lost(self, now_ns: int) -> str | None:
        """Why the line must be given up now, or None."""
        if self._pinged_ns is not None and now_ns - self._pinged_ns > self._pong_ns:
            return f"no answer to our ping for {self._pong_ns / S:.0f} s"
        if now_ns - self.proven_ns > self._proof_ns:
            return f"no proof of life for {self._proof_ns / S:.0f} s"
        if now_ns - self.data_ns > max(self._silence_ns, self.SILENCE_FACTOR * self._longest.ns(now_ns)):
            return f"silent for {(now_ns - self.data_ns) / S:.0f} s, though it answers pings"
        return None

    def is_quiet(self, now_ns: int) -> bool:
        """No data for longer than this feed's own rhythm."""
        own = min(max(self.QUIET_LEAST_NS, 2 * self._longest.ns(now_ns)), self.QUIET_MOST_NS)
        return now_ns - self.data_ns > own


class SymbolLife:
    """One symbol's rhythm: when it was heard last, and whether its silence is suspect."""

    __slots__ = ("_is_told", "_longest", "_looked_ns", "_waits_ns", "heard_ns", "on_line", "usual_ns")

    def __init__(self, now_ns: int) -> None:
        self.heard_ns = now_ns
        self.on_line = self._is_told = False
        self.usual_ns = 0
        """A pause up to this tells nothing new: the hot path only sets `heard_ns`. 0: not heard on this line yet."""
        self._longest = Longest(DAY_NS, now_ns)
        self._looked_ns: int | None = None
        self._waits_ns: int | None = None

    def heard(self, now_ns: int, *, on_line: bool = True) -> None:
        """It spoke: fresh, whatever was suspected. `on_line` False: REST told it, the line may still forget it."""
        silence = now_ns - self.heard_ns
        if self.on_line:
            self._longest.note(silence, now_ns)
        self.heard_ns = now_ns
        self._is_told = True
        self.on_line = self.on_line or on_line
        if self.on_line:
            self.usual_ns = min(self._longest.ns(now_ns), USUAL_NS)
        self._looked_ns = self._waits_ns = None

    def line_up(self, now_ns: int) -> None:
        """A new line: unheard on it until it speaks or a look tells."""
        self.on_line = self._is_told = False
        self.usual_ns = 0
        self.heard_ns = now_ns
        self._looked_ns = self._waits_ns = None

    def is_suspect(self, now_ns: int) -> bool:
        """Silent for longer than it ever was, or not heard at all on a new line: worth a look."""
        if self._looked_ns is not None:
            return False
        limit = max(SUSPECT_NS, SUSPECT_FACTOR * self._longest.ns(now_ns)) if self._is_told else UNHEARD_LOOK_NS
        if now_ns - self.heard_ns <= limit:
            return False
        if self._waits_ns is None:
            self._waits_ns = now_ns
        return True

    def looked(self, now_ns: int) -> None:
        self._looked_ns = now_ns

    def silent_s(self, now_ns: int) -> float:
        return (now_ns - self.heard_ns) / S

    def vindicated(self, now_ns: int) -> None:
        """REST agrees with us: quiet, and the next look is as far away as this one was."""
        self.heard(now_ns, on_line=False)

    def unanswered(self, now_ns: int) -> bool:
        """A look went out and brought nothing, or the suspicion waited too long for one."""
        if self._looked_ns is not None:
            return now_ns - self._looked_ns > ANSWER_NS
        return self._waits_ns is not None and now_ns - self._waits_ns > WAITING_MOST_NS

    def look_again(self, now_ns: int) -> None:
        """Queue for another look, behind the others."""
        if self._looked_ns is not None:
            self._looked_ns, self._waits_ns = None, now_ns

    @property
    def is_looked_at(self) -> bool:
        """A look is out, and it has not spoken since."""
        return self._looked_ns is not None

    @property
    def is_told(self) -> bool:
        """Something was told of it since its line is up, by the line or by REST."""
        return self._is_told

    @property
    def waits_ns(self) -> int:
        """Since when it waits for a look: the longest waiting goes first."""
        return self._waits_ns or 0


class Budget(Struct):
    """So many looks a minute for all symbols together."""

    per_minute: int
    _spent: int = 0
    _since_ns: int = 0

    def spend(self, now_ns: int) -> bool:
        """Whether one more may be made now."""
        if now_ns - self._since_ns >= 60 * S:
            self._since_ns, self._spent = now_ns, 0
        if self._spent >= self.per_minute:
            return False
        self._spent += 1
        return True
