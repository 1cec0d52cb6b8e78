"""What the program's exit codes mean."""

OK, FAILED, WRONG, DIED = 0, 1, 2, 3
EXIT_CODES = {
    OK: "all went well (also: stopped by Ctrl-C)",
    FAILED: "it failed; one line says why and what to do",
    WRONG: "wrong settings or usage, or data of a newer version; nothing was started",
    DIED: "a task inside ended that should not have; started again, it may go on",
}
LEFT_OVER = 4
CLEAN_CODES = {
    OK: "nothing is left over, or all of it was removed",
    LEFT_OVER: "something is left over, and nothing was removed",
}
AUDIT_CODES = {
    0: "complete",
    1: "something is missing (or the audit failed: then one line says why)",
    3: "complete up to a time that is told, unproven after it",
}
