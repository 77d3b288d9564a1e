"""A small gateway as people write it in Python: Flask for apps, paho-mqtt for devices, beside
mosquitto. It does the work that `script/bench` compares: POST /lock?device=ID publishes a command,
waits for the device's acknowledgement and answers with the outcome.

It speaks the same topics and words as Latchlight. What Latchlight does besides (a database on disk,
roster, permissions, plugins, its own broker) it leaves out, which is in its favour.
"""

import os
import socket
import threading
import time
import uuid

import paho.mqtt.client as mqtt
from flask import Flask, jsonify, request

PREFIX = os.environ.get("GATEWAY_PREFIX", "latchlight")
BROKER_HOST = os.environ.get("GATEWAY_BROKER_HOST", "127.0.0.1")
BROKER_PORT = int(os.environ.get("GATEWAY_BROKER_PORT", "1883"))
WAIT_SECONDS = 2.0
EXPIRY_SECONDS = 10


class Pending:
    """A command that waits for its device."""

    __slots__ = ("device", "ended", "outcome")

    def __init__(self, device):
        self.device = device
        self.ended = threading.Event()
        self.outcome = None


class Gateway:
    """The MQTT side: knows the devices, sends commands, hears what devices say."""

    def __init__(self):
        self.lock = threading.Lock()
        self.devices = {}
        self.pending = {}
        self.client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2,
            client_id=f"gateway-{os.getpid()}",
            protocol=mqtt.MQTTv5,
        )
        self.client.max_inflight_messages_set(1000)
        self.client.on_socket_open = self.on_socket_open
        self.client.on_connect = self.on_connect
        self.client.on_subscribe = self.on_subscribe
        self.client.on_message = self.on_message

    def start(self):
        self.client.connect(BROKER_HOST, BROKER_PORT)
        self.client.loop_start()

    def on_socket_open(self, _client, _userdata, sock):
        # Without it each command waits 40 ms for the acknowledgement of the one before.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def on_connect(self, client, _userdata, _flags, _reason, _properties):
        client.subscribe(f"{PREFIX}/devices/+/up", qos=1)

    def on_subscribe(self, _client, _userdata, _mid, _reasons, _properties):
        # Whoever started us waits for this line: what devices say before it is not heard.
        print("ready", flush=True)

    def on_message(self, client, _userdata, message):
        device = message.topic.split("/")[-2]
        words = message.payload.decode("utf-8", "replace").split(" ", 2)
        if words[0] == "ack" and len(words) == 3:
            self.acknowledged(device, words[1], words[2])
        elif words[0] == "hand_shake" and len(words) > 1:
            with self.lock:
                self.devices[device] = {"kind": words[1], "state": "unknown"}
            client.publish(f"{PREFIX}/devices/{device}/down", "ok hand_shake", qos=1)
        elif words[0] == "state" and len(words) > 1:
            with self.lock:
                if device in self.devices:
                    self.devices[device]["state"] = words[1]

    def acknowledged(self, device, command, outcome):
        with self.lock:
            pending = self.pending.get(command)
        if pending is not None and pending.device == device:
            pending.outcome = "confirmed" if outcome == "ok" else "failed"
            pending.ended.set()

    def operate(self, verb, device):
        """Sends a command and waits for its outcome; None where there is no such device."""
        with self.lock:
            if device not in self.devices:
                return None
        command = str(uuid.uuid4())
        pending = Pending(device)
        with self.lock:
            self.pending[command] = pending
        expires = int(time.time()) + EXPIRY_SECONDS
        self.client.publish(
            f"{PREFIX}/devices/{device}/down", f"{verb} {command} {expires}", qos=1
        )
        pending.ended.wait(WAIT_SECONDS)
        with self.lock:
            del self.pending[command]
        return command, pending.outcome or "pending"


gateway = Gateway()
gateway.start()
app = Flask(__name__)


@app.get("/hello")
def hello():
    return jsonify(devices=len(gateway.devices))


def operate(verb):
    device = request.args.get("device", "")
    answer = gateway.operate(verb, device)
    if answer is None:
        return jsonify(title="no such device", device=device), 404
    command, outcome = answer
    status = {"confirmed": 200, "pending": 202}.get(outcome, 409)
    return jsonify(command=command, devices=[{"device": device, "outcome": outcome}]), status


@app.post("/lock")
def lock():
    return operate("lock")


@app.post("/unlock")
def unlock():
    return operate("unlock")
