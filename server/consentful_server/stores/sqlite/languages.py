"""Language ranges as SQL conditions (RFC 4647 §3.3.1, basic filtering)."""


def in_range(column: str, language: str) -> tuple[str, list[str]]:
    """Return the condition that a column's tag matches a range, and its parameters.

    A range matches the tag itself and every tag that begins with it and a hyphen. In ASCII `.` follows `-`, so the
    second half is a comparison that an index can answer.
    """
    return f"({column} = ? OR ({column} > ? AND {column} < ?))", [language, language + "-", language + "."]
