"""A lock that obeys signed commands alone: docs/devices.md#signed-commands.

    LOCK_PASSWORD=… LOCK_KEY=… python3 signed_lock.py HOST PORT ID MEMORY

It needs paho-mqtt, as people have it on a Raspberry Pi. `SignedCommands` needs
no more than hashlib, and runs under MicroPython as it stands: signed_lock_board.py.
"""

import hashlib
import os
import sys
import time


def hmac_sha256(key, message):
    """RFC 2104, for a key of up to 64 bytes: MicroPython has no `hmac`."""
    key = key + bytes(64 - len(key))
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key))
    inner.update(message)
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in key))
    outer.update(inner.digest())
    return outer.digest()


def is_same(one, other):
    """Whether both are the same; it takes as long whatever they have in common."""
    difference = len(one) ^ len(other)
    for a, b in zip(one, other):
        difference |= a ^ b
    return difference == 0


class Refused(Exception):
    """Why a command is not obeyed."""


class SignedCommands:
    """Checks commands. `memory` is a file in which the last counter stands."""

    def __init__(self, key, memory):
        self.key = key
        self.memory = memory
        self.last = 0
        try:
            with open(memory) as file:
                self.last = int(file.read())
        except OSError:
            pass  # Nothing has come yet.

    def take(self, payload, now):
        """Gives the verb and the id of a command that is to be obeyed, once."""
        signed, _, shown = payload.rpartition(b" ")
        words = signed.split(b" ")
        if len(words) != 4 or len(shown) != 64:
            raise Refused("form")
        own = "".join("%02x" % byte for byte in hmac_sha256(self.key, signed))
        if not is_same(own.encode(), shown):
            raise Refused("signature")
        verb, command, expires, counter = words
        if int(counter) <= self.last:
            raise Refused("replayed")
        if now > int(expires):
            raise Refused("expired")
        self.remember(int(counter))
        return verb.decode(), command.decode()

    def remember(self, counter):
        """On the disk before anything moves."""
        beside = self.memory + ".new"
        with open(beside, "w") as file:
            file.write(str(counter))
            file.flush()
            if hasattr(os, "fsync"):
                os.fsync(file.fileno())
        os.rename(beside, self.memory)
        self.last = counter


class Lock:
    """The lock's side of the conversation."""

    def __init__(self, client, device, commands):
        self.client = client
        self.base = "latchlight/devices/" + device
        self.commands = commands
        self.state = "locked"

    def say(self, words):
        self.client.publish(self.base + "/up", words, qos=1)

    def on_connect(self, client, *_):
        client.publish(self.base + "/online", "online", qos=1, retain=True)
        client.subscribe(self.base + "/down", qos=1)

    def on_subscribe(self, *_):
        self.say('hand_shake lock {"features": ["ack", "signed"]}')

    def on_message(self, _client, _userdata, message):
        word = message.payload.split(b" ")[0]
        if word in (b"lock", b"unlock"):
            self.obey(message)
        elif word == b"ok" or word == b"report":
            self.say("state " + self.state)
        else:
            print(message.payload.decode(), flush=True)

    def obey(self, message):
        try:
            if message.retain:
                raise Refused("retained")
            verb, command = self.commands.take(message.payload, time.time())
        except Refused as why:
            # Nothing is said to whoever that was.
            print("refused:", why, flush=True)
            return
        self.state = verb + "ed"  # Here the motor turns.
        print(self.state, flush=True)
        self.say("state " + self.state)
        self.say("ack " + command + " ok")


def main():
    import paho.mqtt.client as mqtt

    host, port, device, memory = sys.argv[1:5]
    key = bytes.fromhex(os.environ["LOCK_KEY"])
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=device)
    lock = Lock(client, device, SignedCommands(key, memory))
    client.on_connect = lock.on_connect
    client.on_subscribe = lock.on_subscribe
    client.on_message = lock.on_message
    client.username_pw_set(device, os.environ["LOCK_PASSWORD"])
    client.will_set(lock.base + "/online", "offline", qos=1, retain=True)
    client.connect(host, int(port))
    client.loop_forever()


if __name__ == "__main__":
    main()
