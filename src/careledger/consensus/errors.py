"""What the engines raise that is not a numbered code."""


class EngineStopped(Exception):  # noqa: N818 - an outcome, not an accident
    """The engine has stopped: after a shutdown, or because a write could not be made durable."""
