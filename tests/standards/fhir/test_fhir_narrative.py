"""Narrative: harmless XHTML passes, a corpus of attacks does not (security row 20)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from careledger.standards.fhir.narrative import NAMESPACE, check_narrative


def div(inner: str, attributes: str = "") -> str:
    return f'<div xmlns="{NAMESPACE}"{attributes}>{inner}</div>'


@pytest.mark.parametrize(
    "text",
    [
        div("plain"),
        div("<p>a &amp; b &lt; c &#160; &#xA0;</p>"),
        div("<p/>x<br/>"),
        div('<a href="https://example.org/a?b=1&amp;c=2">x</a>'),
        div('<a name="top" href="#top">x</a> <a href="Patient/1">y</a> <a href="mailto:a@example.org">z</a>'),
        div('<a href="urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0">x</a>'),
        div('<img src="#pic" alt="a"/>'),
        div('<img src="Binary/1" alt="a"/>'),
        div('<img src="data:image/png;base64,iVBORw0KGgo=" alt="a"/>'),
        div(
            '<table class="grid" border="1"><tr><td colspan="2" style="color: red; width: 10px">x</td></tr></table>'
        ),
        div('<td style="background-image: url(data: image/png;base64,iVBORw0KGgo=); width: 1px">x</td>'),
        div('<a href="ftp://example.org/x">x</a>'),
        div("<!-- a remark -->x"),
        div("<ul>\n <li>x</li>\n</ul>", " class='hapi' lang='en' xml:lang='en'"),
        div("x" * 100_000),
        div("   é 中 \U0001f600"),
    ],
)
def test_harmless_narrative_passes(text: str) -> None:
    assert check_narrative(text) is None


@pytest.mark.parametrize(
    "text",
    [
        div("<script>alert(1)</script>"),
        div("<SCRIPT>alert(1)</SCRIPT>"),
        div('<script src="https://example.org/x.js"/>'),
        div('<p onclick="alert(1)">x</p>'),
        div('<p ONCLICK="alert(1)">x</p>'),
        div('<img src="x" onerror="alert(1)"/>'),
        div("<svg onload='alert(1)'/>"),
        div('<iframe src="https://example.org"/>'),
        div('<object data="x"/>'),
        div('<embed src="x"/>'),
        div('<form action="x"><input/></form>'),
        div('<base href="https://example.org/"/>'),
        div('<meta http-equiv="refresh" content="0"/>'),
        div('<link rel="stylesheet" href="x"/>'),
        div("<style>p { color: red }</style>"),
        div("<math><mi>x</mi></math>"),
        div("<video/>"),
        div('<a href="javascript:alert(1)">x</a>'),
        div('<a href="JaVaScRiPt:alert(1)">x</a>'),
        div('<a href=" javascript:alert(1)">x</a>'),
        div('<a href="java&#115;cript:alert(1)">x</a>'),
        div('<a href="java&#x9;script:alert(1)">x</a>'),
        div('<a href="java\tscript:alert(1)">x</a>'),
        div('<a href="vbscript:x">x</a>'),
        div('<a href="data:text/html,x">x</a>'),
        div('<a href="blob:x">x</a>'),
        div('<img src="https://example.org/pixel.png"/>'),
        div('<img src="//example.org/pixel.png"/>'),
        div('<img src="&#47;/example.org/pixel.png"/>'),
        div('<img src="ht&#116;p://example.org/pixel.png"/>'),
        div('<img src="data:image/svg+xml;base64,PHN2Zy8+"/>'),
        div('<img src="data:text/html;base64,PHN2Zy8+"/>'),
        div('<img srcset="https://example.org/x 2x" src="#a"/>'),
        div('<p style="background: url(https://example.org/x)">x</p>'),
        div('<p style="background: u&#114;l(x)">x</p>'),
        div('<p style="background: url(data:text/html;base64,PHN2Zy8+)">x</p>'),
        div('<p style="background: url(data:image/png;base64,AA==),url(https://example.org/x)">x</p>'),
        div('<p style="background: url(/logout)">x</p>'),
        div('<p style="width: expression(alert(1))">x</p>'),
        div('<p style="width: exp/**/ression(alert(1))">x</p>'),
        div('<p style="background: u\\72l(x)">x</p>'),
        div('<p style="-moz-binding: url(x)">x</p>'),
        div('<p style="behavior: x">x</p>'),
        div('<p style="@import x">x</p>'),
        div("<p>&nbsp;</p>"),
        div("<p>&unknown;</p>"),
        div("<p>a & b</p>"),
        div("<p>a</b>"),
        div("<p>a"),
        div("a</p>"),
        div("<p><b>a</p></b>"),
        div('<p class="a" class="b">x</p>'),
        div("<p class=a>x</p>"),
        div("<p class>x</p>"),
        div('<p class="<b>">x</p>'),
        div("a < b"),
        div("<![CDATA[<script/>]]>"),
        div("<?php echo 1 ?>"),
        div("<!-- <script> -->x"),
        div("<!-- a -- b -->x"),
        div("<!DOCTYPE html>x"),
        div("<div xmlns='http://www.w3.org/2000/svg'>x</div>"),
        div("<x:script xmlns:x='http://www.w3.org/1999/xhtml'>x</x:script>"),
        div("x\x00y"),
        div("x") + div("y"),
        div("x") + "tail",
        div(""),
        div("   "),
        div("<p></p>"),
        "<div>x</div>",
        f'<p xmlns="{NAMESPACE}">x</p>',
        f'<divx xmlns="{NAMESPACE}">x</divx>',
        "plain",
        "",
        f'<?xml version="1.0"?><div xmlns="{NAMESPACE}">x</div>',
        f'<!DOCTYPE d [<!ENTITY a "b">]><div xmlns="{NAMESPACE}">&a;</div>',
        div("<b>" * 100 + "x" + "</b>" * 100),
        div("x" * (2**20)),
    ],
)
def test_what_could_act_is_refused(text: str) -> None:
    assert check_narrative(text)


def test_a_narrative_is_a_text() -> None:
    findings = check_narrative(5)
    assert findings is not None
    assert findings[0].code == "structure"


@pytest.mark.parametrize(
    "text", ["<div" + " " * 200_000, "<div " + 'a="' * 100_000, "<div" + " a='b'" * 100_000]
)
def test_unclosed_tags_cost_little(text: str) -> None:
    assert check_narrative(text)


@given(st.text(alphabet="<>/=\"'ab &#;-!", max_size=60))
def test_any_text_gives_a_verdict(text: str) -> None:
    findings = check_narrative(div(text))
    assert findings is None or findings[0].text
