"""json= and json() with serializers that the program brings along."""

from __future__ import annotations

import json

import aiofast
import msgspec
import orjson
import pytest
from servers import Scripted, answer, forever

VALUE = {"text": "snow \u2603 \U0001f600", "numbers": [1, 2.5, -3, None, True], "nested": {"a": []}}


class Point(msgspec.Struct):
    x: int
    y: int


@pytest.mark.parametrize(
    ("settings", "loads"),
    [
        ({"json_serialize_bytes": orjson.dumps}, orjson.loads),
        ({"json_serialize": lambda value: orjson.dumps(value).decode()}, orjson.loads),
        ({"json_serialize_bytes": msgspec.json.encode}, msgspec.json.decode),
        ({"json_serialize_bytes": msgspec.json.Encoder().encode}, msgspec.json.Decoder().decode),
    ],
)
async def test_serializers_of_the_program(settings, loads):
    server = Scripted([forever(answer(orjson.dumps(VALUE), "Content-Type: application/json"))])
    async with aiofast.ClientSession(**settings) as session:
        async with session.post(f"{server.url}/", json=VALUE) as found:
            assert await found.json(loads=loads) == VALUE
    sent = server.requests[0]
    assert json.loads(sent.body) == VALUE
    assert "☃".encode() in sent.body  # as these do it, and json does not
    assert sent.header("Content-Type") == "application/json"
    found = await aiofast.fetch(f"{server.url}/")
    assert found.json(loads=loads) == VALUE


async def test_a_struct_goes_and_comes():
    server = Scripted([answer(b'{"x":3,"y":4}')])
    async with aiofast.ClientSession(json_serialize_bytes=msgspec.json.encode) as session:
        async with session.post(f"{server.url}/", json=Point(1, 2)) as found:
            loads = msgspec.json.Decoder(Point).decode
            assert await found.json(loads=loads, content_type=None) == Point(3, 4)
    assert server.requests[0].body == b'{"x":1,"y":2}'


async def test_what_a_serializer_refuses_is_its_own_error():
    async with aiofast.ClientSession(json_serialize_bytes=orjson.dumps) as session:
        with pytest.raises(orjson.JSONEncodeError):
            await session.post("http://127.0.0.1:1/", json=object())
