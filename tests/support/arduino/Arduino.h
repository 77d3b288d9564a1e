// What the sketches of the documentation use of the Arduino's own, for tests
// that run them on a PC.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>

typedef uint8_t byte;
using std::min;

enum { LOW, HIGH };
enum { INPUT, OUTPUT };

unsigned long millis();
void delay(unsigned long milliseconds);
inline long random(long most) { return std::rand() % most; }
inline void configTime(long, int, const char *) {}
inline void pinMode(int, int) {}
// Says on standard output what a pin is now.
void digitalWrite(int pin, int level);

class String {
 public:
  String(const char *text = "") : text_(text) {}
  const char *c_str() const { return text_.c_str(); }
  friend String operator+(const String &one, const String &other) {
    return String((one.text_ + other.text_).c_str());
  }

 private:
  std::string text_;
};
