"""Commands that talk to a site: what they send, what they make of answers, and where they do not go."""

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from careledger.cli import remote
from careledger.cli.exits import Exit
from careledger.cli.failures import Refused
from careledger.cli.main import main

URL = "http://site.example"

Handler = Callable[[httpx.Request], httpx.Response]


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> Callable[[Handler], list[httpx.Request]]:
    """Let every site be answered by a function, and collect what it was asked."""
    monkeypatch.setenv("CARELEDGER_URL", URL)
    monkeypatch.setenv("CARELEDGER_TOKEN", "secret-token")
    original = remote.Site.__init__

    def install(handler: Handler) -> list[httpx.Request]:
        asked: list[httpx.Request] = []

        def handle(request: httpx.Request) -> httpx.Response:
            asked.append(request)
            return handler(request)

        def begin(self: remote.Site, url: str, token: str) -> None:
            original(self, url, token, transport=httpx.MockTransport(handle))

        monkeypatch.setattr(remote.Site, "__init__", begin)
        return asked

    return install


def bundle(*resources: dict[str, str], following: str = "") -> httpx.Response:
    links = [{"relation": "next", "url": following}] if following else []
    return httpx.Response(
        200, json={"resourceType": "Bundle", "link": links, "entry": [{"resource": one} for one in resources]}
    )


def test_pages_are_followed_within_the_site(
    answered: Callable[[Handler], list[httpx.Request]], capsys: pytest.CaptureFixture[str]
) -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        one = {"resourceType": "Patient", "id": str(request.url.params.get("page", "1"))}
        return bundle(one, following=f"{URL}/fhir/Patient?page=2" if one["id"] == "1" else "")

    asked = answered(handle)
    assert main(["records", "search", "Patient", "name=a=b", "--pages", "5", "--json"]) == Exit.OK
    assert [one["id"] for one in json.loads(capsys.readouterr().out)] == ["1", "2"]
    assert asked[0].url.params["name"] == "a=b"
    assert asked[0].headers["authorization"] == "Bearer secret-token"
    assert "name" not in asked[1].url.params


@pytest.mark.parametrize("elsewhere", ["http://evil.example/fhir/Patient", "http://site.example.evil/x"])
def test_the_token_goes_to_no_other_site(
    answered: Callable[[Handler], list[httpx.Request]], elsewhere: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = answered(lambda _: bundle({"resourceType": "Patient", "id": "1"}, following=elsewhere))
    assert main(["records", "search", "Patient", "--pages", "2"]) == Exit.FAILED
    assert "another site" in capsys.readouterr().err
    assert len(asked) == 1


def test_a_redirect_is_not_followed(answered: Callable[[Handler], list[httpx.Request]]) -> None:
    asked = answered(lambda _: httpx.Response(302, headers={"location": "http://evil.example/"}))
    assert main(["records", "get", "Patient/1"]) == Exit.FAILED
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("response", "code", "words"),
    [
        (
            httpx.Response(404, json={"resourceType": "OperationOutcome", "issue": [{"code": "not-found"}]}),
            Exit.FAILED,
            "not-found",
        ),
        (
            httpx.Response(
                422, json={"resourceType": "OperationOutcome", "issue": [{"details": {"text": "too odd"}}]}
            ),
            Exit.FAILED,
            "too odd",
        ),
        (httpx.Response(403, json={"code": "web.SCOPE", "title": "No."}), Exit.FAILED, "web.SCOPE No."),
        (httpx.Response(503, json={"code": "ledger.STALE_VIEW", "title": "Old."}), Exit.UNAVAILABLE, "Old."),
        (httpx.Response(500, text="oops"), Exit.FAILED, "500"),
        (httpx.Response(400, json=[1]), Exit.FAILED, "400"),
        (httpx.Response(400, json={"resourceType": "OperationOutcome", "issue": []}), Exit.FAILED, "400"),
    ],
)
def test_refusals_are_told_in_the_sites_words(
    answered: Callable[[Handler], list[httpx.Request]],
    response: httpx.Response,
    code: Exit,
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answered(lambda _: response)
    assert main(["records", "get", "Patient/1"]) == code
    assert words in capsys.readouterr().err


def test_a_site_that_is_not_there(
    answered: Callable[[Handler], list[httpx.Request]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    answered(fail)
    assert main(["records", "get", "Patient/1"]) == Exit.UNAVAILABLE
    for url in ("", "site.example", "ftp://site.example"):
        monkeypatch.setenv("CARELEDGER_URL", url)
        assert main(["records", "get", "Patient/1"]) == Exit.UNUSABLE


def test_documents_go_where_they_belong(
    answered: Callable[[Handler], list[httpx.Request]], tmp_path: Path
) -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/fhir":
            entries = [{"response": {"status": "201 Created"}}, {"response": {"status": "400"}}]
            return httpx.Response(200, json={"entry": entries})
        return httpx.Response(201, headers={"location": "there"})

    documents = {
        '{"resourceType":"Patient"}': ("POST", "/fhir/Patient", Exit.OK),
        '{"resourceType":"Patient","id":"a-1"}': ("PUT", "/fhir/Patient/a-1", Exit.OK),
        '{"resourceType":"Bundle","type":"collection"}': ("POST", "/fhir/Bundle", Exit.OK),
        '{"resourceType":"Bundle","type":"transaction"}': ("POST", "/fhir", Exit.FAILED),
    }
    asked = answered(handle)
    file = tmp_path / "document.json"
    for text, (method, path, code) in documents.items():
        file.write_text(text)
        assert main(["records", "import", str(file)]) == code
        assert (asked[-1].method, asked[-1].url.path, asked[-1].content.decode()) == (method, path, text)
    for text in ("[]", "7", '{"resourceType":7}', '{"resourceType":"x"}', "[" * 100_000, ""):
        file.write_text(text)
        assert main(["records", "import", str(file)]) == Exit.UNUSABLE


@pytest.mark.parametrize(
    "name", ["Patient", "patient/1", "Patient/1/2", "Patient/../x", "Patient/1/_history/x"]
)
def test_names_that_are_none_are_not_sent(
    answered: Callable[[Handler], list[httpx.Request]], name: str
) -> None:
    asked = answered(lambda _: httpx.Response(200))
    assert main(["records", "get", name]) == Exit.UNUSABLE
    assert main(["records", "search", "Patient", "nonsense"]) == Exit.UNUSABLE
    assert asked == []


def test_consent_is_granted_listed_and_revoked(
    answered: Callable[[Handler], list[httpx.Request]], capsys: pytest.CaptureFixture[str]
) -> None:
    standing = {
        "name": "g-1",
        "organisation": "hospital-b",
        "custodian": "hospital-a",
        "compartments": ["normal"],
        "purpose": "TREAT",
        "until": None,
    }

    def handle(request: httpx.Request) -> httpx.Response:
        if request.method == "DELETE":
            return httpx.Response(204)
        return httpx.Response(200, json=standing if request.method == "POST" else {"grants": [standing]})

    asked = answered(handle)
    grant = ["consent", "grant", "p-1", "--to", "hospital-b", "--until", "2027-06-30"]
    assert main([*grant, "--dry-run"]) == Exit.OK
    assert asked == []
    assert json.loads(capsys.readouterr().out)["body"]["compartments"] == ["normal"]
    assert main([*grant, "--compartment", "hiv", "--compartment", "normal"]) == Exit.OK
    assert json.loads(asked[-1].content) == {
        "organisation": "hospital-b",
        "compartments": ["hiv", "normal"],
        "purpose": "TREAT",
        "until": "2027-06-30",
    }
    assert "g-1" in capsys.readouterr().out
    assert main(["consent", "list", "p-1"]) == Exit.OK
    assert "no end" in capsys.readouterr().out
    assert main(["consent", "revoke", "p-1", "g-1"]) == Exit.OK
    assert "cannot be recalled" in capsys.readouterr().out
    assert (asked[-1].method, asked[-1].url.path) == ("DELETE", "/consent/v1/patients/p-1/grants/g-1")
    for arguments in (["consent", "list", "../x"], ["consent", "revoke", "p-1", "a/b"]):
        assert main(arguments) == Exit.UNUSABLE


def test_accesses_are_listed(
    answered: Callable[[Handler], list[httpx.Request]], capsys: pytest.CaptureFixture[str]
) -> None:
    entry = {"time": "2026-01-02", "who": "x", "organisation": "a", "action": "read", "what": ["Patient/1"]}
    asked = answered(lambda _: httpx.Response(200, json={"entries": [entry]}))
    assert main(["access", "list", "p-1", "--count", "5"]) == Exit.OK
    assert "not yet" in capsys.readouterr().out
    assert asked[0].url.path == "/access/v1/patients/p-1/entries"
    assert main(["access", "list", "p-1", "--json"]) == Exit.OK
    assert json.loads(capsys.readouterr().out) == {"entries": [entry]}


def test_an_answer_that_is_no_json_is_refused(answered: Callable[[Handler], list[httpx.Request]]) -> None:
    answered(lambda _: httpx.Response(200, text="<html>"))
    assert main(["consent", "list", "p-1"]) == Exit.FAILED
    with pytest.raises(Refused):
        remote.Answer(200, b"[" * 100_000, {}).document()
