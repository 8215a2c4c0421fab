"""aiohttp's server. There is none here."""

raise ImportError(
    "aiofast is a client and has no server side: for aiohttp.web keep aiohttp "
    "installed beside it, and import that for the server"
)
