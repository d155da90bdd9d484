"""Language ranges as conditions (RFC 4647 §3.3.1)."""


def in_range(column: str, language: str) -> tuple[str, list[str]]:
    """Return the condition that a column's tag is in a range, and its values.

    A range fits the tag itself, and whatever begins with it and a hyphen; in ASCII `.` follows `-`, so an index serves.
    """
    return f"({column} = ? OR ({column} > ? AND {column} < ?))", [language, language + "-", language + "."]
