"""A running site as commands use it: HTTP with a token, errors told in one line.

Holds all addresses that commands call, so that what they expect of a site stands in one place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from careledger.cli.exits import Exit
from careledger.cli.failures import Refused

if TYPE_CHECKING:
    import httpx

FHIR = "/fhir"
CONSENT = "/consent/v1/patients/{patient}/grants"
ACCESS = "/access/v1/patients/{patient}/entries"
FHIR_JSON = "application/fhir+json"
TIMEOUT_S = 60
ANSWER_BYTES_MAX = 64 * 1024 * 1024

Url = Annotated[
    str,
    typer.Option(
        "--url", envvar="CARELEDGER_URL", help="Address of the site, such as http://127.0.0.1:8440."
    ),
]
Token = Annotated[
    str,
    typer.Option(
        "--token",
        envvar="CARELEDGER_TOKEN",
        help="Access token; `careledger token issue` makes one. Better given in the environment.",
        show_envvar=True,
    ),
]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a site answered, successfully."""

    status: int
    body: bytes
    headers: dict[str, str]

    def document(self) -> Any:
        """The body as JSON.

        Raises:
            Refused: It is none.
        """
        import json

        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise Refused("the site's answer is not JSON", Exit.FAILED) from None


class Site:
    """One running site."""

    def __init__(self, url: str, token: str, transport: httpx.BaseTransport | None = None) -> None:
        """Take its address and a token; nothing is connected yet.

        Raises:
            Refused: The address is missing or none.
        """
        import httpx

        if not url.startswith(("http://", "https://")):
            raise Refused("name the site with --url or CARELEDGER_URL, such as http://127.0.0.1:8440")
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._url = url.rstrip("/")
        self._client = httpx.Client(
            base_url=url, headers=headers, timeout=TIMEOUT_S, follow_redirects=False, transport=transport
        )

    def call(
        self,
        method: str,
        path: str,
        *,
        parameters: list[tuple[str, str]] | None = None,
        content: bytes | None = None,
        content_type: str = FHIR_JSON,
    ) -> Answer:
        """Make one request.

        Raises:
            Refused: The site cannot be reached, or refused; the message has its code and words.
        """
        import httpx

        if "://" in path and not path.startswith(f"{self._url}/"):
            # A page link that leads elsewhere would carry the token there.
            raise Refused("the site's answer leads to another site; it was not followed", Exit.FAILED)
        headers = {"accept": f"{FHIR_JSON}, application/json"}
        if content is not None:
            headers["content-type"] = content_type
        try:
            response = self._client.request(
                method,
                path,
                params=httpx.QueryParams(tuple(parameters)) if parameters else None,
                content=content,
                headers=headers,
            )
        except httpx.HTTPError as error:
            raise Refused(f"the site cannot be reached: {type(error).__name__}", Exit.UNAVAILABLE) from None
        except httpx.InvalidURL as error:
            raise Refused(f"the address cannot be used: {error}") from None
        if response.status_code >= 300:
            code = Exit.UNAVAILABLE if response.status_code in (429, 503) else Exit.FAILED
            raise Refused(f"the site answered {response.status_code}: {_reason(response)}", code)
        return Answer(response.status_code, response.content, dict(response.headers))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _reason(response: httpx.Response) -> str:
    """Words of an OperationOutcome or of a problem document."""
    try:
        document = response.json()
        if not isinstance(document, dict):
            return response.reason_phrase
        if document.get("resourceType") == "OperationOutcome":
            issue = document["issue"][0]
            details = issue.get("details", {}).get("text")
            return str(details or issue.get("diagnostics") or issue["code"])
        words = [str(document[name]) for name in ("code", "title", "detail", "at") if document.get(name)]
        return " ".join(words) or response.reason_phrase
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return response.reason_phrase
