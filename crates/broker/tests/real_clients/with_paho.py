"""What a broker has to do for Python's paho-mqtt: URL VERSION [AUTHORITY].

Prints a line for each thing that it did."""

import queue
import sys
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

PATIENCE = 20
URL = urlsplit(sys.argv[1])
VERSION = int(sys.argv[2])
AUTHORITY = sys.argv[3] if len(sys.argv) > 3 else None


class Client:
    def __init__(self, name, keep=False, will=None):
        transport = "websockets" if URL.scheme.startswith("ws") else "tcp"
        session = {} if VERSION == 5 else {"clean_session": not keep}
        self.client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2,
            client_id=name,
            protocol=VERSION,
            transport=transport,
            **session,
        )
        self.messages, self.done = queue.Queue(), queue.Queue()
        if AUTHORITY:
            self.client.tls_set(AUTHORITY)
        if will:
            self.client.will_set(*will, qos=1)
        self.client.on_connect = lambda client, data, flags, reason, properties: self.done.put(
            (reason.value, flags.session_present)
        )
        self.client.on_subscribe = lambda client, data, mid, reasons, properties: self.done.put(
            [reason.value for reason in reasons]
        )
        self.client.on_message = lambda client, data, message: self.messages.put(message)
        self.client.on_disconnect = lambda *_: self.done.put("disconnected")
        more = {}
        if VERSION == 5:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = 600 if keep else 0
            more = {"clean_start": not keep, "properties": properties}
        self.client.connect(URL.hostname, URL.port, **more)
        self.client.loop_start()
        reason, self.session_present = self.done.get(timeout=PATIENCE)
        assert reason == 0, reason

    def subscribe(self, topic, qos):
        self.client.subscribe(topic, qos)
        assert self.done.get(timeout=PATIENCE) == [qos]

    def publish(self, topic, payload, qos, retain=False):
        info = self.client.publish(topic, payload, qos, retain)
        info.wait_for_publish(PATIENCE)
        assert info.is_published()

    def next(self):
        message = self.messages.get(timeout=PATIENCE)
        return message.topic, message.payload.decode(), message.qos, message.retain

    def disconnect(self):
        self.client.disconnect()
        assert self.done.get(timeout=PATIENCE) == "disconnected"
        self.client.loop_stop()

    def vanish(self):
        self.client.loop_stop()
        self.client.socket().close()


def said(what):
    print(what, flush=True)


reader, publisher = Client("reader"), Client("publisher")
said("connect")
for qos in range(3):
    reader.subscribe(f"qos/{qos}", qos)
    publisher.publish(f"qos/{qos}", "hello", qos)
    assert reader.next() == (f"qos/{qos}", "hello", qos, False)
    said(f"qos {qos}")

publisher.publish("kept", "for later", 1, retain=True)
reader.subscribe("kept", 1)
assert reader.next() == ("kept", "for later", 1, True)
publisher.publish("kept", "", 1, retain=True)
assert reader.next() == ("kept", "", 1, False)
said("retained")

reader.subscribe("will", 1)
Client("dying", will=("will", "gone")).vanish()
assert reader.next() == ("will", "gone", 1, False)
said("will")

members = [Client("one"), Client("two")]
for member in members:
    member.subscribe("$share/all/shared", 2)
for number in range(4):
    publisher.publish("shared", str(number), 2)
shared = [[member.next()[1] for _ in range(2)] for member in members]
assert sorted(shared[0] + shared[1]) == ["0", "1", "2", "3"], shared
said("shared")

sleeper = Client("sleeper", keep=True)
assert not sleeper.session_present
sleeper.subscribe("sleeps/#", 2)
sleeper.disconnect()
publisher.publish("sleeps/1", "once at least", 1)
publisher.publish("sleeps/2", "once", 2)
sleeper = Client("sleeper", keep=True)
# 3.1 has no word for it.
assert sleeper.session_present == (VERSION > 3)
assert sleeper.next() == ("sleeps/1", "once at least", 1, False)
assert sleeper.next() == ("sleeps/2", "once", 2, False)
said("session")
for client in [reader, publisher, sleeper, *members]:
    assert client.messages.empty()
    client.disconnect()
said("disconnect")
