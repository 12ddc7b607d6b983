"""The environment of each function, read once: one frozen class a function, named after its folder."""

from typing import Literal

from signalbox.eventbridge import Scope
from signalbox.settings import Settings


class AdmitSettings(Settings, frozen=True, kw_only=True):
    """documents_admit_events.

    Attributes:
        documents_routes_parameter: the SSM parameter that holds the routes.
        documents_bucket: the stack's own, which the default route is for.
        documents_work_bucket: out of which nothing is ever taken, whatever the routes say.
        documents_maximum_receives: after how many a message goes to the dead-letter queue.
        documents_maximum_event_age_seconds: as long as any queue keeps one. What counts is what the object
            says now.
    """

    ledger_table: str
    aws_region: str
    hub_account: str
    documents_bucket: str
    documents_work_bucket: str
    documents_intake_queue_url: str
    documents_state_machine_arn: str
    documents_routes_parameter: str
    documents_maximum_receives: int = 5
    documents_maximum_event_age_seconds: float = 14 * 86_400.0

    @property
    def scope(self) -> Scope:
        home = frozenset({(self.hub_account, self.aws_region)})
        return Scope(home, self.documents_maximum_event_age_seconds)


class InspectSettings(Settings, frozen=True, kw_only=True):
    """documents_inspect_object."""

    ledger_table: str


class WorkSettings(Settings, frozen=True, kw_only=True):
    """documents_convert_object, documents_recognise_text, documents_detect_entities,
    documents_compact_index."""

    documents_work_bucket: str


class LoadSettings(Settings, frozen=True, kw_only=True):
    """documents_load_document.

    Attributes:
        documents_opensearch_endpoint: "" for the index in S3.
        documents_opensearch_service: ``es`` for a domain of one's own, ``aoss`` for serverless.
    """

    aws_region: str
    documents_work_bucket: str
    documents_opensearch_endpoint: str = ""
    documents_opensearch_service: Literal["es", "aoss"] = "es"


class SettleSettings(Settings, frozen=True, kw_only=True):
    """documents_settle_document.

    Attributes:
        documents_quarantine_bytes: larger objects stay where they are: the quarantine holds the reason alone.
    """

    ledger_table: str
    alert_topic_arn: str
    event_bus_name: str
    documents_work_bucket: str
    documents_quarantine_bytes: int = 100 * 2**20


class UploadSettings(Settings, frozen=True, kw_only=True):
    """documents_manage_uploads.

    Attributes:
        documents_upload_prefix: what every key begins with that the server makes.
        documents_upload_accelerated: whether parts are signed for S3 Transfer Acceleration.
        documents_upload_url_seconds: how long a signed part stays valid.
    """

    aws_region: str
    ledger_table: str
    documents_bucket: str
    documents_upload_prefix: str = "uploads/"
    documents_upload_accelerated: bool = False
    documents_upload_url_seconds: int = 900
    documents_upload_maximum_bytes: int = 5 * 2**40
