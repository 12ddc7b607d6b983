import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.packages.licenses import read_expression, weigh

WEIGHTS = {
    "MIT": 0,
    "Apache-2.0": 0,
    "MPL-2.0": 1,
    "GPL-3.0-only": 2,
    "GPL-2.0-only WITH Classpath-exception-2.0": 1,
}


@pytest.mark.parametrize(
    ("name", "url", "expression"),
    [
        ("MIT", "", "MIT"),
        ("mit", "", "MIT"),
        ("apache-2.0 or mit", "", "Apache-2.0 OR MIT"),
        ("MIT License", "https://spdx.org/licenses/MIT", "MIT"),
        ("MIT License", "https://spdx.org/licenses/MIT.html", "MIT"),
        ("whatever", "http://www.opensource.org/licenses/Apache-2.0", "Apache-2.0"),
        ("whatever", "https://opensource.org/license/mpl-2.0/", "MPL-2.0"),
        ("Apache License 2.0", "", None),
        ("The Apache Software License, Version 2.0", "", "Apache-2.0"),
        ("UNLICENSED", "", None),
        ("SEE LICENSE IN LICENSE.md", "", None),
        ("MIT OR", "", None),
        ("", "", None),
        ("(" * 200 + "MIT" + ")" * 200, "", None),
        ("MIT", "https://example.com/licenses/GPL", "MIT"),
        ("LicenseRef-Acme", "", "LicenseRef-Acme"),
    ],
)
def test_what_a_licence_is_called(name: str, url: str, expression: str | None) -> None:
    aliases = {"the apache software license, version 2.0": "Apache-2.0"}
    assert read_expression(name, url, aliases) == expression


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("MIT", 0),
        ("GPL-3.0-only", 2),
        ("MIT OR GPL-3.0-only", 0),
        ("MIT AND GPL-3.0-only", 2),
        ("GPL-3.0-only OR MIT AND MPL-2.0", 1),
        ("(GPL-3.0-only OR MIT) AND MPL-2.0", 1),
        ("GPL-3.0-only AND (MIT OR MPL-2.0)", 2),
        ("GPL-2.0-only WITH Classpath-exception-2.0 AND MIT", 1),
        ("((MIT))", 0),
    ],
)
def test_what_an_expression_weighs(expression: str, expected: int) -> None:
    assert weigh(expression, WEIGHTS.__getitem__) == expected


EXPRESSIONS = st.recursive(
    st.sampled_from(sorted(WEIGHTS)).map(lambda name: (name, WEIGHTS[name])),
    lambda parts: st.tuples(parts, st.sampled_from(["AND", "OR"]), parts).map(
        lambda p: (f"({p[0][0]}) {p[1]} ({p[2][0]})", (max if p[1] == "AND" else min)(p[0][1], p[2][1]))
    ),
    max_leaves=6,
)


@given(EXPRESSIONS)
def test_and_weighs_the_heavier_or_the_lighter(expression: tuple[str, int]) -> None:
    text, weight = expression
    read = read_expression(text) if len(text) <= 256 else text
    assert read is not None
    assert weigh(read, WEIGHTS.__getitem__) == weight


@given(st.text(max_size=300) | st.text("MITAND OR()+WITH-.0", max_size=300))
def test_whatever_the_text_nothing_is_raised(text: str) -> None:
    read = read_expression(text, text)
    if read is not None:
        assert weigh(read, len) > 0
