"""aiohttp's test server and client. There are none here."""

raise ImportError(
    "aiofast is a client and has no server side, so aiohttp.test_utils is not "
    "there either: for a server in tests keep aiohttp installed beside it"
)
