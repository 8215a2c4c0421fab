"""aiofast in aiohttp's place."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
import aiofast
sys.modules["aiohttp"] = aiofast
import aiohttp
import aiohttp.client_exceptions
import aiohttp.client_reqrep as reqrep
from aiohttp.client import ClientSession
from aiohttp import hdrs
import aiohttp.connector
assert aiohttp.client_exceptions.ClientError is aiofast.ClientError
assert reqrep.ClientResponse is aiofast.ClientResponse
assert ClientSession is aiofast.ClientSession
assert aiohttp.connector.TCPConnector is aiofast.TCPConnector
assert sys.modules["aiohttp.connector"] is sys.modules["aiofast.connector"]
assert aiohttp.connector.__spec__.name == "aiofast.connector"
assert hdrs.CONTENT_TYPE == "Content-Type"
for name in ("aiohttp.web", "aiohttp.test_utils", "aiohttp.nonsense"):
    try:
        __import__(name)
    except ImportError as error:
        print(name, "no server side" in str(error))
"""


def test_every_submodule_is_there_once() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    assert done.stdout.split() == [
        *("aiohttp.web", "True"),
        *("aiohttp.test_utils", "True"),
        *("aiohttp.nonsense", "False"),
    ]
