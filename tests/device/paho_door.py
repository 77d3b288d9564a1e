"""A door on Python's paho-mqtt: joins, says its state, obeys and acknowledges."""

import os
import sys

import paho.mqtt.client as mqtt

host, port, version, device = sys.argv[1:5]
authority = sys.argv[5] if len(sys.argv) > 5 else None
base = f"latchlight/devices/{device}"


def say(client, words):
    client.publish(f"{base}/up", words, qos=1)


def on_connect(client, _userdata, _flags, _reason, _properties):
    client.publish(f"{base}/online", "online", qos=1, retain=True)
    client.subscribe(f"{base}/down", qos=1)


def on_subscribe(client, *_):
    say(client, 'hand_shake lock {"features": ["ack"]}')


def on_message(client, _userdata, message):
    word, *rest = message.payload.decode().split()
    if word in ("ok", "report"):
        say(client, "state unlocked")
    elif word in ("lock", "unlock"):
        say(client, f"state {word}ed")
        say(client, f"ack {rest[0]} ok")


client = mqtt.Client(
    mqtt.CallbackAPIVersion.VERSION2,
    client_id=device,
    protocol=mqtt.MQTTv5 if version == "5" else mqtt.MQTTv311,
)
client.on_connect, client.on_subscribe, client.on_message = on_connect, on_subscribe, on_message
client.will_set(f"{base}/online", "offline", qos=1, retain=True)
if "DOOR_PASSWORD" in os.environ:
    client.username_pw_set(device, os.environ["DOOR_PASSWORD"])
if authority:
    client.tls_set(authority)
client.connect(host, int(port))
client.loop_forever()
