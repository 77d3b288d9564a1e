// The ESP32's flash, of which a value is a file in the current folder.
#pragma once

#include <string>

#include "Arduino.h"

class Preferences {
 public:
  bool begin(const char *name, bool) {
    name_ = name;
    return true;
  }

  uint64_t getULong64(const char *key, uint64_t otherwise) {
    uint64_t value = otherwise;
    if (FILE *file = std::fopen(path(key).c_str(), "rb")) {
      if (std::fread(&value, sizeof value, 1, file) != 1) value = otherwise;
      std::fclose(file);
    }
    return value;
  }

  // How many bytes were written.
  size_t putULong64(const char *key, uint64_t value) {
    FILE *file = std::fopen(path(key).c_str(), "wb");
    if (file == nullptr) return 0;
    size_t written = std::fwrite(&value, 1, sizeof value, file);
    return std::fclose(file) == 0 ? written : 0;
  }

 private:
  std::string path(const char *key) { return name_ + "." + key; }

  std::string name_;
};
