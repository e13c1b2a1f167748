// What C does who builds each frame itself: headers from a template, a new identification, both checksums over the
// payload, and one write() a frame.
//
// usage: build_write FD FRAME      FRAME is a file with an Ethernet frame of IPv4 without options and UDP
#include <arpa/inet.h>
#include <string.h>
#include <unistd.h>

#include "rounds.h"

enum { IP = 14, UDP = 34, PAYLOAD = 42 };

static int fd;
static uint8_t template_frame[2048];
static uint8_t frame[2048 + 2];
static size_t length;
static uint16_t id;

// The sum in 32-bit steps, as the kernel's own; the two bytes in front of the frame align the IP header.
static uint64_t sum(const uint8_t *at, size_t bytes, uint64_t total) {
  for (; bytes >= 4; at += 4, bytes -= 4) {
    uint32_t word;
    memcpy(&word, at, 4);
    total += word;
  }
  if (bytes >= 2) {
    uint16_t word;
    memcpy(&word, at, 2);
    total += word;
    at += 2;
    bytes -= 2;
  }
  if (bytes == 1) total += htons((uint16_t)(*at << 8));
  return total;
}

static uint16_t fold(uint64_t total) {
  while (total >> 16) total = (total & 0xffff) + (total >> 16);
  return (uint16_t)~total;
}

static void put16(uint8_t *at, uint16_t value) { memcpy(at, &value, 2); }

static void run(uint64_t frames) {
  uint8_t *const f = frame + 2;
  const uint16_t udp_bytes = (uint16_t)(length - UDP);
  for (uint64_t i = 0; i < frames; i++) {
    memcpy(f, template_frame, PAYLOAD);
    memcpy(f + PAYLOAD, template_frame + PAYLOAD, length - PAYLOAD);
    put16(f + IP + 4, htons(id++));
    put16(f + IP + 10, 0);
    put16(f + IP + 10, fold(sum(f + IP, 20, 0)));
    put16(f + UDP + 6, 0);
    const uint64_t pseudo = sum(f + IP + 12, 8, (uint64_t)htons(17) + htons(udp_bytes));
    const uint16_t check = fold(sum(f + UDP, udp_bytes, pseudo));
    put16(f + UDP + 6, check == 0 ? 0xffff : check);
    if (write(fd, f, length) != (ssize_t)length) fail("write");
  }
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: build_write FD FRAME\n");
    return 2;
  }
  fd = atoi(argv[1]);
  FILE *file = fopen(argv[2], "rb");
  if (file == NULL) fail(argv[2]);
  length = fread(template_frame, 1, sizeof template_frame, file);
  fclose(file);
  if (length < PAYLOAD) return 2;
  return rounds(run);
}
