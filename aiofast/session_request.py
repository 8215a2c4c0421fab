"""From the arguments of a session's request to what the engine takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _core
from .body import encode_data, encode_json, settle_body
from .errors import OF_ORIGIN
from .hops import with_cookies
from .outgoing import (
    add_login,
    checked_trace,
    header_pairs,
    is_named,
    method_text,
    split_login,
    take_cookie,
    url_text,
)
from .parameters import changes_of
from .redirects import same_origin
from .session_settings import SessionSettings
from .settings import default_headers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .body import Body
    from .hops import SessionPolicy
    from .outgoing import Headers, Pairs, StrOrURL
    from .session import Request
    from .settings import OptionsCache

_core_fetch = _core.fetch


class SessionRequests(SessionSettings):
    """What a session adds to a request: its defaults, credentials and cookies."""

    _base_text: str | None
    _cookie: str | None
    _derived: OptionsCache
    _jar: Any
    _json_serialize_bytes: Any
    _kept: Any
    _options: _core.Options
    _policies: dict[bool, SessionPolicy]
    _secret: Pairs
    _seeking: bool  # there may be credentials for one URL and not for another
    _skip: frozenset[str]
    _ssl: Any

    def _prepare(self) -> None:
        raise NotImplementedError

    def _plain(
        self,
        method: str,
        str_or_url: StrOrURL,
        query: Any,
        data: Any,
        json: Any,
        cookies: Any,
        headers: Headers,
        skip: Iterable[str] | None,
        auth: Any,
        follow: int,
        trace: Callable[[str, float], object] | None,
        settings: dict[str, Any],
    ) -> Request:
        """A request as the engine takes it."""
        if self.closed:
            raise RuntimeError("Session is closed")
        if self._header_dict is not None:
            self._reread_headers()
        url = str_or_url if str_or_url.__class__ is str else url_text(str_or_url)
        if self._base_text is not None:
            url = _core.url_join(self._base_text, url)
        login = None
        if "@" in url:
            url, login = split_login(url)
        pairs = header_pairs(headers)
        if self._secret or self._seeking or auth is not None or login is not None:
            self._add_secrets(pairs, url, auth, login)
        body = None
        if data is not None or json is not None:
            body = self._add_body(pairs, data, json, skip)
        if settings or body is not None:
            body = settle_body(pairs, body, settings, wrapping=True)
        if query is not None:
            from .query import encode_query

            query = encode_query(query)
        pairs = self._add_cookies(pairs, cookies, url)
        options = self._options
        if settings or skip:
            options = self._override(settings, skip)
        fetch = _core_fetch(
            options,
            self._pool,
            "GET" if method == "GET" else method_text(method),
            url,
            query,
            pairs or None,
            body,
            follow,
            None if trace is None else checked_trace(trace),
        )
        if body is not None and getattr(body, "holds", None) is not None:
            from .context import RequestContextManager, closing

            return RequestContextManager(closing(fetch, body))
        return fetch

    def _add_secrets(self, pairs: Pairs, url: str, auth: Any, login: str | None) -> None:
        """Adds the Authorization of |auth|, of the URL or of the session, and the
        session's secret headers, unless the request has its own."""
        if auth is None and login is None:
            auth = None if self._default_auth is None else self._auth_for(url)
            if auth is None and self._trust_env and not is_named(pairs, "authorization"):
                login = self._login_for(url)
        if self._secret:
            pairs += [pair for pair in self._secret if not is_named(pairs, pair[0].lower())]
        if auth is not None or login is not None:
            add_login(pairs, login, auth)

    def _auth_for(self, url: str) -> Any:
        """The session's auth if it is for |url|: for the base URL's origin, if
        there is one."""
        if self._default_auth is None:
            return None
        if self._base_text is None or same_origin(self._base_text, url):
            return self._default_auth
        return None

    def _login_for(self, url: str) -> str | None:
        from .netrcfile import netrc_login

        return netrc_login(_core.url_origin(url)[1])

    def _add_body(self, pairs: Pairs, data: Any, json: Any, skip: Iterable[str] | None) -> Body:
        body: Body
        if json is None:
            body, kind = encode_data(data)
        elif data is None:
            body = encode_json(json, self._json_serialize_bytes or self._json_serialize)
            kind = "application/json"
        else:
            raise ValueError("data and json parameters can not be used at the same time")
        skipped = {*self._skip, *(str(name).lower() for name in skip or ())}
        if "content-type" not in skipped and not is_named(
            pairs + self._header_source, "content-type"
        ):
            pairs.append(("Content-Type", kind))
        return body

    def _add_cookies(self, pairs: Pairs, cookies: Any, url: str) -> Pairs:
        """Adds the Cookie: the field that the request or else the session was
        given, the jar's cookies, and those of the request."""
        own = self._cookie
        if pairs:
            pairs, given = take_cookie(pairs)
            own = own if given is None else given
        if own is None and not cookies and not self._kept:
            return pairs
        return with_cookies(pairs, own, cookies, self._jar, url)

    def _override(self, settings: dict[str, Any], skip: Iterable[str] | None) -> _core.Options:
        """Options for one request that changes some of the session's."""
        changes = changes_of(settings)
        raising = changes.pop("raise_for_status", None)
        if changes.get("ssl") is True and self._ssl is not True:
            del changes["ssl"]  # True is the default, and the connector has one
        if raising is not None and raising is not self._raise_for_status:
            changes["policy"] = self._policies[raising]
            changes["on_status"] = raising
        if skip:
            plain = [p for p in self._header_source if p[0].lower() not in OF_ORIGIN]
            changes["defaults"] = default_headers(plain, {*self._skip, *skip})
        return self._derived.get(**changes)

    def _are_headers_changed(self) -> bool:
        """True if `headers` are not those of the last request any more."""
        from multidict import getversion

        return getversion(self._header_dict) != self._header_seen

    def _reread_headers(self) -> None:
        """Takes over what was changed in `headers` since the last request."""
        if self._are_headers_changed():
            from multidict import getversion

            self._header_seen = getversion(self._header_dict)
            self._header_source = list(self._header_dict.items())
            self._prepare()
