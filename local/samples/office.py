"""Office files, and other ZIP and OLE containers."""

from collections.abc import Callable, Mapping
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile

import xlwt
from docx import Document
from docx.oxml import parse_xml
from msoffcrypto.format.ooxml import OOXMLFile
from openpyxl import Workbook
from pptx import Presentation
from pptx.util import Inches

from local.samples.images import png
from local.samples.texts import PROSE, WORD

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
MC = "http://schemas.openxmlformats.org/markup-compatibility/2006"
MAIN = "word/document.xml"
LAUGHS = 9


def word() -> bytes:
    document = Document()
    document.add_heading("Minutes", 1)
    document.add_paragraph(PROSE)
    table = document.add_table(2, 2)
    table.cell(0, 0).text, table.cell(1, 1).text = "June", "AGM"
    document.sections[0].header.paragraphs[0].text = "Strictly internal"
    return _saved(document.save)


def word_with_boxes() -> bytes:
    """Text where python-docx sees none: in a content control, a tracked insertion, a text box (and its
    fallback, which says it once more for older programs)."""
    document = Document()
    document.add_paragraph("Form")
    body = document.element.body
    inserted = '<w:ins w:id="1" w:author="Ada"><w:r><w:t>inserted</w:t></w:r></w:ins>'
    deleted = '<w:del w:id="2" w:author="Ada"><w:r><w:delText>deleted</w:delText></w:r></w:del>'
    box = f'<w:txbxContent xmlns:w="{W}"><w:p><w:r><w:t>boxed</w:t></w:r></w:p></w:txbxContent>'
    either = f'<mc:Choice Requires="wps">{box}</mc:Choice><mc:Fallback>{box}</mc:Fallback>'
    for inner in (
        f'<w:r><mc:AlternateContent xmlns:mc="{MC}">{either}</mc:AlternateContent></w:r>',
        f"<w:sdt><w:sdtContent><w:r><w:t>{WORD}</w:t></w:r></w:sdtContent></w:sdt>",
        inserted + deleted,
        "<w:r><w:instrText> PAGE </w:instrText></w:r><w:r><w:t>left</w:t><w:tab/><w:t>right</w:t></w:r>",
    ):
        body.insert(
            0,
            parse_xml(f'<w:p xmlns:w="{W}"><w:pPr><w:tabs><w:tab w:pos="9"/></w:tabs></w:pPr>{inner}</w:p>'),
        )
    return _saved(document.save)


def word_of_a_picture() -> bytes:
    document = Document()
    document.add_picture(BytesIO(png()))
    return _saved(document.save)


def slides() -> bytes:
    deck = Presentation()
    for title in ("Results", "Outlook"):
        slide = deck.slides.add_slide(deck.slide_layouts[5])
        slide.shapes.title.text = title
        box = slide.shapes.add_textbox(Inches(1), Inches(2), Inches(6), Inches(2))
        box.text_frame.text = f"{title} of {WORD}"
    slide.notes_slide.notes_text_frame.text = "Speak slowly"
    return _saved(deck.save)


def workbook() -> bytes:
    book = Workbook(write_only=True)
    sheet = book.create_sheet("Sales")
    sheet.append(["place", "sold", "share"])
    sheet.append([WORD, 1_200, 3.5])
    book.create_sheet("Notes").append([None, "estimated"])
    return _saved(book.save)


def sparse_workbook() -> bytes:
    """Two cells, as far apart as can be: some readers make a table of all between them."""
    book = Workbook()
    sheet = book.create_sheet("Sparse")
    sheet["A1"], sheet["XFD1048576"] = WORD, "far away"
    return _saved(book.save)


def old_workbook() -> bytes:
    book = xlwt.Workbook()
    book.add_sheet("Sales").write(0, 0, WORD)
    return _saved(book.save)


def old_word() -> bytes:
    """By its directory: a stream of another name is all that sets it apart from a workbook."""
    name, other = (text.encode("utf-16-le").ljust(64, b"\0") for text in ("Workbook", "WordDocument"))
    sizes = (len("Workbook\0") * 2).to_bytes(2, "little"), (len("WordDocument\0") * 2).to_bytes(2, "little")
    return old_workbook().replace(name + sizes[0], other + sizes[1])


def truncated_old_workbook() -> bytes:
    return old_workbook()[:600]


def encrypted_word() -> bytes:
    return _encrypted(word())


def encrypted_workbook() -> bytes:
    return _encrypted(workbook())


def truncated_word() -> bytes:
    whole = word()
    return whole[: len(whole) * 2 // 3]


def damaged_workbook() -> bytes:
    """A sheet that isn't well-formed, in a ZIP that is whole."""
    return with_parts(workbook(), {"xl/worksheets/sheet1.xml": b"<worksheet><sheetData><row><c><v>1</row>"})


def slides_without_a_part() -> bytes:
    return with_parts(slides(), {"ppt/slides/slide2.xml": None})


def word_of_entities() -> bytes:
    """A billion laughs."""
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, LAUGHS + 1))
    return with_parts(word(), {MAIN: _declared(f'<!ENTITY l0 "ha">{entities}', f"&l{LAUGHS};")})


def word_of_a_file_entity() -> bytes:
    return with_parts(word(), {MAIN: _declared('<!ENTITY f SYSTEM "file:///etc/passwd">', "&f;")})


def bomb() -> bytes:
    """A few hundred kilobytes that become some hundred megabytes."""
    return with_parts(word(), {"word/media/image1.bmp": bytes(200 * 2**20)})


def archive() -> bytes:
    return _zipped({"../../escape.txt": PROSE.encode(), "photo.png": png()})


def _declared(entities: str, text: str) -> bytes:
    document = f'<w:document xmlns:w="{W}"><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:document>'
    return f"<!DOCTYPE d [{entities}]>{document}".encode()


def _encrypted(plain: bytes) -> bytes:
    written = BytesIO()
    OOXMLFile(BytesIO(plain)).encrypt("sesame", written)
    return written.getvalue()


def with_parts(office: bytes, changes: Mapping[str, bytes | None]) -> bytes:
    """The file with other parts; None is one that is missing."""
    with ZipFile(BytesIO(office)) as archive:
        parts: dict[str, bytes | None] = {name: archive.read(name) for name in archive.namelist()}
    parts |= changes
    return _zipped({name: part for name, part in parts.items() if part is not None})


def _zipped(parts: Mapping[str, bytes]) -> bytes:
    written = BytesIO()
    with ZipFile(written, "w", ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return written.getvalue()


def _saved(save: Callable[[BytesIO], object]) -> bytes:
    written = BytesIO()
    save(written)
    return written.getvalue()
