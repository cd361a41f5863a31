"""Generators of valid GS1 keys for the property tests."""

from __future__ import annotations

import string

from hypothesis import strategies as st

from careledger.standards.gs1.keys import GLN, GTIN, LGTIN, PGLN, SGLN, SGTIN, SSCC, Key

CSET_82 = "!\"%&'()*+,-./:;<=>?_" + string.digits + string.ascii_letters


def digits(count: int) -> st.SearchStrategy[str]:
    return st.text(alphabet=string.digits, min_size=count, max_size=count)


def text_82(longest: int) -> st.SearchStrategy[str]:
    return st.text(alphabet=CSET_82, min_size=1, max_size=longest)


gtins = digits(13).map(GTIN.from_body)
glns = digits(12).map(GLN.from_body)
sgtins = st.builds(SGTIN, gtin=gtins, serial=text_82(20))
lgtins = st.builds(LGTIN, gtin=gtins, lot=text_82(20))
ssccs = digits(17).map(SSCC.from_body)
sglns = st.builds(
    SGLN, gln=glns, extension=st.one_of(st.just(""), text_82(20).filter(lambda text: text != "0"))
)
pglns = st.builds(PGLN, gln=glns)
keys: st.SearchStrategy[Key] = st.one_of(gtins, sgtins, lgtins, ssccs, sglns, pglns)
