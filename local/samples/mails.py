"""E-mail."""

from email.message import EmailMessage

from local.samples.texts import PROSE, WORD


def plain() -> bytes:
    mail = _mail("Caf\u00e9 in " + WORD)
    mail.set_content("Dear all,\n\n" + PROSE)
    mail.add_attachment(b"%PDF-", maintype="application", subtype="pdf", filename="men\u00fc.pdf")
    return bytes(mail)


def html() -> bytes:
    """Plain text and HTML, alternatively; and a message in the message."""
    inner = _mail("Forwarded")
    inner.set_content(f"<p>See you in {WORD} <b>soon</b></p>", subtype="html", cte="quoted-printable")
    mail = _mail("Newsletter")
    mail.set_content("Read this in a browser.")
    mail.add_alternative("<h1>Read this in colour.</h1>", subtype="html")
    mail.add_attachment(inner)
    return bytes(mail)


def sealed() -> bytes:
    mail = _mail("For your eyes only")
    mail.set_content(
        b"0\x82", maintype="application", subtype="pkcs7-mime", params={"smime-type": "enveloped-data"}
    )
    return bytes(mail)


def _mail(subject: str) -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = "Ada Byron <ada@example.com>"
    mail["To"] = "board@example.com"
    mail["Date"] = "Sat, 14 Mar 2026 10:00:00 +0100"
    mail["Subject"] = subject
    return mail
