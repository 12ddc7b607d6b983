"""Each action that is worked on, as log lines and traces show it."""

from signalbox.ledger.actions import Action, Performer, Result
from signalbox.telemetry.steps import conclude, outcome_of, span


class Traced:
    """Performs each action in a span of its own; a try that is repeated is a span each time."""

    def __init__(self, performer: Performer) -> None:
        self._performer = performer

    def perform(self, action: Action) -> Result:
        instance = action.subjects[0] if len(action.subjects) == 1 else ""
        with span(action.kind, action=action.id, kind=action.kind, group=action.group, instance=instance):
            try:
                result = self._performer.perform(action)
            except Exception as error:
                conclude(outcome_of(error))
                raise
            conclude(result.status)
            return result
