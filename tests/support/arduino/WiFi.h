// The network, which a PC has already.
#pragma once

#include "Arduino.h"

struct WiFiClient {};

struct WiFiClass {
  void begin(const char *, const char *) {}
  bool isConnected() { return true; }
};

inline WiFiClass WiFi;
