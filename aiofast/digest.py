"""DigestAuthMiddleware: HTTP Digest authentication (RFC 7616)."""

from __future__ import annotations

import re
import secrets
import time
from hashlib import new
from typing import TYPE_CHECKING, Any

from .errors import ClientError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from yarl import URL

    from .clientrequest import ClientRequest
    from .clientresponse import ClientResponse

__all__ = ("DigestAuthMiddleware",)

_ALGORITHMS = {
    "MD5": "md5",
    "SHA": "sha1",
    "SHA-256": "sha256",
    "SHA-512-256": "sha512_256",
}
_PARAMETER = re.compile(r'([a-zA-Z]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_ESCAPED = re.compile(r"\\(.)")


class DigestAuthMiddleware:
    """Answers a server's Digest challenge: for ClientSession(middlewares=[...]).

    login, password: str; no ':' in the login.
    preemptive: answer for what the last challenge protects without waiting to
        be asked again (RFC 7616 3.6).

    MD5, SHA, SHA-256, SHA-512-256 and their -sess forms, qop auth and auth-int,
    stale nonces. A 401 that cannot be answered is the response. ValueError for
    the arguments; ClientError for a challenge that breaks the rules.
    """

    def __init__(self, login: str, password: str, preemptive: bool = True) -> None:
        if login is None:
            raise ValueError("None is not allowed as login value")
        if password is None:
            raise ValueError("None is not allowed as password value")
        if ":" in login:
            raise ValueError('A ":" is not allowed in username (RFC 7617)')
        self._login = login
        self._password = password
        self._preemptive = preemptive
        self._challenge: dict[str, str] = {}
        self._space: list[str] = []
        self._last_nonce = ""
        self._count = 0
        self._origin: URL | None = None

    async def __call__(
        self,
        request: ClientRequest,
        handler: Callable[[ClientRequest], Awaitable[ClientResponse]],
    ) -> ClientResponse:
        """The response to |request|, asked again with an answer if need be. Where a
        redirect leads, nobody learns anything of the password: only the origin of
        the first request is answered, and what it says to protect."""
        if self._origin is None:
            self._origin = request.url.origin()
        if request.url.origin() != self._origin and not self._protects(request.url):
            return await handler(request)
        if self._preemptive and self._challenge and self._protects(request.url):
            request.headers["Authorization"] = await self.answer(
                request.method, request.url, request.body
            )
        for last in (False, True):
            response = await handler(request)
            if response.status != 401 or last or not self._take_challenge(response):
                break
            # Read away, so that the connection serves the second try.
            response.release()
            request.headers["Authorization"] = await self.answer(
                request.method, request.url, request.body
            )
        return response

    # --- the challenge ---

    def _take_challenge(self, response: ClientResponse) -> bool:
        """Reads the challenge of a 401; False if there is none to answer."""
        for value in response.headers.getall("WWW-Authenticate", ()):
            scheme, _, rest = value.strip().partition(" ")
            if scheme.lower() != "digest":
                continue
            found = parse_parameters(rest)
            if "realm" in found and found.get("nonce"):
                same = found["nonce"] == self._challenge.get("nonce")
                if same and found.get("stale", "").lower() != "true" and self._answered(response):
                    return False  # the credentials are wrong
                self._challenge = found
                self._space = _protection_space(found.get("domain", ""), response.url)
                return True
        return False

    def _answered(self, response: ClientResponse) -> bool:
        sent = response.request_info.headers.get("Authorization", "")
        return str(sent).lower().startswith("digest ")

    def _protects(self, url: URL) -> bool:
        text = str(url)
        for space in self._space:
            if text == space or (
                text.startswith(space) and (space.endswith("/") or text[len(space)] in "/?")
            ):
                return True
        return False

    # --- the answer ---

    async def answer(self, method: str, url: URL, body: Any = b"") -> str:
        """The Authorization for the last challenge. ClientError if it names an
        algorithm or qop that is not known, or lacks what must be there."""
        challenge = self._challenge
        nonce, realm = challenge["nonce"], challenge["realm"]
        name = challenge.get("algorithm", "MD5")
        base = name.upper().removesuffix("-SESS")
        if base not in _ALGORITHMS:
            raise ClientError(
                f"Digest auth error: Unsupported hash algorithm: {name}. "
                f"Supported algorithms: {', '.join(_ALGORITHMS)}"
            )
        qop = _choose_qop(challenge.get("qop", ""), isinstance(body, bytes))
        self._count = self._count + 1 if nonce == self._last_nonce else 1
        self._last_nonce = nonce
        count, cnonce = f"{self._count:08x}", _cnonce(nonce)

        def digest(text: bytes) -> str:
            return new(_ALGORITHMS[base], text, usedforsecurity=False).hexdigest()

        path = url.raw_path_qs
        first = digest(f"{self._login}:{realm}:{self._password}".encode())
        if name.upper().endswith("-SESS"):
            first = digest(f"{first}:{nonce}:{cnonce}".encode())
        second = f"{method.upper()}:{path}"
        if qop == "auth-int":
            second += f":{digest(await _bytes_of(body))}"
        hashed = digest(second.encode())
        middle = f"{nonce}:{count}:{cnonce}:{qop}" if qop else nonce
        fields = [
            f'username="{_quoted(self._login)}"',
            f'realm="{_quoted(realm)}"',
            f'nonce="{_quoted(nonce)}"',
            f'uri="{path}"',
            f'response="{digest(f"{first}:{middle}:{hashed}".encode())}"',
            f"algorithm={name}",
        ]
        if "opaque" in challenge:
            fields.append(f'opaque="{_quoted(challenge["opaque"])}"')
        if qop:
            fields += [f"qop={qop}", f"nc={count}", f'cnonce="{cnonce}"']
        return "Digest " + ", ".join(fields)


def parse_parameters(text: str) -> dict[str, str]:
    """The parameters of a challenge, names in lower case, values unquoted; of
    equal names the first counts. Stops where another scheme begins."""
    found: dict[str, str] = {}
    for match in _PARAMETER.finditer(text[:8192]):
        name = match[1].lower()
        value = match[3] if match[2] is None else _ESCAPED.sub(r"\1", match[2])
        if "\r" in value or "\n" in value or "\0" in value:
            continue
        found.setdefault(name, value)
    return found


def _choose_qop(offered: str, whole: bool) -> str:
    """What protects most: auth-int where the body is there as a |whole|. "" where
    nothing is offered (RFC 2069)."""
    if not offered.strip():
        return ""
    names = {name.strip().lower() for name in offered.split(",")}
    for name in ("auth-int", "auth") if whole else ("auth", "auth-int"):
        if name in names:
            return name
    raise ClientError(
        f"Digest auth error: Unsupported Quality of Protection (qop) value(s): {offered}"
    )


def _cnonce(nonce: str) -> str:
    seed = f"{nonce}{time.time()}".encode() + secrets.token_bytes(16)
    return new("sha256", seed).hexdigest()[:16]


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


async def _bytes_of(body: Any) -> bytes:
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body)
    if hasattr(body, "as_bytes"):
        content: bytes = await body.as_bytes()
        return content
    raise ClientError("Digest auth error: qop auth-int needs a body that is bytes")


def _protection_space(domain: str, url: URL) -> list[str]:
    """The URLs, as prefixes, that one answer is good for (RFC 7616 3.3). What a
    challenge says about other origins is left out."""
    origin = url.origin()
    if not domain.strip():
        return [str(origin)]
    spaces = []
    for one in domain.split():
        try:
            target = origin.join(type(url)(one))
            if target.origin() == origin:
                spaces.append(str(target))
        except ValueError:
            continue
    return spaces
