"""What a converter makes of odd files, and of large ones."""

import json
from collections.abc import Iterator
from email.message import EmailMessage
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.samples import make, office
from signalbox.documents.conversion import hypertext, json_values
from signalbox.documents.conversion.converters import (
    CONVERTERS,
    DETAIL_CHARACTERS,
    Source,
    UnconvertibleError,
    converter,
)
from signalbox.documents.conversion.office import Parts
from signalbox.documents.conversion.running import convert
from signalbox.documents.models import Outcome


def text_of(content: bytes, media_type: str, folder: Path) -> str:
    (folder / "object").write_bytes(content)
    source = Source(file=str(folder / "object"), media_type=media_type)
    return "".join(page.text for page in converter(media_type)(source))


def test_a_type_without_a_converter_is_unsupported() -> None:
    with pytest.raises(UnconvertibleError) as caught:
        converter("video/mp4")
    assert caught.value.verdict.outcome is Outcome.UNSUPPORTED


@pytest.mark.parametrize("module", sorted(set(CONVERTERS.values())))
def test_a_converter_is_one_small_file(module: str) -> None:
    source = Path(hypertext.__file__).with_name(f"{module}.py").read_text()
    assert len(source.splitlines()) < 130


# HTML.


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>one</p>two<p>three", "one\ntwo\nthree\n"),
        ("a<b>b</b>c <i>d</i>", "abc d\n"),
        ("<p>  many \n blanks  </p>", "many blanks \n"),
        ("<pre>as\n  it is</pre>", "as\n  it is\n"),
        ("x<br><br>y", "x\ny\n"),
        ("<ul><li>1<li>2</ul>", "1\n2\n"),
        ("&lt;b&gt; &copy; &#128512;", "<b> \u00a9 \U0001f600\n"),
        ("<template>no</template><noscript>yes</noscript>", "yes\n"),
        ("<!-- no --><custom-part>a</custom-part>b", "a\nb\n"),
        ("<script>if (a < b) alert('</p>')</script>after", "after\n"),
        ("", ""),
    ],
)
def test_html_as_it_is_shown(html: str, text: str) -> None:
    assert "".join(hypertext.text_of(html)) == text


def test_a_page_as_deep_as_nobody_writes_is_read_without_recursion() -> None:
    assert "".join(hypertext.text_of("<div>" * 3_000 + "deep")) == "deep\n"


@given(st.text(max_size=100))
def test_whatever_html_comes_text_comes_out(html: str) -> None:
    "".join(hypertext.text_of(html))


# JSON.

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


def strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from strings(inner)
    if isinstance(value, dict):
        yield from value


@given(VALUES)
def test_every_name_and_string_of_json_is_in_the_text(value: object) -> None:
    text = "".join(json_values.lines_of(json.dumps(value)))
    assert all(each in text for each in strings(value))


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "{'single': 1}", '{"a": 1, // why\n}', '{"cut": "off', "nul"]
)
def test_what_is_no_json_stays_as_it_is(text: str) -> None:
    assert list(json_values.lines_of(text)) == [text]


def test_lists_of_many_small_lists_need_no_recursion() -> None:
    assert len(list(json_values.lines_of(json.dumps([[1]] * 50_000)))) == 50_000


# CSV.


@pytest.mark.parametrize(
    ("csv", "text"),
    [
        (b'a,"b ""quoted"", with comma"\n1,2\n', 'a\tb "quoted", with comma\n1\t2\n'),
        (b"a\tb\n1,5\t2\n", "a\tb\n1,5\t2\n"),
        (b"a|b\n1|2\n", "a\tb\n1\t2\n"),
        (b'a,b\n1,"never closed\n2,3\n', "a\tb\n1\tnever closed\n2,3\n\n"),
        (b"only\n", "only\n"),
    ],
)
def test_rows_and_cells(csv: bytes, text: str, tmp_path: Path) -> None:
    assert text_of(csv, "text/csv", tmp_path) == text


def test_a_cell_of_any_length_is_read(tmp_path: Path) -> None:
    assert "x" * 500_000 in text_of(b'a,"' + b"x" * 500_000 + b'"\n', "text/csv", tmp_path)


# E-mail.


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        (b"Subject: =?utf-8?q?Caf=C3=A9?= =?iso-8859-1?b?6Q==?=", "Subject: Caf\u00e9\u00e9\n"),
        (b"Subject: =?no-such?q?x?=", "Subject: =?no-such?q?x?=\n"),
        (b"Subject: folded\r\n over lines", "Subject: folded over lines\n"),
        (b"From: =?utf-8?q?unclosed", "From: =?utf-8?q?unclosed\n"),
        (b"To: <<>>,,;", "To: <<>>,,;\n"),
    ],
)
def test_odd_fields(field: bytes, shown: str, tmp_path: Path) -> None:
    assert shown in text_of(field + b"\r\nX-A: b\r\n\r\nBody", "message/rfc822", tmp_path)


def test_html_is_taken_where_the_plain_alternative_says_nothing(tmp_path: Path) -> None:
    mail = EmailMessage()
    mail.set_content(" \n")
    mail.add_alternative("<p>Only here</p>", subtype="html")
    assert "Only here\n" in text_of(bytes(mail), "message/rfc822", tmp_path)


def test_mail_in_an_encoding_that_it_does_not_name(tmp_path: Path) -> None:
    raw = b"From: a\r\nTo: b\r\n\r\n" + "gr\u00fc\u00dfe, sch\u00f6ne, aus \u00d6sterreich".encode("cp1252")
    assert "sch\u00f6ne, aus \u00d6sterreich" in text_of(raw, "message/rfc822", tmp_path)


@given(st.binary(max_size=300))
def test_whatever_mail_comes_text_comes_out(raw: bytes) -> None:
    with TemporaryDirectory() as folder:
        text_of(
            b"From: a\nContent-Type: multipart/mixed; boundary=b\n\n--b\n" + raw,
            "message/rfc822",
            Path(folder),
        )


# Office.


def test_slides_come_in_the_order_in_which_they_are_shown(tmp_path: Path) -> None:
    deck = office.slides()
    with ZipFile(BytesIO(deck)) as archive:
        main = archive.read("ppt/presentation.xml")
        first, second = (part for part in main.split(b"<p:sldId ")[1:3])
        swapped = main.replace(first.split(b"/>")[0], b"@").replace(
            second.split(b"/>")[0], first.split(b"/>")[0]
        )
        swapped = swapped.replace(b"@", second.split(b"/>")[0])
    changed = office.with_parts(deck, {"ppt/presentation.xml": swapped})
    text = text_of(
        changed, "application/vnd.openxmlformats-officedocument.presentationml.presentation", tmp_path
    )
    assert text.index("Outlook") < text.index("Results")


def test_parts_refer_to_others_from_where_they_are() -> None:
    with ZipFile(BytesIO(make("pptx"))) as archive:
        parts = Parts(archive)
        assert list(parts.related("ppt/slides/slide2.xml", "notesSlide").values()) == [
            "ppt/notesSlides/notesSlide1.xml"
        ]
        assert parts.related("docProps/core.xml", "notesSlide") == {}


def test_a_verdict_is_short_however_long_a_file_names_its_parts(tmp_path: Path) -> None:
    """A step answers 256 KB at the most: an execution that is given more ends without an outcome."""
    name = "/word/" + "x" * 300_000
    types = (
        '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        f'<Override PartName="{name}" ContentType="application/vnd.ms-word.document.main+xml"/></Types>'
    )
    file = tmp_path / "object"
    file.write_bytes(office.with_parts(make("docx"), {"[Content_Types].xml": types.encode()}))
    verdict = convert(Source(file=str(file), media_type="application/zip"), tmp_path).verdict
    assert verdict is not None
    assert (verdict.outcome, verdict.reason) == (Outcome.CORRUPT, "damaged")
    assert len(verdict.detail) == DETAIL_CHARACTERS
