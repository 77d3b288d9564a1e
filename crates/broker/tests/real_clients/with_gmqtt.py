"""What a broker has to do for gmqtt: URL VERSION [AUTHORITY].

Prints a line for each thing that it did."""

import asyncio
import ssl
import sys
from urllib.parse import urlsplit

from gmqtt import Client as Gmqtt
from gmqtt import Message

PATIENCE = 20
URL = urlsplit(sys.argv[1])
VERSION = int(sys.argv[2])
TLS = ssl.create_default_context(cafile=sys.argv[3]) if len(sys.argv) > 3 else False


class Client:
    @classmethod
    async def connected(cls, name, keep=False, will=None):
        self = cls()
        self.messages, self.done = asyncio.Queue(), asyncio.Queue()
        expiry = {"session_expiry_interval": 600} if keep and VERSION == 5 else {}
        message = Message(*will, qos=1) if will else None
        self.client = Gmqtt(name, clean_session=not keep, will_message=message, **expiry)
        self.client.set_config({"reconnect_retries": 0})
        self.client.on_connect = lambda client, flags, reason, properties: self.done.put_nowait(
            (reason, flags)
        )
        self.client.on_subscribe = lambda client, mid, reasons, properties: self.done.put_nowait(
            list(reasons)
        )
        self.client.on_message = self.received
        self.client.on_disconnect = lambda *_: None
        await self.client.connect(URL.hostname, URL.port, ssl=TLS, version=VERSION)
        reason, flags = await self.finished()
        assert reason == 0, reason
        self.session_present = bool(flags)
        return self

    async def received(self, client, topic, payload, qos, properties):
        self.messages.put_nowait((topic, payload.decode(), qos, bool(properties["retain"])))
        return 0

    async def finished(self):
        return await asyncio.wait_for(self.done.get(), PATIENCE)

    async def next(self):
        return await asyncio.wait_for(self.messages.get(), PATIENCE)

    async def subscribe(self, topic, qos):
        self.client.subscribe(topic, qos)
        assert await self.finished() == [qos]

    def publish(self, topic, payload, qos, retain=False):
        self.client.publish(topic, payload, qos=qos, retain=retain)

    async def disconnect(self):
        await self.client.disconnect()

    def vanish(self):
        self.client.stop_reconnect()
        self.client._connection._transport.abort()


def said(what):
    print(what, flush=True)


async def main():
    reader, publisher = await Client.connected("reader"), await Client.connected("publisher")
    said("connect")
    for qos in range(3):
        await reader.subscribe(f"qos/{qos}", qos)
        publisher.publish(f"qos/{qos}", "hello", qos)
        assert await reader.next() == (f"qos/{qos}", "hello", qos, False)
        said(f"qos {qos}")

    publisher.publish("kept", "for later", 1, retain=True)
    # It is kept once another client's answer has come behind it.
    await reader.subscribe("barrier", 1)
    publisher.publish("barrier", "x", 1)
    await reader.next()
    await reader.subscribe("kept", 1)
    assert await reader.next() == ("kept", "for later", 1, True)
    publisher.publish("kept", "", 1, retain=True)
    assert await reader.next() == ("kept", "", 1, False)
    said("retained")

    await reader.subscribe("will", 1)
    dying = await Client.connected("dying", will=("will", "gone"))
    dying.vanish()
    assert await reader.next() == ("will", "gone", 1, False)
    said("will")

    members = [await Client.connected("one"), await Client.connected("two")]
    for member in members:
        await member.subscribe("$share/all/shared", 2)
    for number in range(4):
        publisher.publish("shared", str(number), 2)
    shared = [[(await member.next())[1] for _ in range(2)] for member in members]
    assert sorted(shared[0] + shared[1]) == ["0", "1", "2", "3"], shared
    said("shared")

    sleeper = await Client.connected("sleeper", keep=True)
    assert not sleeper.session_present
    await sleeper.subscribe("sleeps/#", 2)
    await sleeper.disconnect()
    publisher.publish("sleeps/1", "once at least", 1)
    publisher.publish("sleeps/2", "once", 2)
    sleeper = await Client.connected("sleeper", keep=True)
    assert sleeper.session_present
    received = sorted([await sleeper.next(), await sleeper.next()])
    assert received[0] == ("sleeps/1", "once at least", 1, False), received
    assert received[1] == ("sleeps/2", "once", 2, False), received
    said("session")
    for client in [reader, publisher, sleeper, *members]:
        assert client.messages.empty()
        await client.disconnect()
    said("disconnect")


asyncio.run(main())
