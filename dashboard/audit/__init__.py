"""The audit: what the bridge published, by its ledger, against what the store has, by number.

`ranges`, `values`, `claims`, `verdicts`, `declared`, `trail` and `repairs` are pure; `check` asks the store, `asking`
and `ledger_file` the ledger; `keeper` does it all the time, `verb` when somebody types `tickbridge audit`.
"""
