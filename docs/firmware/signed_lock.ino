// A lock on an ESP32 that obeys signed commands alone: docs/devices.md#signed-commands.
// Libraries: PubSubClient; Preferences, WiFi and Mbed TLS come with the ESP32 core.
//   latchlight device add front-door --kind lock --signed
// prints the password, and below it the key.

#include <Preferences.h>
#include <PubSubClient.h>
#include <WiFi.h>
#include <time.h>

#include "signed_commands.h"

static const char *ID = "front-door";
static const char *PASSWORD = "the password";
static const char *KEY = "the key: 64 of 0-9a-f";
static const char *BROKER = "192.168.1.10";
static const int MOTOR = 26;

WiFiClient network;  // WiFiClientSecure and setCACert, where the broker has TLS
PubSubClient mqtt(network);
Preferences flash;
uint8_t key[32];
uint64_t last = 0;
const char *state = "unknown";

void say(const String &words) {
  String topic = String("latchlight/devices/") + ID + "/up";
  mqtt.publish(topic.c_str(), words.c_str());
}

void on_message(char *topic, byte *payload, unsigned int length) {
  const char *text = (const char *)payload;
  bool moves = length >= 4 && (!strncmp(text, "lock", 4) || !strncmp(text, "unlo", 4));
  if (!moves) {
    if (length >= 2 && (!strncmp(text, "ok", 2) || !strncmp(text, "re", 2))) {
      say(String("state ") + state);
    }
    return;
  }
  time_t now = time(nullptr);
  if (now < 1700000000) return;  // The clock is not set yet: nothing is taken.

  struct signed_command command;
  if (signed_check(key, text, length, last, (uint64_t)now, &command) != SIGNED_GOOD) return;
  // What cannot be remembered could come again.
  if (flash.putULong64("last", command.counter) != sizeof command.counter) return;
  last = command.counter;

  bool locks = !strcmp(command.verb, "lock");
  digitalWrite(MOTOR, locks ? HIGH : LOW);
  state = locks ? "locked" : "unlocked";
  say(String("state ") + state);
  say(String("ack ") + command.id + " ok");
}

void setup() {
  pinMode(MOTOR, OUTPUT);
  for (int byte = 0; byte < 32; byte++) {
    char digits[3] = {KEY[2 * byte], KEY[2 * byte + 1], 0};
    key[byte] = (uint8_t)strtoul(digits, nullptr, 16);
  }
  flash.begin("latchlight", false);
  last = flash.getULong64("last", 0);
  WiFi.begin("network", "password");
  configTime(0, 0, "pool.ntp.org");
  mqtt.setServer(BROKER, 1883);
  mqtt.setCallback(on_message);
  mqtt.setBufferSize(512);
}

void loop() {
  if (!mqtt.connected()) {
    String down = String("latchlight/devices/") + ID + "/down";
    if (WiFi.isConnected() && mqtt.connect(ID, ID, PASSWORD)) {
      mqtt.subscribe(down.c_str(), 1);
      say("hand_shake lock {\"features\": [\"ack\", \"signed\"]}");
    } else {
      delay(2000);
    }
  }
  mqtt.loop();
}
