import pytest

from careledger.standards.epcis.vocabulary import (
    VOCABULARIES,
    Kind,
    bare_word,
    claims_to_be_standard,
    suggestion,
    urn,
    web_uri,
)


@pytest.mark.parametrize(
    ("kind", "spelling", "word"),
    [
        (Kind.BUSINESS_STEP, "receiving", "receiving"),
        (Kind.BUSINESS_STEP, "urn:epcglobal:cbv:bizstep:receiving", "receiving"),
        (Kind.BUSINESS_STEP, "https://ref.gs1.org/cbv/BizStep-receiving", "receiving"),
        (Kind.BUSINESS_STEP, "cbv:BizStep-receiving", "receiving"),
        (Kind.DISPOSITION, "urn:epcglobal:cbv:disp:in_transit", "in_transit"),
        (Kind.TRANSACTION_TYPE, "urn:epcglobal:cbv:btt:desadv", "desadv"),
        (Kind.PARTY_TYPE, "cbv:SDT-owning_party", "owning_party"),
        (Kind.ERROR_REASON, "urn:epcglobal:cbv:er:did_not_occur", "did_not_occur"),
        (Kind.MEASUREMENT, "gs1:Temperature", "Temperature"),
        (Kind.MEASUREMENT, "https://gs1.org/voc/Temperature", "Temperature"),
        (Kind.ALERT, "gs1:ALARM_CONDITION", "ALARM_CONDITION"),
        (Kind.COMPONENT, "cbv:Comp-latitude", "latitude"),
        (Kind.BUSINESS_STEP, "in_transit", None),
        (Kind.BUSINESS_STEP, "urn:epcglobal:cbv:disp:in_transit", None),
        (Kind.DISPOSITION, "https://example.com/quarantined", None),
    ],
)
def test_spellings(kind: Kind, spelling: str, word: str | None) -> None:
    assert bare_word(kind, spelling) == word


@pytest.mark.parametrize("kind", Kind)
def test_every_word_goes_out_and_comes_back(kind: Kind) -> None:
    assert len(VOCABULARIES[kind].words) >= 2
    for word in VOCABULARIES[kind].words:
        assert bare_word(kind, web_uri(kind, word)) == word
        assert bare_word(kind, urn(kind, word)) == word


def test_own_words_pass_through() -> None:
    own = "https://example.com/vocabulary/quarantined"
    assert web_uri(Kind.DISPOSITION, own) == urn(Kind.DISPOSITION, own) == own
    assert not claims_to_be_standard(Kind.DISPOSITION, own)


@pytest.mark.parametrize(
    ("kind", "value", "claims", "hint"),
    [
        (Kind.BUSINESS_STEP, "recieving", False, "receiving"),
        (Kind.BUSINESS_STEP, "urn:epcglobal:cbv:bizstep:recieving", True, "receiving"),
        (Kind.BUSINESS_STEP, "https://ns.gs1.org/cbv/BizStep-shiping", True, "shipping"),
        (Kind.MEASUREMENT, "gs1:Temprature", True, "Temperature"),
        (Kind.DISPOSITION, "zzzzzz", False, ""),
    ],
)
def test_mistakes_get_a_hint(kind: Kind, value: str, claims: bool, hint: str) -> None:
    assert claims_to_be_standard(kind, value) is claims
    assert suggestion(kind, value) == hint
