// Checks the signed commands of a Latchlight server: docs/devices.md#signed-commands.
// Plain C on Mbed TLS, which every ESP32 has. No memory is allocated.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <mbedtls/md.h>

enum signed_verdict { SIGNED_GOOD, SIGNED_FORM, SIGNED_SIGNATURE, SIGNED_REPLAYED, SIGNED_EXPIRED };

struct signed_command {
  char verb[8];
  char id[40];
  uint64_t expires;
  uint64_t counter;
};

// One word of up to `size - 1` bytes; gives where the next one begins.
static const char *signed_word(const char *at, const char *end, char *word, size_t size) {
  size_t length = 0;
  while (at < end && *at != ' ') {
    if (length + 1 >= size) return NULL;
    word[length++] = *at++;
  }
  word[length] = 0;
  return length ? at : NULL;
}

// Digits alone, and no more than fit.
static bool signed_number(const char *word, uint64_t *number) {
  *number = 0;
  for (; *word; word++) {
    if (*word < '0' || *word > '9' || *number > (UINT64_MAX - 9) / 10) return false;
    *number = *number * 10 + (uint64_t)(*word - '0');
  }
  return true;
}

// `last` is the counter of the last command that was taken, `now` in Unix seconds.
// After SIGNED_GOOD, write command->counter to the flash, and only then move.
static enum signed_verdict signed_check(const uint8_t key[32], const char *payload, size_t length,
                                        uint64_t last, uint64_t now,
                                        struct signed_command *command) {
  if (length < 66 || payload[length - 65] != ' ') return SIGNED_FORM;
  const char *end = payload + length - 65;

  char words[2][24];
  const char *at = signed_word(payload, end, command->verb, sizeof command->verb);
  if (at && at < end) at = signed_word(at + 1, end, command->id, sizeof command->id);
  else at = NULL;
  for (int word = 0; word < 2; word++) {
    if (at && at < end) at = signed_word(at + 1, end, words[word], sizeof words[word]);
    else at = NULL;
  }
  if (at != end || !signed_number(words[0], &command->expires) ||
      !signed_number(words[1], &command->counter)) {
    return SIGNED_FORM;
  }

  uint8_t own[32];
  const mbedtls_md_info_t *sha256 = mbedtls_md_info_from_type(MBEDTLS_MD_SHA256);
  if (mbedtls_md_hmac(sha256, key, 32, (const uint8_t *)payload, (size_t)(end - payload), own)) {
    return SIGNED_SIGNATURE;
  }
  // All of it, whatever both have in common.
  uint8_t difference = 0;
  for (int byte = 0; byte < 32; byte++) {
    difference |= (uint8_t)("0123456789abcdef"[own[byte] >> 4] ^ end[1 + 2 * byte]);
    difference |= (uint8_t)("0123456789abcdef"[own[byte] & 15] ^ end[2 + 2 * byte]);
  }
  if (difference) return SIGNED_SIGNATURE;
  if (command->counter <= last) return SIGNED_REPLAYED;
  return now > command->expires ? SIGNED_EXPIRED : SIGNED_GOOD;
}
