"""Every error a user can meet, and the exit code the command line gives it.

A message is one complete sentence that names the offending value and the way out; the command
line prints it as it is and never shows a traceback for these classes.
"""


class StepnetError(Exception):
    """Base of all errors raised on purpose. `exit_code` is what the command line ends with."""

    exit_code = 2


class NetworkError(StepnetError):
    """A network, or its file, breaks a rule of the format or does not fit the engine."""


class FormatError(StepnetError):
    """A network of another tool cannot be taken over, or written for it."""


class ImageError(StepnetError):
    """A picture cannot become network input."""


class DataError(StepnetError):
    """A data set is missing or damaged, or does not suit the task."""


class TrainingError(StepnetError):
    """A training run cannot start or cannot go on."""


class AnalogueError(StepnetError):
    """Analogue arrays cannot be as they are described, or cannot hold a network."""


class PictureError(StepnetError):
    """A picture of results cannot be drawn, or its file cannot be written."""


class BuildError(StepnetError):
    """Synthesis, place and route, or packing failed, or the clock is not met."""


class BoardError(StepnetError):
    """Something is wrong with a board or the way to it."""

    exit_code = 1


class LinkError(BoardError):
    """The byte channel to the board cannot be opened, broke, or carries nonsense."""


class LinkBrokenError(LinkError):
    """The byte channel broke while it was in use: a cable was pulled, a connection ended."""


class LinkTimeoutError(LinkError, TimeoutError):
    """The board did not answer in time; also a `TimeoutError` of Python's own."""


class ListenError(LinkError):
    """An address to offer a board at does not exist, is taken, or is open to other machines."""

    exit_code = 2


class RefusedError(BoardError):
    """The board refused a request and said why.

    reason: the number of a `stepnet.link.messages.Refusal`, or one that this version does not know.
    """

    def __init__(self, sentence: str, reason: int = 0) -> None:
        super().__init__(sentence)
        self.reason = reason


class MissingToolError(StepnetError):
    """A tool or package that the task needs is missing on this machine."""

    exit_code = 3
