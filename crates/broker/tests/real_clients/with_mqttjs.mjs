// What a broker has to do for mqtt.js: URL VERSION [AUTHORITY].
// Prints a line for each thing that it did.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

// It stands in the folder that the program is started in.
const mqtt = createRequire(`${process.cwd()}/`)("mqtt");

const PATIENCE = 20_000;
const [url, version, authority] = process.argv.slice(2);
const protocolVersion = Number(version);

class Client {
  static async connected(clientId, { keep = false, will } = {}) {
    const self = new Client();
    self.waiting = [];
    self.messages = [];
    const properties = protocolVersion === 5 ? { sessionExpiryInterval: keep ? 600 : 0 } : undefined;
    self.client = mqtt.connect(url, {
      clientId,
      protocolVersion,
      protocolId: protocolVersion === 3 ? "MQIsdp" : "MQTT",
      clean: !keep,
      will,
      properties,
      reconnectPeriod: 0,
      ca: authority && readFileSync(authority),
    });
    self.client.on("message", (topic, payload, packet) => {
      self.messages.push([topic, payload.toString(), packet.qos, packet.retain]);
      self.waiting.shift()?.();
    });
    self.sessionPresent = await new Promise((resolve, reject) => {
      self.client.on("connect", (connack) => resolve(connack.sessionPresent));
      self.client.on("error", reject);
    });
    return self;
  }

  async next() {
    if (this.messages.length === 0) {
      await new Promise((resolve) => this.waiting.push(resolve));
    }
    return this.messages.shift();
  }

  async subscribe(topic, qos) {
    const granted = await this.client.subscribeAsync(topic, { qos });
    assert.deepEqual(granted.map((one) => one.qos), [qos]);
  }

  publish(topic, payload, qos, retain = false) {
    return this.client.publishAsync(topic, payload, { qos, retain });
  }

  vanish() {
    this.client.stream.destroy();
  }
}

const said = (what) => console.log(what);
setTimeout(() => assert.fail("nothing more came"), PATIENCE).unref();

const reader = await Client.connected("reader");
const publisher = await Client.connected("publisher");
said("connect");
for (const qos of [0, 1, 2]) {
  await reader.subscribe(`qos/${qos}`, qos);
  await publisher.publish(`qos/${qos}`, "hello", qos);
  assert.deepEqual(await reader.next(), [`qos/${qos}`, "hello", qos, false]);
  said(`qos ${qos}`);
}

await publisher.publish("kept", "for later", 1, true);
await reader.subscribe("kept", 1);
assert.deepEqual(await reader.next(), ["kept", "for later", 1, true]);
await publisher.publish("kept", "", 1, true);
assert.deepEqual(await reader.next(), ["kept", "", 1, false]);
said("retained");

await reader.subscribe("will", 1);
const will = { topic: "will", payload: Buffer.from("gone"), qos: 1, retain: false };
(await Client.connected("dying", { will })).vanish();
assert.deepEqual(await reader.next(), ["will", "gone", 1, false]);
said("will");

const members = [await Client.connected("one"), await Client.connected("two")];
for (const member of members) {
  await member.subscribe("$share/all/shared", 2);
}
for (let number = 0; number < 4; number += 1) {
  await publisher.publish("shared", `${number}`, 2);
}
const shared = [];
for (const member of members) {
  shared.push((await member.next())[1], (await member.next())[1]);
}
assert.deepEqual(shared.sort(), ["0", "1", "2", "3"]);
said("shared");

const asleep = await Client.connected("sleeper", { keep: true });
assert(!asleep.sessionPresent);
await asleep.subscribe("sleeps/#", 2);
await asleep.client.endAsync();
await publisher.publish("sleeps/1", "once at least", 1);
await publisher.publish("sleeps/2", "once", 2);
const sleeper = await Client.connected("sleeper", { keep: true });
// 3.1 has no word for it.
assert.equal(sleeper.sessionPresent, protocolVersion > 3);
assert.deepEqual(await sleeper.next(), ["sleeps/1", "once at least", 1, false]);
assert.deepEqual(await sleeper.next(), ["sleeps/2", "once", 2, false]);
said("session");
for (const client of [reader, publisher, sleeper, ...members]) {
  assert.equal(client.messages.length, 0);
  await client.client.endAsync();
}
said("disconnect");
