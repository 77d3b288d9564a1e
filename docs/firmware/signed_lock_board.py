"""A lock on MicroPython that obeys signed commands alone: docs/devices.md#signed-commands.

This as main.py, signed_lock.py and config.py beside it, and umqtt.simple (`mip
install umqtt.simple`). config.py:

    BROKER = "192.168.1.10"
    PORT = 1883
    ID = "front-door"
    PASSWORD = "…"
    KEY = "…"  # both are what `latchlight device add front-door --kind lock --signed` prints
"""

import time

from umqtt.simple import MQTTClient

from config import BROKER, ID, KEY, PASSWORD, PORT
from signed_lock import Refused, SignedCommands

BASE = "latchlight/devices/" + ID
# Some boards count from the year 2000.
EPOCH = 946684800 if time.gmtime(0)[0] == 2000 else 0

commands = SignedCommands(bytes(int(KEY[i : i + 2], 16) for i in range(0, 64, 2)), "last")
heard = []  # what is not looked at yet
state = "locked"


def say(client, words):
    client.publish(BASE + "/up", words, qos=1)


def obey(client, payload):
    global state
    word = payload.split(b" ")[0]
    if word in (b"ok", b"report"):
        say(client, "state " + state)
    if word not in (b"lock", b"unlock"):
        return
    now = time.time() + EPOCH
    try:
        # ntptime.settime() sets the clock; before that, nothing is taken.
        if now < 1700000000:
            raise Refused("clock")
        verb, command = commands.take(payload, now)
    except Refused as why:
        # Nothing is said to whoever that was.
        print("refused:", why)
        return
    state = verb + "ed"  # Here the motor turns.
    print(state)
    say(client, "state " + state)
    say(client, "ack " + command + " ok")


def connect():
    heard.clear()
    client = MQTTClient(ID, BROKER, port=PORT, user=ID, password=PASSWORD, keepalive=30)
    client.set_last_will(BASE + "/online", "offline", retain=True, qos=1)
    # Not done here: the library may be in the middle of something.
    client.set_callback(lambda topic, payload: heard.append(payload))
    client.connect(clean_session=True)
    client.subscribe(BASE + "/down", qos=1)
    client.publish(BASE + "/online", "online", retain=True, qos=1)
    say(client, 'hand_shake lock {"features": ["ack", "signed"]}')
    return client


def serve(client):
    pinged = time.time()
    while True:
        client.check_msg()
        while heard:
            obey(client, heard.pop(0))
        if time.time() - pinged >= 10:
            client.ping()
            pinged = time.time()
        time.sleep(0.02)


while True:
    try:
        serve(connect())
    except OSError as error:
        print("no connection:", error)
    time.sleep(2)
