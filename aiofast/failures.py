"""From the engine's result codes to exceptions: the one place for it.

The engine describes a failure by facts: its code, the phase, the limit that ran
out, the host. Here these become the right exception of `errors.py` with a text
that says all of it. Imported when the first request fails.
"""

from __future__ import annotations

import errno
import os
import ssl
from typing import TYPE_CHECKING, Any

from .errors import (
    ClientConnectionError,
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientError,
    ClientOSError,
    ClientPayloadError,
    ClientResponseError,
    ConnectionKey,
    ConnectionTimeoutError,
    FetchTimeoutError,
    InvalidURL,
    PrivateAddressError,
    RequestInfo,
    ServerDisconnectedError,
    ServerFingerprintMismatch,
    ServerTimeoutError,
    SocketTimeoutError,
    TotalTimeoutError,
    UnixClientConnectorError,
    redact,
    url_error,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def seconds(value: float) -> str:
    """A duration for people: "10.002 s", "0.1 s", "85 ms", "0.079 ms"."""
    if value < 0.1:
        return f"{value * 1000:.2g} ms"
    text = f"{value:.3f}".rstrip("0").rstrip(".")
    return f"{text} s"


_DOING = {
    "queued": "waiting for a free connection to {}",
    "dns": "resolving {}",
    "connect": "connecting to {}",
    "tls": "in the TLS handshake with {}",
    "send": "sending the request to {}",
    "wait": "waiting for the response of {}",
    "receive": "receiving the response body from {}",
}

_CONNECTING = ("queued", "dns", "connect", "tls")


def _where(facts: Mapping[str, Any]) -> str:
    if facts.get("unix_path"):
        return str(facts["unix_path"])
    host = facts.get("host") or "?"
    if ":" in host:
        host = f"[{host}]"
    port = facts.get("port")
    return f"{host}:{port}" if port else str(host)


def _circumstances(facts: Mapping[str, Any]) -> str:
    """The tail of a message: after what time, with whom, in which phase."""
    phase = facts.get("phase") or "?"
    doing = _DOING.get(phase, "talking to {}").format(_where(facts))
    return f"after {seconds(facts.get('elapsed') or 0.0)} while {doing} (phase: {phase})"


def _message(facts: Mapping[str, Any], what: str | None = None) -> str:
    return f"{what or facts.get('text') or 'failed'} {_circumstances(facts)}"


def _key(facts: Mapping[str, Any]) -> ConnectionKey:
    secure = bool(facts.get("ssl"))
    return ConnectionKey(facts.get("host") or "", facts.get("port"), secure, _given_ssl(facts))


def _given_ssl(facts: Mapping[str, Any]) -> Any:
    """The `ssl` that a caller gave."""
    from . import tls

    context = facts.get("context")
    if context is None or tls.is_default(context):
        return True
    return False if tls.is_unverified(context) else context


# libuv names the failures of getaddrinfo() by numbers of its own; these are
# the names of Python's socket module for them.
_EAI = {
    -3000: "EAI_ADDRFAMILY",
    -3001: "EAI_AGAIN",
    -3002: "EAI_BADFLAGS",
    -3004: "EAI_FAIL",
    -3005: "EAI_FAMILY",
    -3006: "EAI_MEMORY",
    -3007: "EAI_NODATA",
    -3008: "EAI_NONAME",
    -3009: "EAI_OVERFLOW",
    -3010: "EAI_SERVICE",
    -3011: "EAI_SOCKTYPE",
}
_EAI_FIRST = -3000
_EAI_LAST = -3999
_UV_EOF = -4095


def _os_error(sys: int, text: str) -> OSError:
    """The OSError of libuv's |sys|, saying |text|. OSError picks its own
    subclass, as ConnectionRefusedError, from the number."""
    return OSError(-sys, text) if sys else OSError(None, text)


def _reason(facts: Mapping[str, Any]) -> str:
    sys = facts.get("sys") or 0
    if 0 > sys > _EAI_FIRST:
        # What the engine adds to the system's reason stands behind a semicolon.
        more = (facts.get("text") or "").partition("; ")[2]
        return f"{os.strerror(-sys)}; {more}" if more else os.strerror(-sys)
    return facts.get("text") or "failed"


def _request_info(facts: Mapping[str, Any]) -> RequestInfo | None:
    from multidict import CIMultiDict, CIMultiDictProxy
    from yarl import URL

    try:
        url = URL(redact(facts.get("url") or ""))
    except ValueError:
        return None
    headers: CIMultiDictProxy[str] = CIMultiDictProxy(CIMultiDict())
    return RequestInfo(url.with_fragment(None), facts.get("method") or "", headers, url)


def _bad_head(facts: Mapping[str, Any]) -> Exception:
    return ClientResponseError(
        _request_info(facts),
        tuple(facts.get("history") or ()),
        status=400,
        message=_message(facts),
        headers=facts.get("headers"),
    )


def _bad_body(facts: Mapping[str, Any]) -> Exception:
    text = facts.get("text") or "the body is incomplete"
    if facts.get("limit") == "max_body":
        text = f"{text} of {int(facts.get('limit_value') or 0)} bytes (max_body)"
    elif facts.get("limit") == "max_ratio":
        text = f"{text} (max_ratio)"
    text = _message(facts, text)
    partial = facts.get("partial")
    if partial is not None:
        count = len(partial)
        had = f"{count} bytes of the body had come and are in .partial" if count else ""
        text = f"{text}; {had or 'nothing of the body had come'}"
    error = ClientPayloadError(text)
    error.partial = partial
    return error


def _timed_out(facts: Mapping[str, Any]) -> Exception:
    limit = facts.get("limit") or "total"
    value = facts.get("limit_value")
    allowed = f" of {seconds(value)}" if value is not None else ""
    text = f"{_LIMITS.get(limit, limit)} timeout{allowed} reached {_circumstances(facts)}"
    if limit == "total":
        return _total_kind(facts)(text)
    if limit in ("acquire", "dial", "tls"):
        return ConnectionTimeoutError(text)
    if limit in ("wait", "read"):
        return SocketTimeoutError(text)
    return ServerTimeoutError(text)


def _total_kind(facts: Mapping[str, Any]) -> type[TotalTimeoutError]:
    """A session's is no ClientError, as aiohttp's is none."""
    from .clientresponse import ClientResponse

    face = facts.get("face")
    of_session = isinstance(face, type) and issubclass(face, ClientResponse)
    return TotalTimeoutError if of_session else FetchTimeoutError


# The engine's limits by the names under which ClientTimeout sets them.
_LIMITS = {
    "acquire": "connect",
    "dial": "sock_connect",
    "tls": "sock_connect (TLS)",
    "wait": "sock_read (first byte)",
    "read": "sock_read",
}


def _too_big(facts: Mapping[str, Any]) -> Exception:
    limit = facts.get("limit")
    if limit == "url":
        return url_error(facts.get("url") or "", facts.get("text"))
    if limit in ("max_body", "max_ratio"):
        return _bad_body(facts)
    return _malformed(facts)


def _malformed(facts: Mapping[str, Any]) -> Exception:
    return _bad_body(facts) if facts.get("phase") == "receive" else _bad_head(facts)


def _bad_input(facts: Mapping[str, Any]) -> Exception:
    if facts.get("limit") == "url":
        return url_error(facts.get("url") or "", facts.get("text"))
    return ValueError(facts.get("text") or "the request may not go on the wire")


def _closed(facts: Mapping[str, Any]) -> Exception:
    text = _message(facts, facts.get("text") or "Connector is closed")
    if facts.get("phase") == "receive":
        text = f"{text}; a body has to be read before its session or response is closed"
    return ClientConnectionError(text)


def _disconnected(facts: Mapping[str, Any]) -> Exception:
    more = (facts.get("text") or "").partition("; ")[2]
    what = f"Server disconnected; {more}" if more else "Server disconnected"
    return ServerDisconnectedError(_message(facts, what))


def _truncated(facts: Mapping[str, Any]) -> Exception:
    # Before there was a head, there was no body to be incomplete.
    if facts.get("phase") != "receive" and not facts.get("status"):
        text = facts.get("text") or "the stream ended"
        return ServerDisconnectedError(_message(facts, f"Server disconnected: {text}"))
    return _bad_body(facts)


_OTHER_NAME = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH


def _advice(facts: Mapping[str, Any], cause: ssl.SSLCertVerificationError) -> str:
    """What to do about a certificate that is not believed."""
    if getattr(cause, "verify_code", 0) in _OTHER_NAME:
        return "the certificate is another name's; if that is right, pass server_hostname=<it>"
    if _given_ssl(facts) is not True:
        return "trusted: what the ssl.SSLContext that was given has loaded"
    from .tls import ca_source

    return (
        f"trusted by default: {ca_source()}; "
        "to trust another CA, pass ssl=<an ssl.SSLContext that has it>"
    )


# What OpenSSL calls the first bytes of a server that does not speak TLS.
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG")


def _bad_tls(facts: Mapping[str, Any]) -> Exception:
    cause = facts.get("cause")
    if isinstance(cause, ssl.SSLCertVerificationError):
        error = ClientConnectorCertificateError(_key(facts), cause)
        error.hint = f"({_circumstances(facts)}; {_advice(facts, cause)})"
        return error
    if isinstance(cause, ServerFingerprintMismatch):
        host, port = facts.get("host") or cause.host, facts.get("port") or cause.port
        return ServerFingerprintMismatch(cause.expected, cause.got, host, port)
    phase = facts.get("phase")
    if phase == "receive":
        return _bad_body(facts)
    number = cause.errno if isinstance(cause, OSError) and cause.errno is not None else 1
    text = facts.get("text") or "TLS failed"
    if cause is not None:
        text = f"{text}: {cause.strerror if isinstance(cause, OSError) else cause}"
    text = _message(facts, text)
    if getattr(cause, "reason", None) in _NO_TLS:
        text = f"{text}; the server seems to speak no TLS on this port (http:// instead?)"
    if phase in _CONNECTING:
        return ClientConnectorSSLError(_key(facts), ssl.SSLError(number, text))
    return ClientOSError(number, text)


def _unresolved(facts: Mapping[str, Any]) -> Exception:
    import socket

    sys = facts.get("sys") or 0
    number = getattr(socket, _EAI.get(sys, "EAI_FAIL"), -4) if sys else -2
    text = facts.get("text") or "the name could not be resolved"
    return ClientConnectorDNSError(_key(facts), socket.gaierror(number, _message(facts, text)))


def _system(facts: Mapping[str, Any]) -> Exception:
    sys = facts.get("sys") or 0
    phase = facts.get("phase")
    if _EAI_FIRST >= sys >= _EAI_LAST:
        return _unresolved(facts)
    if phase == "receive":
        return _bad_body({**facts, "text": _reason(facts)})
    if sys == _UV_EOF and phase not in _CONNECTING:
        return _disconnected(facts)
    error = _os_error(sys, _message(facts, _reason(facts)))
    if phase not in _CONNECTING:
        return ClientOSError(error.errno, error.strerror)
    path = facts.get("unix_path")
    if path:
        return UnixClientConnectorError(path, _key(facts), error)
    return ClientConnectorError(_key(facts), error)


def _forbidden(facts: Mapping[str, Any]) -> Exception:
    error = PermissionError(errno.EACCES, f"{_message(facts)}; allow_private is False")
    return PrivateAddressError(_key(facts), error)


def _no_memory(facts: Mapping[str, Any]) -> Exception:
    return MemoryError(_message(facts, "out of memory"))


def _upcall(facts: Mapping[str, Any]) -> Exception:
    cause = facts.get("cause")
    return cause if isinstance(cause, Exception) else ClientError(_message(facts))


_BY_CODE: dict[str, Callable[[Mapping[str, Any]], Exception]] = {
    "UV": _system,
    "AIF_ENOMEM": _no_memory,
    "AIF_ETOOBIG": _too_big,
    "AIF_EINVAL": _bad_input,
    "AIF_EIDNA": _bad_input,
    "AIF_EPARSE": _malformed,
    "AIF_ETRUNCATED": _truncated,
    "AIF_EDECODE": _bad_body,
    "AIF_ECLOSED": _closed,
    "AIF_EDISCONNECTED": _disconnected,
    "AIF_ETIMEOUT": _timed_out,
    "AIF_ETLS": _bad_tls,
    "AIF_ECALLBACK": _upcall,
    "AIF_EDNS": _unresolved,
    "AIF_EFORBIDDEN": _forbidden,
}


def _unknown(facts: Mapping[str, Any]) -> Exception:
    return ClientConnectionError(_message(facts))


def exception_for(facts: Mapping[str, Any]) -> BaseException:
    """The exception for a failure that the engine describes by |facts|; never
    raises. A code that is not known here is a ClientConnectionError.

    The keys: code, sys, text, phase, limit, limit_value, elapsed, method, url,
    host, port, ssl, cause, peer, reused, status, history, headers, partial, context,
    face (the class of responses).
    """
    try:
        error = _BY_CODE.get(facts.get("code") or "", _unknown)(facts)
        cause = facts.get("cause")
        if error is not cause:
            if not isinstance(error, InvalidURL):
                error.url = redact(facts.get("url") or "")  # type: ignore[attr-defined]
            _describe(error, facts)
            if isinstance(cause, BaseException):
                error.__cause__ = cause
            elif isinstance(error, ClientPayloadError) and (facts.get("sys") or 0) < 0:
                error.__cause__ = _os_error(facts["sys"], _reason(facts))
        return error
    except Exception as failure:  # the engine has no other way to go
        fallback = ClientError(f"{facts!r:.200}" if "@" not in repr(facts) else "request failed")
        fallback.__cause__ = failure
        return fallback


def _describe(error: Any, facts: Mapping[str, Any]) -> None:
    for name in ("method", "phase", "limit", "elapsed"):
        setattr(error, name, facts.get(name))
