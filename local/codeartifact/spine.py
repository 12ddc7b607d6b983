"""The bus of the embedded AWS: events through the spine's door."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import requests

from local.codeartifact.delivery import DeliveryError

if TYPE_CHECKING:
    from local.codeartifact.delivery import Event

SECONDS = 10.0


class SpineBus:
    """Puts an event on the default bus of its account and Region, as it stands."""

    def __init__(self, url: str) -> None:
        self._url = f"{url.rstrip('/')}/_signalbox/events"
        self._session = requests.Session()

    def close(self) -> None:
        self._session.close()

    def put(self, event: Event) -> None:
        where = {"account": event["account"], "region": event["region"]}
        try:
            answer = self._session.post(self._url, params=where, json=event, timeout=SECONDS)
        except requests.RequestException as error:
            raise DeliveryError(f"the spine can't be reached: {error}") from error
        if answer.status_code != HTTPStatus.OK:
            raise DeliveryError(f"the spine answered {answer.status_code}: {answer.text}")
