"""What this package raises; nothing else leaves its public functions."""

from __future__ import annotations


class DelegoConformanceError(Exception):
    """Root of the family."""


class VectorError(DelegoConformanceError):
    """A vector, or a file of vectors, cannot be used."""

    def __init__(self, what: str, problem: str) -> None:
        super().__init__(f"{what}: {problem}")


class StartError(DelegoConformanceError):
    """The implementation cannot be started, or its hello is of no use."""

    def __init__(self, command: str, problem: str) -> None:
        super().__init__(f"{command}: {problem}")


class KnownFailuresError(DelegoConformanceError):
    """A file of known failures cannot be used."""

    def __init__(self, source: str, problem: str) -> None:
        super().__init__(f"{source}: {problem}")


class UpstreamError(DelegoConformanceError):
    """A folder of published vectors cannot be used."""

    def __init__(self, source: str, problem: str) -> None:
        super().__init__(f"{source}: {problem}")


class ReportError(DelegoConformanceError):
    """A report cannot be read, or there is no such format."""

    def __init__(self, source: str, problem: str) -> None:
        super().__init__(f"{source}: {problem}")
