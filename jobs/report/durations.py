"""Durations in words."""


def duration(seconds: float) -> str:
    """Seconds below 100, then minutes, and hours from two of them on."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"
