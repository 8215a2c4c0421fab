"""Which certificates are trusted when the caller does not say.

The default context is built once per process, when the first https URL is
requested: it costs some 15 ms. It trusts what `SSL_CERT_FILE` and
`SSL_CERT_DIR` name, else the system's store, else (where that is empty, as in
some Python builds for macOS) the bundle of the certifi package.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import time
import traceback

_verified: ssl.SSLContext | None = None
_unverified: ssl.SSLContext | None = None


def default_context() -> ssl.SSLContext:
    """The context for ssl=True: certificates and host names are verified."""
    global _verified
    if _verified is None:
        begin = time.perf_counter()
        context = ssl.create_default_context()
        if not _from_environment() and _is_empty(context):
            bundle = _certifi()
            if bundle is not None:
                context.load_verify_locations(bundle)
        context.set_alpn_protocols(["http/1.1"])
        if context.minimum_version is ssl.TLSVersion.MINIMUM_SUPPORTED:
            # A Python that leaves it to OpenSSL, as Debian's, on a system that does not say.
            context.minimum_version = ssl.TLSVersion.TLSv1_2
        if _verified is None:  # another thread may have been faster
            _verified = context
        _tell_of_wait(time.perf_counter() - begin)
    return _verified


def _tell_of_wait(seconds: float) -> None:
    """In debug mode: that a loop stood still while the CAs were read, and for whom.
    It is once in a process, so there is no limit below which it is not told."""
    loop = asyncio._get_running_loop()
    if loop is None or not loop.get_debug():
        return
    from asyncio.log import logger

    stack = "".join(traceback.format_stack(limit=12)[:-2])
    logger.warning(
        "The event loop stood still for %.3f seconds while aiofast read the CA certificates for "
        "the first https request, which was made here; a context that is made before the loop "
        "runs and given as ssl=... spares that:\n%s",
        seconds,
        stack.rstrip(),
    )


def unverified_context() -> ssl.SSLContext:
    """The context for ssl=False: encrypted, but whoever answers is believed."""
    global _unverified
    if _unverified is None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(["http/1.1"])
        _unverified = context
    return _unverified


def is_default(context: object) -> bool:
    """True for the default context, or what makes it."""
    return context is default_context or (context is not None and context is _verified)


def is_unverified(context: object) -> bool:
    """True for the context of ssl=False, or what makes it."""
    return context is unverified_context or (context is not None and context is _unverified)


def ca_source() -> str:
    """Where the default context has its CAs from, in words."""
    named = _from_environment()
    if named:
        return ", ".join(
            f"{name}={value}" + ("" if os.path.exists(value) else " (which does not exist)")
            for name, value in named.items()
        )
    paths = ssl.get_default_verify_paths()
    store = [path for path in (paths.cafile, paths.capath) if path]
    if store and not _is_empty(_verified):
        return "the system's store, " + " and ".join(store)
    return _certifi() or "nothing, as the system's store is empty and certifi is not installed"


def _from_environment() -> dict[str, str]:
    paths = ssl.get_default_verify_paths()
    names = (paths.openssl_cafile_env, paths.openssl_capath_env)
    return {name: os.environ[name] for name in names if os.environ.get(name)}


def _is_empty(context: ssl.SSLContext | None) -> bool:
    """True if the system's store holds no CA. A file is read when the context
    is made, but a directory only when a certificate is looked up, so that its
    files must be counted here."""
    paths = ssl.get_default_verify_paths()
    if context is not None and paths.cafile and context.cert_store_stats()["x509_ca"] > 0:
        return False
    if context is None and paths.cafile and os.path.getsize(paths.cafile) > 0:
        return False
    return not (paths.capath and _has_hashed_file(paths.capath))


def _has_hashed_file(directory: str) -> bool:
    # OpenSSL looks for names like 5ed36f99.0.
    try:
        with os.scandir(directory) as entries:
            return any(e.name[-2:-1] == "." and e.name[-1:].isdigit() for e in entries)
    except OSError:
        return False


def _certifi() -> str | None:
    try:
        import certifi
    except ImportError:
        return None
    return str(certifi.where())
