// What the sketch of docs/guides/device-makers.md uses of the Arduino's own,
// for a test that runs it on a PC.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

typedef uint8_t byte;
using std::min;

unsigned long millis();
void delay(unsigned long milliseconds);
inline long random(long most) { return std::rand() % most; }
inline void configTime(long, int, const char *) {}
