"""The surface of the installed aiohttp's client, name by name: what is there is
compared mechanically, what is not stands in a list here, with the reason."""

from __future__ import annotations

import inspect

import aiofast
import aiohttp
import pytest
from aiohttp import client_exceptions
from servers import Scripted, answer

# Names of aiohttp's that there are not.
SERVER = "the server side"
OWN = "its own machinery"
LATER = "not there yet"
ABSENT = {
    "ChainMapProxy": SERVER,
    "ETag": SERVER,
    "GunicornUVLoopWebWorker": SERVER,
    "GunicornWebWorker": SERVER,
    "streamer": "deprecated since 3.0; an asynchronous generator does its job",
    "set_zlib_backend": "the engine decodes with zlib itself",
    "ClientWSTimeout": LATER,
    "ClientWebSocketResponse": LATER,
    "WSCloseCode": LATER,
    "WSMessage": LATER,
    "WSMsgType": LATER,
    "WebSocketError": LATER,
}

# Public attributes of classes that there are not.
ATTRIBUTES: dict[str, dict[str, str]] = {
    "ClientRequest": dict.fromkeys(
        (
            *("DEFAULT_HEADERS", "auth", "close", "method", "response", "send", "terminate"),
            *("update_content_encoding", "update_expect_continue", "update_host"),
            *("update_proxy", "update_transfer_encoding", "update_version", "url"),
            "write_bytes",
        ),
        "the engine writes the request; some are attributes of the instance alone",
    ),
    **{
        kind: {"connect": "the engine connects", "path": "Windows alone"}
        for kind in ("BaseConnector", "NamedPipeConnector", "TCPConnector", "UnixConnector")
    },
    "CookieJar": dict.fromkeys(
        (
            *("DATE_DAY_OF_MONTH_RE", "DATE_HMS_TIME_RE", "DATE_MONTH_RE", "DATE_TOKENS_RE"),
            *("DATE_YEAR_RE", "SUB_MAX_TIME"),
        ),
        OWN,
    ),
    "Fingerprint": {"HASHFUNC_BY_DIGESTLEN": OWN},
    "MultipartReader": dict.fromkeys(
        ("multipart_reader_cls", "part_reader_cls", "response_wrapper_cls"), OWN
    ),
    "TraceConfig": {},
}

# Parameters of constructors and methods that are not taken.
PARAMETERS: dict[str, dict[str, str]] = {}

CLASSES = [
    name
    for name in sorted(aiohttp.__all__)
    if name not in ABSENT and inspect.isclass(getattr(aiohttp, name))
]
EXCEPTIONS = [
    name
    for name in sorted(client_exceptions.__all__)
    if inspect.isclass(getattr(client_exceptions, name)) and name not in ABSENT
]


def test_every_name_is_there_or_listed() -> None:
    missing = {name for name in aiohttp.__all__ if not hasattr(aiofast, name)}
    server_or_later = {name for name in ABSENT if name in aiohttp.__all__}
    assert missing <= server_or_later
    submodules = {name for name in missing if name in aiofast.__all__}
    assert submodules == set()


def public(kind: type) -> set[str]:
    return {
        name
        for base in kind.__mro__
        if base.__module__.startswith("aiohttp")
        for name in vars(base)
        if not name.startswith("_") and name != "ATTRS"  # its own machinery
    }


@pytest.mark.parametrize("name", CLASSES)
def test_attributes(name: str) -> None:
    theirs, ours = getattr(aiohttp, name), getattr(aiofast, name)
    if name == "TraceConfig":  # its signals are attributes of the instance
        ours = aiofast.TraceConfig()
    missing = {one for one in public(theirs) if not hasattr(ours, one)}
    fields = set(getattr(ours, "__annotations__", ()))  # of a class with slots or fields
    assert missing - fields <= set(ATTRIBUTES.get(name, ()))


def parameters(function: object) -> tuple[list[str], bool]:
    """Names of parameters, and whether any other is taken."""
    found = inspect.signature(function).parameters.values()  # type: ignore[arg-type]
    open_ended = any(one.kind is one.VAR_KEYWORD for one in found)
    return [one.name for one in found if one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)], (
        open_ended
    )


@pytest.mark.parametrize("name", CLASSES)
def test_parameters(name: str) -> None:
    """Every parameter by its name, and the positional ones in their order."""
    theirs, ours = getattr(aiohttp, name), getattr(aiofast, name)
    wrong = []
    for method in ("__init__", *sorted(public(theirs))):
        one, other = getattr(theirs, method, None), getattr(ours, method, None)
        if not inspect.isfunction(one) or not callable(other):
            continue
        try:
            wanted, _ = parameters(one)
            given, open_ended = parameters(ours if method == "__init__" else other)
        except ValueError:  # implemented in C, without a signature
            continue
        if method == "__init__":
            wanted = wanted[1:]
        listed = PARAMETERS.get(f"{name}.{method}", {})
        wanted = [each for each in wanted if not each.startswith("_") and each not in listed]
        missing = [each for each in wanted if each not in given]
        if missing and not open_ended:
            wrong.append((method, missing))
    assert wrong == []


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_exceptions(name: str) -> None:
    theirs, ours = getattr(client_exceptions, name), getattr(aiofast, name)
    bases = {base.__name__ for base in theirs.__mro__}
    assert bases <= {base.__name__ for base in ours.__mro__}
    for base in theirs.__mro__:
        if base.__module__ == "builtins":
            assert issubclass(ours, base)


async def test_what_a_response_has() -> None:
    """The public attributes of a response and its stream, as an instance has them."""
    server = Scripted([answer(b"x")], [answer(b"x")])
    seen = []
    for package in (aiohttp, aiofast):
        async with package.ClientSession() as session:
            async with session.get(server.url) as response:
                await response.read()
                for thing in (response, response.content, response.request_info, session):
                    seen.append({n for n in dir(thing) if not n.startswith("_")} - {"ATTRS"})
    for wanted, given in zip(seen[:4], seen[4:], strict=True):
        assert wanted - given == set()


def test_submodules() -> None:
    """The public names of aiohttp's modules that programs import from."""
    from importlib import import_module

    for module, names in MODULES.items():
        ours, theirs = import_module(f"aiofast.{module}"), import_module(f"aiohttp.{module}")
        for name in names.split():
            assert hasattr(theirs, name), f"aiohttp.{module} has no {name}"
            assert hasattr(ours, name), f"aiofast.{module} has no {name}"


MODULES = {
    "abc": "AbstractResolver ResolveResult AbstractCookieJar",
    "client": "ClientSession ClientResponse DEFAULT_TIMEOUT URL _RequestContextManager request",
    "client_exceptions": " ".join(client_exceptions.__all__[:10]),
    "client_middlewares": "build_client_middlewares",
    "client_middleware_digest_auth": "DigestAuthMiddleware",
    "client_proto": "ResponseHandler",
    "client_reqrep": "RequestInfo ContentDisposition ClientResponse ClientRequest ConnectionKey "
    "Fingerprint MappingProxyType",
    "connector": "BaseConnector TCPConnector UnixConnector",
    "cookiejar": "CookieJar DummyCookieJar",
    "helpers": "TimerNoop HeadersMixin is_ip_address BasicAuth reify sentinel noop set_result "
    "set_exception strip_auth_from_url DEFAULT_CHUNK_SIZE",
    "http_exceptions": "BadStatusLine HttpProcessingError TransferEncodingError BadHttpMessage "
    "ContentEncodingError ContentLengthError InvalidHeader LineTooLong InvalidURLError",
    "multipart": "MultipartReader MultipartWriter BodyPartReader",
    "streams": "StreamReader EmptyStreamReader EMPTY_PAYLOAD DataQueue FlowControlDataQueue "
    "EofStream AsyncStreamIterator ChunkTupleAsyncStreamIterator",
    "tracing": "TraceConfig Trace TraceRequestStartParams",
    "typedefs": "StrOrURL RawHeaders LooseHeaders LooseCookies PathLike JSONEncoder JSONDecoder",
}
