"""Pictures, and what else is no document."""

from io import BytesIO

from PIL import Image, ImageDraw


def png() -> bytes:
    return _picture("PNG")


def jpeg() -> bytes:
    return _picture("JPEG")


def page() -> Image.Image:
    """A page with a line of writing, as a scanner sees it."""
    sheet = Image.new("L", (850, 1_100), 255)
    ImageDraw.Draw(sheet).text((100, 100), "A letter, seen by a scanner.", fill=0)
    return sheet


def _picture(kind: str) -> bytes:
    picture = Image.new("RGB", (320, 200), (30, 90, 160))
    ImageDraw.Draw(picture).ellipse((100, 40, 220, 160), fill=(240, 200, 60))
    written = BytesIO()
    picture.save(written, kind)
    return written.getvalue()


def video() -> bytes:
    """The head of an MPEG-4 file: more than its first bytes nobody reads."""
    return b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41" + bytes(4_096)


def program() -> bytes:
    return b"\x7fELF\x02\x01\x01" + bytes(4_096)
