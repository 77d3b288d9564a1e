// The board that the sketch runs on.
#include <chrono>
#include <thread>

#include "PubSubClient.h"

void setup();
void loop();

static const auto start = std::chrono::steady_clock::now();

unsigned long millis() {
  auto since = std::chrono::steady_clock::now() - start;
  return std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
}

void delay(unsigned long milliseconds) {
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
}

void digitalWrite(int pin, int level) {
  std::printf("pin %d: %s\n", pin, level == HIGH ? "high" : "low");
  std::fflush(stdout);
}

// The longest head that a packet has, and the length of its topic.
static size_t around(const char *topic) { return 5 + 2 + std::strlen(topic); }

bool PubSubClient::setBufferSize(uint16_t size) {
  buffer_.resize(size);
  return true;
}

PubSubClient &PubSubClient::setServer(const char *host, uint16_t port) {
  host_ = host;
  port_ = port;
  return *this;
}

PubSubClient &PubSubClient::setCallback(Callback callback) {
  callback_ = callback;
  return *this;
}

PubSubClient &PubSubClient::setKeepAlive(uint16_t seconds) {
  keepAlive_ = seconds;
  return *this;
}

bool PubSubClient::connect(const char *id, const char *user, const char *password) {
  return connect(id, user, password, nullptr, 0, false, nullptr);
}

bool PubSubClient::connect(const char *id, const char *user, const char *password,
                           const char *willTopic, uint8_t willQos, bool willRetain,
                           const char *willMessage) {
  if (client_ != nullptr) mosquitto_destroy(client_);
  client_ = mosquitto_new(id, true, this);
  connected_ = over_ = false;
  mosquitto_username_pw_set(client_, user, password);
  if (willTopic != nullptr) {
    mosquitto_will_set(client_, willTopic, std::strlen(willMessage), willMessage, willQos,
                       willRetain);
  }
  mosquitto_connect_callback_set(client_, answered);
  mosquitto_disconnect_callback_set(client_, gone);
  mosquitto_message_callback_set(client_, heard);
  if (mosquitto_connect(client_, host_.c_str(), port_, keepAlive_) != MOSQ_ERR_SUCCESS) {
    return false;
  }
  while (!connected_ && !over_) loop();
  return connected_;
}

bool PubSubClient::publish(const char *topic, const char *payload, bool retained) {
  if (around(topic) + std::strlen(payload) > buffer_.size()) return false;
  std::fill(buffer_.begin(), buffer_.end(), '?');
  return mosquitto_publish(client_, nullptr, topic, std::strlen(payload), payload, 0, retained) ==
         MOSQ_ERR_SUCCESS;
}

bool PubSubClient::subscribe(const char *topic, uint8_t qos) {
  return mosquitto_subscribe(client_, nullptr, topic, qos) == MOSQ_ERR_SUCCESS;
}

bool PubSubClient::loop() {
  if (mosquitto_loop(client_, 20, 1) != MOSQ_ERR_SUCCESS) {
    connected_ = false;
    over_ = true;
  }
  return connected_;
}

void PubSubClient::heard(mosquitto *, void *self, const mosquitto_message *message) {
  auto *client = static_cast<PubSubClient *>(self);
  auto &buffer = client->buffer_;
  size_t topic = around(message->topic), payload = message->payloadlen;
  if (topic + payload + 2 > buffer.size()) return;
  std::memcpy(buffer.data(), message->topic, std::strlen(message->topic) + 1);
  std::memcpy(buffer.data() + topic, message->payload, payload);
  client->callback_((char *)buffer.data(), buffer.data() + topic, payload);
}

void PubSubClient::answered(mosquitto *, void *self, int code) {
  auto *client = static_cast<PubSubClient *>(self);
  client->connected_ = code == 0;
  client->over_ = code != 0;
}

void PubSubClient::gone(mosquitto *, void *self, int) {
  auto *client = static_cast<PubSubClient *>(self);
  client->connected_ = false;
  client->over_ = true;
}

int main() {
  mosquitto_lib_init();
  setup();
  while (true) loop();
}
