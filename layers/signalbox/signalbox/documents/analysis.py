"""What the analysers have in common: content that none of them will ever take."""

from signalbox.documents.models import Verdict
from signalbox.errors import RefusedError, SignalboxError

MAXIMUM_NOTE_CHARACTERS = 500


class UnfitError(RefusedError):
    """The content is why the analyser refuses: another try would not help, nor would another permission."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.detail)
        self.code = verdict.reason
        self.verdict = verdict


def note_of(error: SignalboxError) -> str:
    """Why there is no analysis: the stable code, and for a person who refused what."""
    return f"{error.code}: {error}"[:MAXIMUM_NOTE_CHARACTERS]
