// The library PubSubClient as a sketch sees it, over libmosquitto: a clean
// session of MQTT 3.1.1, publishes at QoS 0, and one buffer for what comes and
// what goes: what does not fit is not there, and a publish writes over what
// was heard.
#pragma once

#include <mosquitto.h>

#include <string>
#include <vector>

#include "Arduino.h"
#include "WiFi.h"

class PubSubClient {
 public:
  typedef void (*Callback)(char *topic, byte *payload, unsigned int length);

  explicit PubSubClient(WiFiClient &) {}
  PubSubClient &setServer(const char *host, uint16_t port);
  PubSubClient &setCallback(Callback callback);
  PubSubClient &setKeepAlive(uint16_t seconds);
  bool setBufferSize(uint16_t size);
  bool connect(const char *id, const char *user, const char *password);
  bool connect(const char *id, const char *user, const char *password, const char *willTopic,
               uint8_t willQos, bool willRetain, const char *willMessage);
  bool publish(const char *topic, const char *payload, bool retained = false);
  bool subscribe(const char *topic, uint8_t qos);
  bool loop();
  bool connected() { return connected_; }

 private:
  static void heard(mosquitto *, void *self, const mosquitto_message *message);
  static void answered(mosquitto *, void *self, int code);
  static void gone(mosquitto *, void *self, int code);

  std::string host_;
  uint16_t port_ = 1883;
  uint16_t keepAlive_ = 15;
  std::vector<byte> buffer_ = std::vector<byte>(256);
  Callback callback_ = nullptr;
  mosquitto *client_ = nullptr;
  bool connected_ = false;
  bool over_ = false;
};
