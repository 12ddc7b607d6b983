"""E-mail: who wrote to whom, when and of what; its text; what was attached, by name."""

from collections.abc import Iterator
from email import message_from_binary_file
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.policy import compat32
from typing import cast

from signalbox.documents.batching import Page
from signalbox.documents.conversion.converters import Source, UnconvertibleError
from signalbox.documents.conversion.decoding import decode
from signalbox.documents.conversion.hypertext import text_of
from signalbox.documents.models import Outcome

FIELDS = ("From", "To", "Cc", "Date", "Subject")
SEALED = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime", "application/pgp-encrypted"})


def convert(source: Source) -> Iterator[Page]:
    with source.path.open("rb") as file:
        message = message_from_binary_file(file, policy=compat32)  # the newer policies fail on odd fields
    return map(Page, _lines(message))


def _lines(message: Message) -> Iterator[str]:
    """Depth first, without recursion: mail in mail in mail.

    Raises:
        UnconvertibleError: ENCRYPTED: there is nothing in it but what is sealed.
    """
    yield from _fields(message)
    sealed = read = False
    pending = [message]
    while pending:
        part = pending.pop()
        if part is not message and (name := part.get_filename()):
            yield f"Attachment: {_readable(name)}\n"
        elif part.is_multipart():
            inner = _inner(part)
            yield from _fields(inner[0]) if part.get_content_type() == "message/rfc822" and inner else ()
            pending += reversed(inner)
        elif part.get_content_maintype() == "text":
            read = True
            yield from _body(part)
        sealed = sealed or _is_sealed(part)
    if sealed and not read:
        detail = "The message is encrypted: only its recipients can read it."
        raise UnconvertibleError(Outcome.ENCRYPTED, "message-sealed", detail)


def _inner(part: Message) -> list[Message]:
    """Of alternatives the plain one, if it says anything, else the richest."""
    parts = cast("list[Message]", part.get_payload())
    if part.get_content_type() != "multipart/alternative":
        return parts
    plain = (each for each in parts if each.get_content_type() == "text/plain" and any(_body(each)))
    return [next(plain, parts[-1])] if parts else []


def _body(part: Message) -> Iterator[str]:
    raw = cast("bytes", part.get_payload(decode=True))
    text = decode(raw, part.get_content_charset() or "")
    if not text.strip():
        return
    yield from text_of(text) if part.get_content_subtype() == "html" else (text,)
    yield "\n"


def _is_sealed(part: Message) -> bool:
    return part.get_content_type() in SEALED and part.get_param("smime-type") != "signed-data"


def _fields(message: Message) -> Iterator[str]:
    for name in FIELDS:
        for value in message.get_all(name, []):
            yield f"{name}: {_readable(str(value))}\n"


def _readable(value: str) -> str:
    """A field with its encoded words decoded, on one line."""
    try:
        decoded = str(make_header(decode_header(value)))
    except (HeaderParseError, LookupError, ValueError):
        decoded = value
    return " ".join(decoded.split())
